"""What to type on the command line: to train a network, to go on with a run, to ask what it has learned."""

import shlex
from pathlib import PurePosixPath

from cnn_core.domains import recipe_files
from cnn_core.errors import CnnError
from cnn_core.train.runs import RunInfo, read_json
from cnn_core.weights import load_card
from cnn_core.weights.card import name_for

INPUTS = {  # elsewhere a picture
    "text_classification": "'a text of yours'", "medical_segmentation": "scan.nii.gz",
    "audio_classification": "sound.wav",
}  # fmt: skip
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
    try:
        domain = load_card(run.folder).domain
    except (CnnError, OSError):  # there is none yet
        domain = str(known.get("domain") or recipe_files().get(recipe, ("", None))[0])
    predict = f"cnn predict {shlex.quote(str(run.folder))} {INPUTS.get(domain, 'picture.png')}"
    if not recipe:  # begun in Python, or by a version that did not say how
        return [predict]
    name = known.get("name")
    if name and name != name_for(PurePosixPath(recipe).stem):
        words += ["--name", str(name)]
    together = "--seeds" in words and "/" in run.name  # one of several seeds, which go on together
    folder = run.folder.parent if together else run.folder
    return [shlex.join([*words, "--run", str(folder), "--resume"]), predict]


def training_command(name: str) -> str:
    """Return a recipe's command, with the flags that put this network into it."""
    if name == "unet":
        return "cnn train phantom"
    if name == "char_cnn":  # as in its paper
        return "cnn train ag-news --model char_cnn --tokenizer characters --vectors one-hot --length 1014"
    if name in ("kim_cnn", "dpcnn"):
        return f"cnn train trec --model {name}"
    plain = f"--model {name} --optimizer adamw --learning-rate 1e-3"
    if name in ("lenet", "mlp"):
        return f"cnn train digits {plain}"
    return f"cnn train cifar10 {plain}" + (" --size 64" if name in ("alexnet", "pilotnet") else "")
