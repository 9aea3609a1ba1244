"""Batches of pictures with their captions: what the network gets in training."""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from torchvision.transforms.v2.functional import resized_crop

from cnn_core.data.memory import EpochContext, take_share
from cnn_core.nn.dims import channels_last
from image_captioning.contract import CaptionContract
from image_captioning.model import CaptionBatch

SEEN = (0.6, 1.0)  # shares of a picture's area
SIDES = {  # words that are wrong of a mirrored picture
    "left", "right", "links", "rechts", "gauche", "droite", "izquierda", "derecha", "sinistra", "destra", "左", "右",
}  # fmt: skip


class Pictures:
    """The pictures of a split as the network gets them: uint8 images to normalise, or features of a frozen encoder.

    Args:
        source: [N, 3, H, W], or features [N, P, C].
        contract: normalises images; None: features.
        device: of the batches.
        further: other views of the same pictures, for training; each like `source`.
    """

    def __init__(
        self, source: Tensor, *, contract: CaptionContract | None, device: torch.device, further: Sequence[Tensor] = ()
    ) -> None:
        self.views, self.contract, self.device = (source, *further), contract, device

    def __len__(self) -> int:
        return len(self.views[0])

    def batch(self, indices: Tensor, *, generator: torch.Generator | None = None) -> Tensor:
        """Return the network's input [B, 3, H, W], or features [B, P, C]; a generator draws a view of each."""
        if generator is None or len(self.views) == 1:
            part = self.views[0][indices.to(self.views[0].device)].to(self.device)
        else:
            drawn = torch.randint(len(self.views), (len(indices),), generator=generator).tolist()
            part = torch.stack([self.views[v][i] for v, i in zip(drawn, indices.tolist(), strict=True)]).to(self.device)
        return part.float() if self.contract is None else channels_last(self.contract.normalize(part))


def cut_outs(images: Tensor, captions: Sequence[Sequence[Sequence[str]]], seed: int) -> Tensor:
    """Return a cut-out of each picture in the picture's size, half of them mirrored: `uint8 [N, 3, H, W]`, the same.

    A cut-out is `SEEN` of the picture's area. A picture one of whose captions tells left from right is not mirrored.
    """
    generator = torch.Generator().manual_seed(seed)
    height, width = images.shape[2:]
    cut = torch.empty_like(images)
    for index, (image, theirs) in enumerate(zip(images, captions, strict=True)):
        area, aspect, top, left, mirrored = torch.rand(5, generator=generator).tolist()
        share = SEEN[0] + (SEEN[1] - SEEN[0]) * area
        ratio = (3 / 4) ** (2 * aspect - 1)
        h, w = (min(1.0, (share * r) ** 0.5) for r in (ratio, 1 / ratio))
        rows, columns = round(h * height), round(w * width)
        window = round(top * (height - rows)), round(left * (width - columns)), rows, columns
        view = resized_crop(image, *window, [height, width], antialias=True)
        tells_sides = any(word in SIDES for words in theirs for word in words)
        cut[index] = view.flip(2) if mirrored < 0.5 and not tells_sides else view
    return cut


class CaptionBatches:
    """Shuffled batches of pictures and captions.

    Args:
        pictures: of the training set.
        captions: per picture the token ids of one or more captions, each with the end token.
        batch_size: pictures per batch over all processes.
        per_picture: captions that are drawn of a picture in each epoch; 0: all.
        rewarded_from: the epoch from which on batches have a `source`; None: never.
    """

    def __init__(
        self,
        pictures: Pictures,
        captions: Sequence[Sequence[Sequence[int]]],
        *,
        batch_size: int,
        per_picture: int,
        rewarded_from: int | None = None,
    ) -> None:
        self.pictures, self.captions, self.per_picture = pictures, captions, per_picture
        self.rewarded_from = rewarded_from
        self.batch_size = min(batch_size, max(1, len(pictures)))

    def __len__(self) -> int:
        """Return the number of full batches; the rest of an epoch, a different one each time, is left out."""
        return len(self.pictures) // self.batch_size

    def epoch(self, context: EpochContext) -> Iterator[CaptionBatch]:
        """Yield this process' share of every batch; captions are drawn for the whole batch."""
        order = torch.randperm(len(self.pictures), generator=context.generator)
        for indices in order[: len(self) * self.batch_size].split(self.batch_size):
            indices = indices.sort().values  # in the order on the disk
            share = take_share(len(indices), context)
            captions = [self._draw(index, context.generator) for index in indices.tolist()][share]
            rows = [torch.tensor(row) for drawn in captions for row in drawn]
            lengths = torch.tensor([len(row) for row in rows])
            owner = torch.arange(len(captions)).repeat_interleave(torch.tensor([len(drawn) for drawn in captions]))
            words = pad_sequence(rows, batch_first=True)  # [R, T]
            device = self.pictures.device
            pictures = self.pictures.batch(indices, generator=context.generator)[share]
            rewarded = self.rewarded_from is not None and context.epoch >= self.rewarded_from
            source = indices[share].to(device) if rewarded else None
            yield CaptionBatch(pictures, words.to(device), lengths.to(device), owner.to(device), source)

    def _draw(self, index: int, generator: torch.Generator) -> Sequence[Sequence[int]]:
        """Return the captions of a picture in this epoch."""
        captions = self.captions[index]
        if not self.per_picture or len(captions) <= self.per_picture:
            return captions
        return [captions[i] for i in torch.randperm(len(captions), generator=generator)[: self.per_picture].tolist()]
