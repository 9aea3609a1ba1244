"""Everything that defines a training run of this domain."""

from dataclasses import dataclass, field
from typing import Annotated, Literal

from pydantic import Field, model_validator

from cnn_core.train.config import LoopConfig, ModelConfig, OptimizerConfig
from cnn_core.validation import Count, Natural, Settings, Share, Text
from text_classification.contract import LONGEST
from text_classification.splits import FOLDS, Reading

Length = Annotated[int, Field(ge=1, le=LONGEST)]


@dataclass(frozen=True)
class DataConfig(Settings):
    """Which texts, and how they become numbers."""

    data: Text = "docstrings"  # a name of `cnn list data`, or a table (or folder of tables) of texts
    validation: bool = True  # hold texts out to choose the best epoch; False: train on all but the test set
    fold: Annotated[int, Field(ge=0, lt=FOLDS)] = 0  # which tenth is the test set, where there is no official one
    phrases: bool = False  # train on the Treebank's labelled phrases too
    epoch_texts: Natural = 0  # in an epoch at least: fewer texts than these are learned from several times in one
    once: bool = False  # train on a text that occurs several times as if it occurred once
    text_column: str | None = None  # of a custom table; None: guessed
    label_column: str | None = None
    group_column: str | None = None  # of what rows have in common that must stay in one split: an author, a document
    test: str | None = None  # of custom texts: a table for the test set, a share (0.2) or a number (500); None: a tenth
    tokenizer: Literal[
        "treebank", "cased_treebank", "basic_english", "cased_english", "kim", "whitespace", "characters"
    ] = "treebank"
    lower_case_too: bool = False  # train on every text again in lower case, for people who type so
    min_count: Count = 1  # rarer tokens become unknown
    largest_vocabulary: Count | None = None  # most frequent tokens that are kept; None: all
    length: Length | None = None  # tokens of every text; None: any number where the network allows it

    @property
    def reading(self) -> Reading:
        """How custom texts are read and divided."""
        return Reading(self.text_column, self.label_column, self.group_column, self.test, self.fold)


@dataclass(frozen=True)
class VectorConfig(Settings):
    """The word vectors under the network."""

    vectors: Literal["rand", "static", "non-static", "multichannel", "one-hot"] = (
        "rand"  # see text_classification.model
    )
    vector_size: Annotated[int, Field(ge=1, le=10_000)] = 300  # E; pretrained ones have their own
    vector_file: str | None = None  # pretrained vectors: a text file of GloVe, word2vec or fastText
    more_words: Natural = 0  # the file's first words that join the vocabulary though no training text has them
    word_dropout: Share = 0.0  # share of words that are replaced by the unknown token in training
    vector_dropout: Share = 0.0  # share of each vector's numbers that are zero in training

    @model_validator(mode="after")
    def _pretrained_vectors_have_a_file(self) -> "VectorConfig":
        pretrained = self.vectors in ("static", "non-static", "multichannel")
        if pretrained and not self.vector_file:
            raise ValueError(f"vectors: {self.vectors!r} needs a vector_file; without one, use 'rand'")
        if self.vector_file and not pretrained:
            raise ValueError(f"vector_file: is not used with vectors {self.vectors!r}; use 'non-static'")
        if self.more_words and not self.vector_file:
            raise ValueError("more_words: they come from a vector_file, and there is none")
        return self


@dataclass(frozen=True)
class TextModelConfig(ModelConfig):
    """Which network over the word vectors."""

    model: Text = "kim_cnn"  # any name of `cnn list models` that exists in one dimension


@dataclass(frozen=True)
class Recipe(Settings):
    """Everything that defines a training run of this domain."""

    description: str = ""
    licence: str = "MIT; the training data have their own terms"
    limits: list[str] = field(default_factory=list)
    data: DataConfig = field(default_factory=DataConfig)
    vectors: VectorConfig = field(default_factory=VectorConfig)
    model: TextModelConfig = field(default_factory=TextModelConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    loop: LoopConfig = field(default_factory=LoopConfig)
