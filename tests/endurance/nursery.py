"""Many short-lived trainings without the seconds that importing torch takes: `python nursery.py`.

Each line on standard input is a task in JSON; a fork of this process does it, `PID` is printed when it begins and
`end STATUS` when it has ended. What is killed is thus a process of its own that does the real work.

    {"run": ["train", "digits", ...], "log": FILE}      the command `cnn`
    {"queue": FOLDER, "log": FILE}                      a worker of the queue of trainings
    {"submit": FOLDER, "job": {...}, "log": FILE}       what a page does when somebody asks for a training

With "watch": FOLDER and "at": N, it kills itself at the N-th thing that it does to a file below that folder: opening,
renaming, removing, making. Without "at" it only counts, and appends the number to the file "count".
"""

import json
import os
import signal
import sys
from pathlib import Path

FILE_EVENTS = {"open", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate"}
FEW = {
    "image_captioning.scenes": {"train": 96, "val": 16, "test": 16},
    "audio_classification.drawn": {"train": 64, "val": 16, "test": 16},
    "object_detection.streets": {"train": 20, "val": 6, "test": 6},
}


def watch(task: dict) -> None:
    folder, at, seen = str(Path(task["watch"]).resolve()), task.get("at"), 0

    def notice(event: str, arguments: tuple) -> None:
        nonlocal seen
        if event in FILE_EVENTS and isinstance(arguments[0], str | Path) and str(arguments[0]).startswith(folder):
            seen += 1
            if seen == at:
                os.kill(os.getpid(), signal.SIGKILL)
            if "count" in task:
                Path(task["count"]).write_text(str(seen))

    sys.addaudithook(notice)


def work(task: dict) -> int:
    log = os.open(task["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(log, 1)
    os.dup2(log, 2)
    if "watch" in task:
        watch(task)
    if "run" in task:
        from cnn_core.cli import main

        return main(task["run"])
    from jobs import queue

    queue.start_detached = lambda *_, **__: None  # the test starts the workers
    if "submit" in task:
        root = Path(task["submit"])
        queue.submit(root, queue.claim_folder(root, task["job"]["name"]), queue.Job(**task["job"]))
        return 0
    return 0 if queue.work(Path(task["queue"])) else 3


def prepare() -> None:
    """Import what trainings import, and make the drawn sets small."""
    from importlib import import_module

    for name in ("torch", "torch.utils.tensorboard", "lightning_fabric", "tyro", "filelock", "pycocotools.coco"):
        import_module(name)
    for name in ("cnn_core.cli.command", "cnn_core.cli.training", "cnn_core.train.finish", "cnn_core.train.loop"):
        import_module(name)
    from cnn_core.domains import domain_folders, load_domain

    for name in domain_folders():
        for public in (package := load_domain(name)).__all__:
            getattr(package, public)
        import_module(f"{name}.task")
    for name, counts in FEW.items():
        import_module(name).COUNTS.update(counts)


def main() -> None:
    prepare()
    print("ready", flush=True)
    for line in sys.stdin:
        pid = os.fork()
        if not pid:
            try:
                code = work(json.loads(line))
            except BaseException:  # noqa: BLE001 (what would have ended a process of its own)
                sys.excepthook(*sys.exc_info())
                code = 99
            os._exit(code)
        print(pid, flush=True)
        print("end", os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)


if __name__ == "__main__":
    main()
