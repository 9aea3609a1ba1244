"""Explain a caption word by word: attention of the decoder, Grad-CAM at the encoder, and the next best words.

"attention": the weights of soft attention for each word, [P] on the encoder's grid (Xu et al. 2015); they say what the
decoder read, not what in it decided. "grad-cam": Grad-CAM (Selvaraju et al. 2017) of the word's score at the encoder's
last map, for both decoders. `cover` shows what changes when a region of the picture is covered.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import Tensor

from cnn_core.data.fits import Placement
from cnn_core.data.frames import frame_notes
from cnn_core.data.images import ImageSource, input_name
from cnn_core.errors import CnnError, unknown_name
from cnn_core.explain import overlay
from cnn_core.notebook import Pictured
from cnn_core.storage import atomic_path
from image_captioning.model import DecoderOutput
from image_captioning.search import teacher_forced_log_probs
from image_captioning.words import END

if TYPE_CHECKING:
    from image_captioning.predict import Predictor

METHODS = ("attention", "grad-cam")
NEXT_BEST = 5  # likeliest words that are named at each place
TILE = 240  # pixels: width of a word's picture in a saved explanation
COLUMNS = 4


@dataclass(frozen=True)
class WordReason:
    """One word of a caption and its explanation."""

    word: str
    probability: float  # given the picture and the words before
    alternatives: list[tuple[str, float]]  # the likeliest words here with probabilities; `word` may be none of them
    heat: Tensor = field(repr=False)  # float32 [H', W'], the picture's size; by the chosen method


@dataclass(frozen=True)
class CaptionExplanation(Pictured):
    """A caption, word by word, on the original picture."""

    input: str
    caption: str
    probability: float  # of the whole sentence
    method: str
    picture: Image.Image = field(repr=False)
    words: list[WordReason]

    def overlay(self, index: int) -> np.ndarray:
        """Return the heat of word `index` over the picture: uint8 [H', W', 3]."""
        return overlay(self.picture, self.words[index].heat)

    def save(self, path: Path | str) -> str:
        """Write one picture per word as a PNG sheet; return a sentence that says what it shows.

        Raises:
            StorageError: the file cannot be written.
        """
        height = max(1, round(TILE * self.picture.height / self.picture.width))
        rows = -(-len(self.words) // COLUMNS)
        sheet = Image.new("RGB", (COLUMNS * TILE, rows * (height + 18)), "white")
        draw = ImageDraw.Draw(sheet)
        for i, reason in enumerate(self.words):
            x, y = i % COLUMNS * TILE, i // COLUMNS * (height + 18)
            sheet.paste(Image.fromarray(self.overlay(i)).resize((TILE, height), Image.Resampling.BILINEAR), (x, y + 18))
            draw.text((x + 3, y + 3), f"{reason.word}  {reason.probability:.0%}", fill="black")
        with atomic_path(path) as temporary:
            sheet.save(temporary, format="PNG")
        said = f"{path}: where the words of {self.caption!r} come from in {self.input}, by {self.method}"
        return "; ".join([said, *frame_notes(self.picture)])


def explain_caption(
    predictor: "Predictor", image: ImageSource, *, caption: str | None = None, method: str = "attention"
) -> CaptionExplanation:
    """Explain every word of a caption.

    Args:
        predictor: whose caption it is.
        image: as in `predict`.
        caption: a sentence to explain instead; None: the best caption.
        method: one of `METHODS`; "attention" becomes "grad-cam" for a decoder without attention.

    Raises:
        DataError: the picture cannot be read.
        UnknownNameError: no such method.
        CnnError: the sentence holds no word.
    """
    if method not in METHODS:
        raise unknown_name("method", method, METHODS)
    contract, model = predictor.contract, predictor.model
    method = "grad-cam" if method == "attention" and not model.decoder.attends else method
    name = input_name(image, 0)
    picture = contract.read(image, name=name)
    view, placement = contract.place(picture)
    x = contract.normalize(view[None].to(predictor.device))
    numbers = contract.encode(caption) if caption is not None else predictor.best(predictor.remember(view[None]))[0]
    with torch.inference_mode(False), torch.enable_grad():
        grid_map = model.maps(x).detach().clone().requires_grad_()  # [1, C, H', W']
        cells = grid_map.flatten(2).transpose(1, 2)
        memory = model.remember(cells, grid=(grid_map.shape[2], grid_map.shape[3]))
        output = model.score_sentence(memory, [*numbers, END])
        if method == "attention" and output.attention is not None:
            maps = _attention(output.attention, grid_map)
        else:
            maps = _grad_cam(output, grid_map)
    probabilities = teacher_forced_log_probs(output.logits.detach(), output.targets).exp().cpu()  # [T, V]
    names = ["", "", "(end)", "?", *contract.vocabulary]
    reasons = [
        WordReason(
            names[number],
            float(probabilities[t, number]),
            [(names[i], float(probabilities[t, i])) for i in probabilities[t].topk(NEXT_BEST).indices.tolist()],
            _on_picture(maps[t], placement, contract.size, picture),
        )
        for t, number in enumerate(numbers)
    ]  # fmt: skip
    total = float(probabilities.double().gather(1, output.targets.cpu()[:, None]).log().sum().exp())
    return CaptionExplanation(name, contract.sentence(numbers), total, method, picture, reasons)


def _attention(weights: Tensor, grid_map: Tensor) -> Tensor:
    """Return the attention of every word on the grid: `[T, P] -> [T, H', W']`."""
    return weights.detach().float().cpu().view(-1, *grid_map.shape[2:])


def _grad_cam(output: DecoderOutput, grid_map: Tensor) -> Tensor:
    """Return Grad-CAM of every word's score less the mean of all scores, on the grid: [T, H', W']."""
    maps = []
    scores = output.logits.gather(1, output.targets[:, None])[:, 0] - output.logits.mean(1)
    for t in range(len(scores)):
        (gradient,) = torch.autograd.grad(scores[t], grid_map, retain_graph=True)
        maps.append((gradient.mean((2, 3), keepdim=True) * grid_map).sum(1)[0].relu().detach().float().cpu())
    return torch.stack(maps)


def _on_picture(heat: Tensor, placement: Placement, size: tuple[int, int], picture: Image.Image) -> Tensor:
    """Carry a map on the grid to the picture: `[H', W'] -> [picture's height, width]`."""
    full = torch.nn.functional.interpolate(heat[None, None], size=size, mode="bilinear", align_corners=False)[0, 0]
    return placement.to_picture(full, (picture.height, picture.width))


@dataclass(frozen=True)
class Covered:
    """What changes when a region of the picture is covered."""

    before: str
    after: str
    words: list[tuple[str, float, float]]  # of the caption before: word, probability before and after


def cover(
    predictor: "Predictor", image: ImageSource, box: tuple[float, float, float, float], *, caption: str | None = None
) -> Covered:
    """Cover a region with the picture's mean colour and caption it again.

    Args:
        predictor: whose captions.
        image: as in `predict`.
        box: left, top, right, bottom as fractions of the picture, 0 to 1.
        caption: the sentence whose words are followed; None: the best caption before.

    Raises:
        CnnError: the box is empty or outside the picture.
        DataError: the picture cannot be read.
    """
    left, top, right, bottom = box
    if not (0 <= left < right <= 1 and 0 <= top < bottom <= 1):
        raise CnnError(
            f"box: expected left, top, right, bottom as fractions with left < right, top < bottom, got {box}"
        )
    contract = predictor.contract
    picture = contract.read(image)
    pixels = np.array(picture)
    height, width = pixels.shape[:2]
    region = (slice(int(top * height), max(int(top * height) + 1, round(bottom * height))),
              slice(int(left * width), max(int(left * width) + 1, round(right * width))))  # fmt: skip
    hidden = pixels.copy()
    hidden[region] = pixels.mean((0, 1)).round().astype(np.uint8)
    views = torch.stack([contract.place(Image.fromarray(array))[0] for array in (pixels, hidden)])
    memory = predictor.remember(views)
    best = predictor.best(memory)
    numbers = contract.encode(caption) if caption is not None else best[0]
    probabilities = predictor.word_log_probs(memory, [*numbers, END]).exp()[:, :-1].tolist()
    before, after = map(contract.sentence, best)
    return Covered(before, after, list(zip(contract.decode(numbers), *probabilities, strict=True)))
