"""A run on the command line: what to type to go on with it, and to ask what it has learned."""

import shlex
from pathlib import PurePosixPath

from cnn_core.domains import recipe_files
from cnn_core.train.runs import RunInfo, read_json
from cnn_core.weights.card import name_for
from components.networks import RUNS
from views.train_parts.watch import card_of

INPUTS = {"text_classification": "'a text of yours'", "medical_segmentation": "scan.nii.gz"}  # elsewhere a picture
FIRST = ["cnn train digits", "cnn train digits --resume", "cnn predict runs/digits picture.png"]


def commands_of(run: RunInfo | None) -> list[str]:
    """Return the command lines for a run, or for a first one."""
    if run is None:
        return FIRST
    known = {**read_json(run.folder / "status.json"), **run.job}
    try:
        words = shlex.split(str(known.get("command", "")))
    except ValueError:  # the file is damaged
        words = []
    recipe = words[2] if words[:2] == ["cnn", "train"] and len(words) > 2 else ""
    folder = str(RUNS / run.name)
    card = card_of(run)
    domain = card.domain if card is not None else known.get("domain") or recipe_files().get(recipe, ("", None))[0]
    predict = f"cnn predict {shlex.quote(folder)} {INPUTS.get(str(domain), 'picture.png')}"
    if not recipe:  # begun in Python, or by a version that did not say how
        return [predict]
    name = known.get("name")
    if name and name != name_for(PurePosixPath(recipe).stem):
        words += ["--name", str(name)]
    if "--seeds" in words and "/" in run.name:  # one of several seeds, which go on together
        folder = str(RUNS / run.name.split("/")[0])
    return [shlex.join([*words, "--run", folder, "--resume"]), predict]
