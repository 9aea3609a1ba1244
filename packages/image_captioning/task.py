"""The captioning Task: cross-entropy word by word, or the CIDEr-D of captions that the network draws itself."""

import hashlib
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cnn_core.data.cache import cache_key, cached_array
from cnn_core.data.epoch import EpochContext, take_share
from cnn_core.data.memory import channels_last
from cnn_core.errors import CnnError, DataError
from cnn_core.train.task import Evaluation, say_unused
from cnn_core.weights import WeightsCard, find_weights, load_card, round_weights
from image_captioning.contract import DOMAIN_NAME, CaptionContract
from image_captioning.data import CaptionSet, load_sets
from image_captioning.encoders import Start, start_encoder
from image_captioning.metrics import CiderD
from image_captioning.model import CaptionBatch, Captioner, Encoder, build_decoder, caption_loss, load_captioner
from image_captioning.recipe import Recipe
from image_captioning.report import measure
from image_captioning.search import beam_search, sample
from image_captioning.words import END, build_vocabulary

log = logging.getLogger(__name__)

EVALUATION_BATCH = 64
FEATURE_BATCH = 32


class Pictures:
    """The pictures of a split as the network gets them: uint8 images to normalise, or features of a frozen encoder."""

    def __init__(self, source: Tensor, *, contract: CaptionContract | None, device: torch.device) -> None:
        self.source, self.contract, self.device = source, contract, device

    def __len__(self) -> int:
        return len(self.source)

    def batch(self, indices: Tensor) -> Tensor:
        """Return the network's input [B, 3, H, W], or features [B, P, C]."""
        part = self.source[indices.to(self.source.device)].to(self.device)
        return part.float() if self.contract is None else channels_last(self.contract.normalize(part))


@dataclass(frozen=True)
class Encoded:
    """The captions of a split as numbers: `rows[i]` are those of picture i, each with the end."""

    rows: tuple[tuple[tuple[int, ...], ...], ...]

    def batch(
        self, indices: Sequence[int], *, limit: int, generator: torch.Generator, share: slice = slice(None)
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return words [R, T], lengths [R] and owner [R] of the captions of some pictures, at most `limit` of each.

        Captions are drawn for all `indices`; those of the pictures `share` of them are returned.
        """
        chosen = []
        for index in indices:
            mine = self.rows[index]
            if limit and len(mine) > limit:
                mine = [mine[i] for i in torch.randperm(len(mine), generator=generator)[:limit].tolist()]
            chosen.append(mine)
        chosen = chosen[share]
        owner = [place for place, captions in enumerate(chosen) for _ in captions]
        return (*padded([row for captions in chosen for row in captions]), torch.tensor(owner))


def padded(rows: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
    """Return rows of numbers as one table padded with 0, and their lengths: int64 [R, T], [R]."""
    lengths = torch.tensor([len(row) for row in rows])
    table = np.zeros((len(rows), int(lengths.max())), dtype=np.int64)
    for line, row in zip(table, rows, strict=True):
        line[: len(row)] = row
    return torch.from_numpy(table), lengths


class CaptionTask:
    """Learn to write captions; the validation metric is the truth rate where it is known, else CIDEr-D."""

    metric = "cider"

    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe
        self.sets: dict[str, CaptionSet] = {}

    # ---- data

    def build_data(self, device: torch.device) -> None:
        """Load the splits, fix the contract, encode; with a frozen encoder make features.

        The contract is that of the starting weights, if any, and new words.
        """
        data, base = self.recipe.data, self._starting_contract()
        size = base.size if base else None if data.size is None else (data.size, data.size)
        fit = base.fit if base else data.fit
        columns = {"image_column": data.image_column, "caption_column": data.caption_column}
        self.sets = load_sets(data.data, splits=("train", "val", "test"), size=size, fit=fit, **columns)
        if all(split.scenes for split in self.sets.values()):
            self.metric = "truth_rate"
        self.device = device
        train = self.sets["train"]
        self.contract = self._contract(base, train)
        self.start = self._start()
        if self.recipe.encoder.frozen:
            round_weights(self.start.encoder, self.recipe.model.store)  # the decoder learns from what will be loaded
        if base is None:
            self.contract = replace(self.contract, mean=self.start.mean, std=self.start.std)
        ends = tuple(
            tuple((*self.contract.encode(caption), END) for caption in captions) for captions in train.captions
        )
        self.encoded = Encoded(ends)
        self.pictures = {name: self._pictures(split) for name, split in self.sets.items()}
        if self.recipe.decoder.self_critical:
            self.cider = CiderD(train.captions)

    def _contract(self, base: CaptionContract | None, train: CaptionSet) -> CaptionContract:
        data = self.recipe.data
        every = (caption for captions in train.captions for caption in captions)
        vocabulary = build_vocabulary(every, min_count=data.min_count)
        if base:
            return replace(base, vocabulary=(*base.vocabulary, *(w for w in vocabulary if w not in base.numbers)))
        if not vocabulary:
            raise DataError(f"{train.name}: no word occurs {data.min_count} times in a training caption")
        size = tuple(train.images.shape[2:])
        return CaptionContract(size, vocabulary, fit=data.fit, enlarge=data.enlarge, longest=data.longest)

    def _pictures(self, split: CaptionSet) -> Pictures:
        if not self.recipe.encoder.frozen:
            return Pictures(split.images.to(self.device), contract=self.contract, device=self.device)
        encoder = self.start.encoder.to(self.device).eval()
        chunks = split.images.split(FEATURE_BATCH)
        shape = self._features(encoder, split.images[:1]).shape[1:]
        with torch.inference_mode():
            tensors = [value.cpu().contiguous().numpy() for value in encoder.state_dict().values()]
        contract = (self.contract.input_size, self.contract.mean, self.contract.std, split.files or split.name)
        pixels = hashlib.sha256()
        for part in chunks:
            pixels.update(part.contiguous().numpy())
        key = cache_key("features", split.split, len(split), contract, *tensors, pixels.digest())
        parts = (self._features(encoder, part).numpy() for part in chunks)
        whole = cached_array(key, parts, shape=(len(split), *shape), dtype="float16")
        return Pictures(torch.from_numpy(whole), contract=None, device=self.device)

    @torch.inference_mode()
    def _features(self, encoder: Encoder, images: Tensor) -> Tensor:
        """Return the encoder's maps as cells in a row, on the CPU: `uint8 [B, 3, H, W] -> [B, P, C]`."""
        maps = encoder(self.contract.normalize(images.to(self.device)))
        if maps.shape[2] != maps.shape[3]:
            raise CnnError(f"a frozen encoder needs a square grid, got {list(maps.shape[2:])}; use square pictures")
        return maps.flatten(2).transpose(1, 2).half().cpu()

    # ---- network

    def _starting_contract(self) -> CaptionContract | None:
        weights = self.recipe.model.weights
        if not weights:
            return None
        card = load_card(find_weights(weights, domain=DOMAIN_NAME))
        contract = CaptionContract.of_card(card)
        say_unused(log, weights, decided_by_weights(self.recipe, card, contract))
        return contract

    def _start(self) -> Start:
        """Build the encoder: that of the starting weights, or a pretrained or fresh one."""
        model, encoder = self.recipe.model, self.recipe.encoder
        if model.weights:
            captioner, card = load_captioner(model.weights)
            self.card, self.captioner = card, captioner
            kept = card.arguments["options"]
            return Start(captioner.encoder, card.model, kept["encoder"], self.contract.mean, self.contract.std)
        return start_encoder(
            model.model,
            weights=encoder.encoder_weights,
            stage=encoder.stage,
            input_size=self.contract.input_size,
            options=model.options,
        )

    def build_model(self) -> nn.Module:
        """Build the captioner; of a frozen encoder only the decoder learns, on features."""
        config = self.recipe.decoder
        encoder = self.start.encoder
        if self.recipe.model.weights:
            decoder = self.captioner.decoder
            decoder.words.grow(self.contract.rows)
            decoder.words.dropout.p = config.dropout
        else:
            decoder = build_decoder(
                config.decoder, encoder.channels, self.contract.rows, options=self._decoder_options()
            )
        self.network = Captioner(
            None if self.recipe.encoder.frozen else encoder, decoder, word_dropout=config.word_dropout
        )
        return self.network

    def _decoder_options(self) -> dict[str, Any]:
        if self.recipe.model.weights:
            return {k: v for k, v in self.card.arguments["options"].items() if k in DECODER_OPTIONS}
        config = self.recipe.decoder
        return {
            "hidden": config.hidden, "size": config.word_size, "attention": config.attention_size, "cell": config.cell,
            "dropout": config.dropout,
        }  # fmt: skip

    # ---- training

    @property
    def _batch_size(self) -> int:
        return min(self.recipe.loop.batch_size, max(1, len(self.sets["train"])))

    def steps_per_epoch(self) -> int:
        return len(self.sets["train"]) // self._batch_size

    def batches(self, context: EpochContext) -> Iterable[CaptionBatch]:
        order = torch.randperm(len(self.sets["train"]), generator=context.generator)
        for step in range(self.steps_per_epoch()):
            batch = order[step * self._batch_size : (step + 1) * self._batch_size]
            batch = batch.sort().values  # in the order in which they lie on the disk
            share = take_share(len(batch), context)
            words, lengths, owner = self.encoded.batch(
                batch.tolist(), limit=self.recipe.data.captions_per_picture, generator=context.generator, share=share
            )
            mine = batch[share]
            pictures = self.pictures["train"].batch(mine)
            self.chosen = mine  # the self-critical step needs the references
            yield CaptionBatch(pictures, *(part.to(self.device) for part in (words, lengths, owner)))

    def samples(self, batch: CaptionBatch) -> int:
        return len(batch.pictures)

    def weight(self, batch: CaptionBatch) -> float:
        """Return the number of words; what self-critical training draws has about as many for each picture."""
        return float(len(batch.pictures) if self.recipe.decoder.self_critical else batch.lengths.sum())

    def parts(self, batch: CaptionBatch, count: int) -> list[CaptionBatch]:
        if self.recipe.decoder.self_critical:
            raise CnnError(
                "self-critical training computes whole batches; set --micro-batch 0 and a smaller batch size"
            )
        cut = []
        for places in torch.arange(len(batch.pictures), device=batch.owner.device).tensor_split(count):
            mine = torch.isin(batch.owner, places)
            pictures, owner = batch.pictures[places[0] : places[-1] + 1], batch.owner[mine] - places[0]
            cut.append(CaptionBatch(pictures, batch.words[mine], batch.lengths[mine], owner))
        return cut

    def training_step(self, model: nn.Module, batch: CaptionBatch) -> Tensor:
        if self.recipe.decoder.self_critical:
            return self._self_critical_step(model, batch)
        return caption_loss(
            model(batch),
            smoothing=self.recipe.optimizer.label_smoothing,
            attention_weight=self.recipe.decoder.attention_weight,
        )

    def _self_critical_step(self, model: nn.Module, batch: CaptionBatch) -> Tensor:
        """Draw captions, score them by CIDEr-D, and make the better ones likelier.

        Rennie et al. 2017, "Self-critical Sequence Training", arXiv:1612.00563. Differs from the paper: a caption is
        compared with the mean of the picture's other drawn captions, not with the greedy one (Luo 2020,
        arXiv:2003.09971).
        """
        count = self.recipe.decoder.self_critical
        pictures = len(batch.pictures)
        owner = torch.arange(pictures, device=self.device).repeat_interleave(count)
        self.network.eval()
        with torch.no_grad():
            memory = self.network.remember(batch.pictures).rows(owner)
            drawn = sample(self.network.decoder, memory, longest=self.contract.longest)
        self.network.train()
        texts = [self.contract.decode(caption.words) for caption in drawn]
        reward = torch.tensor(self.cider.scores(texts, self.chosen[owner.cpu()].tolist())).view(pictures, count)
        others = (reward.sum(1, keepdim=True) - reward) / (count - 1)
        advantage = (reward - others).flatten().to(self.device)
        words, lengths = padded([(*caption.words, END) for caption in drawn])
        told = model(CaptionBatch(batch.pictures, words.to(self.device), lengths.to(self.device), owner))
        chances = F.log_softmax(told.logits.float(), 1).gather(1, told.targets[:, None])[:, 0]
        return -(advantage[told.row] * chances).mean()

    # ---- measure

    def evaluate(self, model: nn.Module, split: str) -> Evaluation | None:
        """Write a caption for every picture of a split and measure them."""
        if split not in self.sets:
            return None
        pictures, search = self.pictures[split], self.recipe.search
        captions = []
        for indices in torch.arange(len(pictures)).split(EVALUATION_BATCH):
            memory = model.remember(pictures.batch(indices))
            found = beam_search(
                model.decoder, memory, beams=search.beams, longest=self.contract.longest,
                length_power=search.length_power,
            )  # fmt: skip
            captions += [self.contract.decode(best[0].words) for best in found]
        return Evaluation(len(captions), measure(captions, self.sets[split]))

    def data_mark(self) -> str:
        """Return what tells the pictures of all splits, by name, and their captions from those of other data."""
        return cache_key(*((name, s.files, s.captions) for name, s in self.sets.items()))

    def card_fields(self, model: nn.Module) -> Mapping[str, Any]:
        """Return the weights card's fields that this domain knows."""
        whole = Captioner(self.start.encoder.cpu(), model.decoder)
        config, search = self.recipe.decoder, self.recipe.search
        name = self.card.arguments["options"]["decoder"] if self.recipe.model.weights else config.decoder
        options = {
            "decoder": name, **self._decoder_options(), "stage": self.start.encoder.feature_info[-1].name,
            "encoder": dict(self.start.options), "beams": search.beams, "length_power": search.length_power,
        }  # fmt: skip
        return {
            "model": self.start.model,
            "model_module": whole,
            "arguments": {
                "spatial_dims": 2,
                "in_channels": 3,
                "num_classes": self.contract.rows,
                "input_size": list(self.contract.input_size),
                "options": options,
            },
            "input": self.contract.to_json(),
            "labels": [],
            "licence": self.recipe.licence,
            "limits": self.recipe.limits,
        }


DECODER_OPTIONS = ("hidden", "size", "attention", "cell", "dropout")


def decided_by_weights(
    recipe: Recipe, card: WeightsCard, contract: CaptionContract
) -> list[tuple[str, object, object]]:
    """Return what starting weights decide: of each setting its name, what the recipe says, what the weights keep."""
    data, model, encoder, decoder = recipe.data, recipe.model, recipe.encoder, recipe.decoder
    kept = card.arguments["options"]
    attends = kept["decoder"] == "show-attend-tell"
    return [
        ("size", data.size and (data.size, data.size), contract.size),
        *((name, getattr(data, name), getattr(contract, name)) for name in ("fit", "enlarge", "longest")),
        ("model", model.model, card.model),
        ("options", model.options or None, kept["encoder"]),
        ("stage", encoder.stage, kept["stage"]),
        ("encoder_weights", encoder.encoder_weights, card.recipe.get("encoder", {}).get("encoder_weights")),
        ("decoder", decoder.decoder, kept["decoder"]),
        ("cell", decoder.cell, kept["cell"]),
        ("hidden", decoder.hidden, kept["hidden"]),
        ("word_size", decoder.word_size, kept["size"]),
        ("attention_size", decoder.attention_size if attends else None, kept["attention"]),
    ]
