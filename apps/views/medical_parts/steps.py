"""How a mask or a judgement came about, in the words of the fold at the end of the page; made from a card's `input`."""

from collections.abc import Mapping, Sequence
from typing import Any

BUNDLE = (
    "The bundle of MONAI's Model Zoo did the rest with its own transforms, network and windows, as its "
    "`configs/inference.json` says. Nothing of it was measured here."
)


def mask_steps(rule: Mapping[str, Any]) -> str:
    """Return the steps from a scan to its mask in Markdown; `rule` is the card's `input`, see `VolumeContract`."""
    if rule.get("goal") == "bundle":
        steps = ["The scan was turned so that its axes run right, front and up.", BUNDLE]
    else:
        steps = [_prepared(rule), _answered(rule), _cleaned(rule)]
    lines = "\n".join(f"{i}. {step}" for i, step in enumerate(steps, 1))
    return f"{lines}\n\nThe same on the command line:"


def nodule_steps(rule: Mapping[str, Any]) -> str:
    """Return the steps from a nodule to its probability in Markdown; `rule` is the card's, see `NoduleContract`."""
    thing = "picture" if rule["dims"] == 2 else "cube"
    scored = "it and its mirror images; the mean" if rule.get("mirror") else "it; the score"
    return f"""\
1. The middle of the {thing} was cut out and brought to the scale of the training {thing}s.
2. The network scored {scored} became a probability by a calibration curve fitted on validation nodules.
3. The heat map is Grad-CAM for "malignant".

The same on the command line:"""


def _prepared(rule: Mapping[str, Any]) -> str:
    said = ["The scan was turned so that its axes run right, front and up."]
    spacing, usual = rule.get("spacing"), rule.get("usual_spacing")
    if pixels := rule.get("body_pixels"):
        said.append(
            "Slice by slice the body was found: the air around it, padding, table and blankets were left out. It was "
            f"resampled so that the body is {pixels} pixels across."
        )
    elif pixels := rule.get("usual_pixels"):
        said.append(f"Its slices were resampled to {pixels} pixels across if they had far fewer, or more.")
    elif spacing is None and usual is not None:
        learned = _edges(usual[: rule["dims"]])
        said.append(f"Its voxels were resampled to {learned} mm if they were more than a tenth off.")
    elif spacing is None:
        said.append("Its voxels kept their size.")
    elif rule["dims"] == 2:
        said.append(f"Its slices were resampled to pixels of {_edges(spacing[:2])} mm.")
    else:
        said.append(f"It was resampled to voxels of {_edges(spacing)} mm.")
    if rule.get("own_scale"):
        said.append("Its own low and high intensities became 0 and 1.")
    else:
        unit = " HU" if rule.get("modality") == "CT" else ""
        low, high = (f"{rule[end]:.10g}{unit}".replace("-", "−") for end in ("low", "high"))
        said.append(f"{low} and less became 0, {high} and more became 1.")
    return " ".join(said)


def _answered(rule: Mapping[str, Any]) -> str:
    if rule.get("centre") is not None:
        patch = _edges(rule["patch"])
        said = [
            f"The network saw one patch of {patch} voxels around the centre, and how far each voxel is from it; "
            "all else is background."
        ]
    elif rule["dims"] == 2:
        said = [
            "The network saw slice after slice, each in one piece; slices of more than 4 million pixels go through in "
            "overlapping windows."
        ]
    else:
        said = [
            "Scans of up to 4 million voxels go through the network in one piece, larger ones in overlapping windows "
            "whose scores are blended."
        ]
    if mirrored := 2 ** len(rule.get("flips", ())) - 1:
        images = "mirror image" if mirrored == 1 else f"{mirrored} mirror images"
        said.append(f"The scores were averaged with those of the {images}.")
    if (temperature := rule.get("temperature", 1.0)) != 1:
        said.append(f"They were divided by {temperature:.3g}, which makes the probabilities right on validation scans.")
    said.append("Each voxel got its most probable label.")
    return " ".join(said)


def _cleaned(rule: Mapping[str, Any]) -> str:
    said = []
    if rule.get("body_pixels"):
        said.append("Nothing outside the body was kept.")
    if rule.get("keep") == "lungs":
        said.append(
            "Slice by slice, pieces as dark as gas in bowel, stomach or airways were dropped; then, in 3-D, pieces of "
            "less than a twentieth of the largest."
        )
    elif (keep := rule.get("keep", "all")) != "all":
        piece = "piece nearest the centre" if keep == "central" else "largest connected piece"
        said.append(f"Of each label {'in a slice ' if rule['dims'] == 2 else ''}only the {piece} was kept.")
    if rule.get("spacing") is not None:
        said.append("The mask was brought back to the voxels of the file.")
    said.append("Volumes are voxels times the volume of one.")
    return " ".join(said)


def _edges(lengths: Sequence[float]) -> str:
    return " × ".join(f"{length:.4g}" for length in lengths)
