"""The captioning Task: cross-entropy word by word, each from the true words before it."""

import logging
import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, replace
from itertools import chain
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from cnn_core.data.cache import cache_key
from cnn_core.data.memory import EpochContext
from cnn_core.data.summary import DataSummary
from cnn_core.errors import CnnError, DataError
from cnn_core.train.task import Evaluation, say_unused
from cnn_core.weights import WeightsCard, round_weights
from image_captioning.batches import CaptionBatches, Pictures, cut_outs
from image_captioning.checks import FAMILIAR, REFERENCES, familiarity, references_of
from image_captioning.contract import CaptionContract, CaptionerOptions
from image_captioning.data import SPLITS, CaptionSet, load_photos, load_sets, makes_scenes
from image_captioning.decoders import build_decoder
from image_captioning.encoders import Start, cached_features, start_encoder
from image_captioning.metrics import CiderD
from image_captioning.model import CaptionBatch, Captioner, caption_loss, load_captioner
from image_captioning.readers import Columns
from image_captioning.recipe import Recipe, unused_settings
from image_captioning.report import measure, report_on
from image_captioning.search import beam_search
from image_captioning.self_critical import self_critical_loss
from image_captioning.words import END, build_vocabulary

log = logging.getLogger(__name__)

EVALUATION_BATCH = 64


class CaptionTask:
    """Learn to write captions; the validation metric is the truth rate where it is known, else CIDEr-D."""

    metric = "cider"
    summary: DataSummary
    members: Mapping[str, np.ndarray]

    def __init__(self, recipe: Recipe) -> None:
        if recipe.encoder.views > 1 and not recipe.encoder.frozen:
            raise CnnError(f"views: expected 1 unless the encoder is frozen, got {recipe.encoder.views}")
        self.recipe = recipe
        self.sets: dict[str, CaptionSet] = {}

    # ---- data

    def build_data(self, device: torch.device) -> None:
        """Load the starting weights, the splits and the encoder, fix the contract; with a frozen encoder make features.

        The contract is that of the starting weights, if any, plus new words.
        """
        data, weights = self.recipe.data, self.recipe.model.weights
        self.captioner: Captioner | None = None
        card: WeightsCard | None = None
        if weights:
            self.captioner, card = load_captioner(weights)
        base = CaptionContract.of_card(card) if card else None
        if card and weights:
            say_unused(log, weights, unused_settings(self.recipe, card))
        size = base.size if base else (data.size, data.size) if data.size else None
        self._load(size, base)
        if all(split.scenes for split in self.sets.values()):
            self.metric = "truth_rate"
        train = self.sets["train"]
        self.contract = self._contract(base, train)
        self.summary = replace(self.summary, warnings=(*self.summary.warnings, *self._cut(train)))
        self.start = self._start(card)
        if self.recipe.encoder.frozen:
            round_weights(self.start.encoder, self.recipe.model.store)  # train the decoder on what will be loaded
        self.contract = replace(self.contract, mean=self.start.mean, std=self.start.std)
        self.options = self._options(card)
        self.pictures = {name: self._pictures(split, device) for name, split in self.sets.items()}
        self._batches = CaptionBatches(
            self.pictures["train"],
            [[[*self.contract.encode(caption), END] for caption in captions] for captions in train.captions],
            batch_size=self.recipe.loop.batch_size,
            per_picture=data.captions_per_picture,
            rewarded_from=self._rewarded_from,
        )
        if self._rewarded_from is not None:
            self.cider = CiderD(train.captions)

    def _load(self, size: tuple[int, int] | None, base: CaptionContract | None) -> None:
        """Read the splits, and what there is to say of them."""
        data = self.recipe.data
        how: dict[str, Any] = {
            "size": size, "fit": base.fit if base else data.fit,
            "tokenizer": base.tokenizer if base else data.tokenizer,
        }  # fmt: skip
        columns = Columns(data.image_column, data.caption_column, data.group_column)
        self.members = {}
        if makes_scenes(data.data):
            self.sets = load_sets(data.data, splits=SPLITS, **how)
            sizes = {name: len(split) for name, split in self.sets.items()}
            self.summary = DataSummary(data.data, "pictures", sizes, divided="the test holds combinations of its own")
            return
        photos = load_photos(data.data, columns=columns, test=data.test, **how)
        self.sets = {split: photos.split(split) for split in SPLITS}
        self.summary, self.members = photos.summary, photos.members

    def _cut(self, train: CaptionSet) -> list[str]:
        """Say how many training captions are longer than what is learned of them."""
        longest, unit = self.contract.longest, self.contract.tokenizer
        lengths = [len(words) for captions in train.captions for words in captions]
        if not (count := sum(length > longest for length in lengths)):
            return []
        return [
            f"{count:,} of {len(lengths):,} training captions have more than {longest} {unit} (up to {max(lengths)}), "
            "the rest of which is not learned: --longest sets how many are"
        ]

    def _contract(self, base: CaptionContract | None, train: CaptionSet) -> CaptionContract:
        data = self.recipe.data
        every = (caption for captions in train.captions for caption in captions)
        vocabulary = build_vocabulary(every, min_count=data.min_count)
        if base:
            return replace(base, vocabulary=(*base.vocabulary, *(w for w in vocabulary if w not in base.numbers)))
        if not vocabulary:
            raise DataError(f"{train.name}: no word occurs {data.min_count} times in a training caption")
        size = (train.images.shape[2], train.images.shape[3])
        return CaptionContract(
            size, vocabulary, fit=data.fit, enlarge=data.enlarge, longest=data.longest, tokenizer=data.tokenizer
        )

    def _start(self, card: WeightsCard | None) -> Start:
        """Return the encoder of the starting weights, or a pretrained or fresh one."""
        model, encoder = self.recipe.model, self.recipe.encoder
        if card and self.captioner and self.captioner.encoder:
            options = CaptionerOptions.of_card(card).encoder
            return Start(self.captioner.encoder, card.model, options, self.contract.mean, self.contract.std)
        return start_encoder(
            model.model,
            weights=encoder.encoder_weights,
            stage=encoder.stage,
            input_size=self.contract.input_size,
            options=model.options,
        )

    def _options(self, card: WeightsCard | None) -> CaptionerOptions:
        config, search = self.recipe.decoder, self.recipe.search
        dropout, beams, length_power = config.dropout, search.beams, search.length_power
        if card:
            kept = CaptionerOptions.of_card(card)
            return replace(kept, dropout=dropout, beams=beams, length_power=length_power)
        return CaptionerOptions(
            decoder=config.decoder,
            hidden=config.hidden,
            size=config.word_size,
            attention=config.attention_size,
            stage=self.start.encoder.feature_info[-1].name,
            encoder=dict(self.start.options),
            dropout=dropout,
            beams=beams,
            length_power=length_power,
        )

    def _pictures(self, split: CaptionSet, device: torch.device) -> Pictures:
        if not self.recipe.encoder.frozen:
            return Pictures(split.images.to(device), contract=self.contract, device=device)
        more = range(1, self.recipe.encoder.views if split is self.sets["train"] else 1)
        # One view after the other: three cut-outs of Flickr8k would take 2.7 GB together.
        views = chain([split.images], (cut_outs(split.images, split.captions, seed) for seed in more))
        features = [cached_features(self.start.encoder, v, contract=self.contract, device=device) for v in views]
        return Pictures(features[0], contract=None, device=device, further=features[1:])

    # ---- network and training

    def build_model(self) -> nn.Module:
        """Build the captioner; of a frozen encoder only the decoder learns, on features."""
        encoder = self.start.encoder
        if self.captioner:
            decoder = self.captioner.decoder
            decoder.words.grow(self.contract.vocab_size)
            decoder.words.dropout.p = self.options.dropout
        else:
            decoder = build_decoder(self.options, encoder.channels, self.contract.vocab_size)
        trained = None if self.recipe.encoder.frozen else encoder
        return Captioner(trained, decoder, word_dropout=self.recipe.decoder.word_dropout)

    def steps_per_epoch(self) -> int:
        return len(self._batches)

    def batches(self, context: EpochContext) -> Iterable[CaptionBatch]:
        return self._batches.epoch(context)

    def samples(self, batch: CaptionBatch) -> int:
        return len(batch.pictures)

    def weight(self, batch: CaptionBatch) -> float:
        """Return the number of words; of drawn captions, which have about as many for each picture, of pictures."""
        return float(batch.lengths.sum() if batch.source is None else len(batch.pictures))

    def parts(self, batch: CaptionBatch, count: int) -> list[CaptionBatch]:
        cut = []
        for places in torch.arange(len(batch.pictures), device=batch.owner.device).tensor_split(count):
            mine = torch.isin(batch.owner, places)
            pictures, owner = batch.pictures[places[0] : places[-1] + 1], batch.owner[mine] - places[0]
            source = None if batch.source is None else batch.source[places]
            cut.append(CaptionBatch(pictures, batch.words[mine], batch.lengths[mine], owner, source))
        return cut

    @property
    def _rewarded_from(self) -> int | None:
        """The first epoch whose captions are drawn and rewarded; None: no epoch's."""
        count = self.recipe.decoder.rewarded_epochs
        return max(0, self.recipe.loop.epochs - count) if count else None

    def training_step(self, model: nn.Module, batch: CaptionBatch) -> Tensor:
        if batch.source is not None:
            return self_critical_loss(
                model, batch, contract=self.contract, reward=self.cider.scores, drawn=self.recipe.decoder.drawn
            )
        return caption_loss(
            model(batch),
            smoothing=self.recipe.optimizer.label_smoothing,
            attention_weight=self.recipe.decoder.attention_weight,
        )

    # ---- measure

    def evaluate(self, model: nn.Module, split: str) -> Evaluation | None:
        """Write a caption for every picture of a split and measure them."""
        if split not in self.sets:
            return None
        captions: list[list[str]] = []
        captioner = _captioner(model)
        for indices in torch.arange(len(self.sets[split])).split(EVALUATION_BATCH):
            memory = captioner.remember(self.pictures[split].batch(indices))
            results = beam_search(
                captioner.decoder, memory, beams=self.options.beams, longest=self.contract.longest,
                length_power=self.options.length_power,
            )  # fmt: skip
            captions += [self.contract.decode(best[0].words) for best in results]
        report = report_on(captions, self.sets[split], self.contract.numbers) if split == "test" else None
        metrics = report.metrics if report else measure(captions, self.sets[split])
        return Evaluation(len(captions), metrics, report)

    def fingerprint(self) -> str:
        """Return a fingerprint of the pictures of all splits, by name, and their captions."""
        return cache_key(*((name, s.files, s.captions) for name, s in self.sets.items()))

    def card_fields(self, model: nn.Module) -> Mapping[str, Any]:
        """Return the weights card's fields that this domain fills in."""
        captioner = Captioner(self.start.encoder.cpu(), _captioner(model).decoder)
        captioner.references = references_of(self._cells(_captioner(model), "train", REFERENCES))
        familiar = familiarity(self._cells(_captioner(model), "val", None), captioner.references)
        least = math.floor(float(familiar.double().quantile(1 - FAMILIAR)) * 1e4) / 1e4
        self.contract = replace(self.contract, familiar_from=least)
        return {
            "model": self.start.model,
            "model_module": captioner,
            "arguments": {
                "spatial_dims": 2,
                "in_channels": 3,
                "num_classes": self.contract.vocab_size,
                "input_size": list(self.contract.input_size),
                "options": asdict(self.options),
            },
            "input": self.contract.to_json(),
            "labels": [],
            "licence": self.recipe.licence,
            "limits": self.recipe.limits,
        }

    @torch.inference_mode()
    def _cells(self, captioner: Captioner, split: str, count: int | None) -> Tensor:
        """Return the encoder's map of some photos of a split, evenly spread, as cells in a row: [N, P, C]."""
        pictures, size = self.pictures[split], len(self.sets[split])
        items = torch.linspace(0, size - 1, min(count or size, size)).round().long()
        batches = (pictures.batch(part) for part in items.split(EVALUATION_BATCH))
        parts = [batch if batch.ndim == 3 else captioner.features(batch)[0] for batch in batches]
        return torch.cat([part.cpu() for part in parts])


def _captioner(model: nn.Module) -> Captioner:
    if not isinstance(model, Captioner):
        raise TypeError(f"expected the network of build_model, got {type(model).__name__}")
    return model
