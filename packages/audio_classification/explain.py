"""Which part of a sound decided: a heat over its wave and spectrogram, and the sound with the rest turned down."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from audio_classification.contract import silent_in
from audio_classification.reading import Sound, SoundSource, read_sound, sound_name
from cnn_core.explain import explain
from cnn_core.notebook import Pictured
from cnn_core.storage import atomic_path

if TYPE_CHECKING:
    from audio_classification.predict import Predictor

QUIET = 0.1  # what is left of the parts that did not matter


@dataclass(frozen=True)
class SoundExplanation(Pictured):
    """Where in time, and for spectrograms in which bands, the decision lies.

    Args:
        input: its name.
        label: what is explained.
        probability: of that label, in this window.
        method: of explanation.
        signed: negative heat is evidence against the label.
        rate: samples per second.
        start: where the window begins in the sound, in seconds.
        wave: float32 [T], the window.
        seen: float32 [mels, frames] of a spectrogram, or [1, T] of a wave: what the network sees.
        heat: float32, as `seen`.
    """

    input: str
    label: str
    probability: float
    method: str
    signed: bool
    rate: int
    start: float
    wave: Tensor = field(repr=False)
    seen: Tensor = field(repr=False)
    heat: Tensor = field(repr=False)

    @property
    def over_time(self) -> Tensor:
        """How much every sample mattered, 0 to 1: float32 [T]."""
        heat = self.heat.abs().mean(0)[None, None]
        heat = torch.nn.functional.interpolate(heat, size=len(self.wave), mode="linear")[0, 0]
        return heat / heat.amax().clamp_min(1e-12)

    def decided(self) -> np.ndarray:
        """Return the window with the parts that did not matter turned down: float32 [T]."""
        return (self.wave * (QUIET + (1 - QUIET) * self.over_time)).numpy()

    def save(self, path: Path | str) -> str:
        """Write a picture of wave, spectrogram and heat (.png), or what decided as sound (.wav); return a sentence.

        Raises:
            StorageError: the file cannot be written.
        """
        if Path(path).suffix.lower() == ".wav":
            import soundfile

            with atomic_path(path) as temporary:
                soundfile.write(temporary, self.decided(), self.rate, format="WAV")
        else:
            self._draw(Path(path))
        return f"{path}: what speaks for {self.label} ({self.probability:.1%}) in {self.input}, by {self.method}"

    def _draw(self, path: Path) -> None:
        from matplotlib.figure import Figure

        figure = Figure(figsize=(9, 4.5), layout="constrained")
        above, below = figure.subplots(2, 1)
        seconds = self.start + np.arange(len(self.wave)) / self.rate
        above.plot(seconds, self.wave.numpy(), color="0.75", linewidth=0.6)
        above.plot(seconds, self.decided(), color="tab:red", linewidth=0.6)
        above.set(xlim=(seconds[0], seconds[-1]), ylabel="wave")
        heat, ends = self.heat.numpy(), (seconds[0], seconds[-1], 0, self.heat.shape[0])
        limit = float(np.abs(heat).max()) or 1.0
        if self.seen.shape[0] > 1:
            below.imshow(self.seen.numpy(), origin="lower", aspect="auto", cmap="gray", extent=ends)
        below.imshow(
            heat, origin="lower", aspect="auto", extent=ends, alpha=0.6, cmap="RdBu_r" if self.signed else "inferno",
            vmin=-limit if self.signed else 0, vmax=limit,
        )  # fmt: skip
        below.set(xlabel="seconds", ylabel="mel band" if self.seen.shape[0] > 1 else "")
        with atomic_path(path) as temporary:
            figure.savefig(temporary, format="png", dpi=120)


def explain_sound(
    predictor: "Predictor", source: SoundSource | Sound, *, method: str = "grad-cam", target: int | None = None
) -> SoundExplanation:
    """Explain the prediction for a sound; of a long one, in the window with a sound that speaks most for the label.

    Args:
        predictor: the network.
        source: as in `predict`; of a file at most its first 30 seconds are looked at.
        method: one of `cnn_core.explain.list_methods()`.
        target: class to explain; None: the predicted one.

    Raises:
        DataError: it cannot be read.
        UnknownNameError: no such method.
    """
    name = "the sound" if isinstance(source, Sound) else sound_name(source)
    sound = source if isinstance(source, Sound) else read_sound(source, longest=30)
    contract = predictor.contract
    windows, starts = contract.windows(contract.wave(sound))
    probabilities = predictor.probabilities(windows)  # [W, K]
    silent = silent_in(windows)
    heard = silent if silent.all() else ~silent
    index = int(probabilities[heard].mean(0).argmax()) if target is None else target
    best = int(probabilities[:, index].masked_fill(~heard, -1).argmax())
    window = windows[best : best + 1]
    result = explain(predictor.model, contract.normalize(window).to(predictor.device), method=method, target=index)
    shape = (1, contract.samples) if contract.view == "wave" else contract.input_size
    return SoundExplanation(
        name, predictor.labels[index], float(probabilities[best, index]), method, result.signed, contract.rate,
        max(0, starts[best]) / contract.rate, window[0], contract.seen(window)[0].reshape(shape),
        result.heat[0].cpu().reshape(shape),
    )  # fmt: skip
