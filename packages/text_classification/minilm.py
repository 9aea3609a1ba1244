"""Word vectors of all-MiniLM-L6-v2: the table under a sentence encoder, as a text file like GloVe's.

The encoder (Wang et al. 2020, MiniLM; trained further by the authors of sentence-transformers; Apache-2.0) begins with
a vector for each of BERT's 30,522 words and pieces of words. That table alone, without the transformer over it, gives a
network over words its pretrained vectors. Its 384 numbers are reduced to the 200 of the largest variance.
"""

import json
from pathlib import Path

import numpy as np
from safetensors import safe_open

from cnn_core.data.files import Progress, fetch
from cnn_core.data.sets import DataSet, missing_set
from cnn_core.storage import atomic_path

ADDRESS = "https://huggingface.co/sentence-transformers/all-MiniLM-L6-v2/resolve/main/"
SHA256 = {
    "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
}
TABLE = "embeddings.word_embeddings.weight"  # float32 [30522, 384]
SIZE = 200  # numbers of a vector in the file
SPREAD = 0.4  # their standard deviation: that of GloVe's 100 numbers, for the same learning rates
FILE = "minilm.200d.txt"


def get_minilm(folder: Path, progress: Progress | None = None) -> None:
    """Download the encoder (91 MB) into `folder`, and write its vectors to `FILE` there."""
    model, tokenizer = (
        fetch(f"{ADDRESS}{name}", name=name, folder=folder, sha256=sha256, progress=progress)
        for name, sha256 in SHA256.items()
    )
    vocabulary: dict[str, int] = json.loads(tokenizer.read_text(encoding="utf-8"))["model"]["vocab"]
    with safe_open(model, framework="numpy") as tensors:
        table = tensors.get_tensor(TABLE)
    words = _in_order(vocabulary)
    vectors = reduce(table[[vocabulary[word] for word in words]], SIZE)
    with atomic_path(folder / FILE) as part, part.open("w", encoding="utf-8", newline="\n") as stream:
        for word, vector in zip(words, vectors, strict=True):
            stream.write(f"{word} {' '.join(f'{number:.4f}' for number in vector)}\n")


def reduce(table: np.ndarray, size: int) -> np.ndarray:
    """Return the first `size` principal components of the rows of a table [V, E], float64 [V, size].

    The largest number of each component's axis is positive, and `SPREAD` is the standard deviation of all.
    """
    from sklearn.decomposition import PCA  # takes a second to import

    components: np.ndarray = PCA(size, svd_solver="covariance_eigh").fit_transform(table.astype(np.float64))
    return components * (SPREAD / components.std())


def _in_order(vocabulary: dict[str, int]) -> list[str]:
    """Return words and pieces (`##ing`), the most frequent first, then single characters; no marks such as `[CLS]`.

    That is BERT's order, where marks and characters stand before the words.
    """
    words = sorted(vocabulary, key=vocabulary.__getitem__)
    first = words.index("the")
    marks = [word for word in words if word[0] == "[" and word[-1] == "]" and len(word) > 2]
    return words[first:] + [word for word in words[:first] if word not in marks]


def _count(folder: Path) -> str:
    file = folder / FILE
    if not file.is_file():
        raise missing_set(MINILM, file)
    with file.open("rb") as stream:
        return f"{sum(1 for _ in stream):,} words and pieces"


MINILM = DataSet(
    name="minilm",
    description="word vectors: the words and pieces under all-MiniLM-L6-v2, 200 numbers each; for --vector-file",
    licence="Apache-2.0",
    source="sentence-transformers, all-MiniLM-L6-v2",
    folder="minilm",
    layout=FILE,
    count=_count,
    get=get_minilm,
)
MATERIALS = {MINILM.name: MINILM}
