"""`cnn predict --on ray`: Ray Data shares the shards of the inputs among the machines of a cluster.

    from_items -> list_shards, one task -> Answerer, an actor per worker, which loads the weights once -> names of parts

A shard whose worker or machine dies goes to another one: Ray repeats the task, and a part that is there is kept.
"""

import logging
import os
import socket
import tempfile
from argparse import Namespace
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cnn_core.cli.shards import Parts, Shard, Work, answer_shard, gathered, shards_of
from cnn_core.data.addresses import file_system, is_address
from cnn_core.errors import CnnError
from cnn_core.predictor import Answer
from cnn_core.weights import find_weights, load_card

GOING_ON = "what was answered is kept; the same command with --resume goes on with it"


def elsewhere(options: Namespace) -> list[str]:
    """Return the inputs that are addresses."""
    return [] if options.text else [*filter(is_address, options.inputs)]


def check_options(options: Namespace) -> None:
    """End the command, with exit code 2 or CnnError, unless its options go together; without --on too."""
    if options.on is None:
        places = [*elsewhere(options), *filter(is_address, [options.output])]
        if places:
            raise CnnError(
                f"{places[0]} is an address; add --on ray to read and write there, or copy the files to this machine"
            )
        return
    if not options.output:
        options.parser.error("--on ray writes answers into a folder; name it with --output DIR")
    if "-" in options.inputs and not options.text:
        options.parser.error("--on ray does not read standard input; write the texts to a file")
    if options.worker_cpus < 1:
        options.parser.error(f"--worker-cpus: expected a whole number from 1 on, got {options.worker_cpus}")
    import ray.data  # noqa: F401 (a missing package is said now, before the work)


def is_finished(output: str | Path) -> bool:
    """Tell whether all answers are in a folder, or at an address."""
    system, root = file_system(str(output))
    there, part = system.get_file_info([f"{root}/predictions.json", f"{root}/predictions.part.json"])
    return bool(there.type.value and not part.type.value)


@contextmanager
def local_folder(options: Namespace) -> Iterator[Path]:
    """Yield the folder of the output; if nothing is raised, it is copied to an address, and parts are removed."""
    if options.on is None:
        yield options.output
        return
    from pyarrow.fs import LocalFileSystem, copy_files

    output = str(options.output)
    with tempfile.TemporaryDirectory(prefix="cnn-output-") as temporary:
        yield Path(temporary) if is_address(output) else options.output
        if is_address(output):
            system, root = file_system(output)
            system.create_dir(root, recursive=True)
            copy_files(temporary, root, source_filesystem=LocalFileSystem(), destination_filesystem=system)
    Parts(output).remove()


def answers_on_ray(
    options: Namespace, domain: str, predictor: Any, flags: Mapping[str, Any], folder: Path,
    observe: Callable[[int], object],
) -> Iterator[Answer]:  # fmt: skip
    """Let the machines answer all inputs; return the answers, in the order of the inputs.

    Args:
        options: of `cnn predict`; parts that are in the output are used with --resume, and removed without.
        domain: of the weights.
        predictor: the same weights, on this machine.
        flags: for the predictor, see `cnn_core.predictor.FLAGS`.
        folder: gets the files that a predictor writes, see `local_folder`.
        observe: called with numbers of inputs that were answered.

    Raises:
        CnnError: a machine cannot answer, or the cluster cannot be used.
    """
    work = Work(
        domain=domain, weights=options.name, sha256=load_card(find_weights(options.name)).sha256,
        device=options.device, inputs=tuple(options.inputs), flags=flags, output=str(options.output),
        cpus=options.worker_cpus,
    )  # fmt: skip
    parts = Parts(work.output)
    if not options.resume:
        parts.remove()
    parts.make()
    return gathered(_answered(work, observe), predictor, work.output, folder)


def list_shards(_: Mapping[str, Any], work: Work) -> Iterator[dict[str, Any]]:
    """Yield the shards of the inputs, each as a batch of one row, for Ray Data."""
    predictor = work.load("cpu")
    for shard in shards_of(predictor, work.inputs, work.flags):
        yield {"shard": _cell(shard)}


class Answerer:
    """An actor: loads the weights once, and answers shard after shard, with as many threads as it reserves CPUs."""

    def __init__(self, work: Work) -> None:
        self.work = work
        self.predictor: Any = None  # loaded with the first shard: what goes wrong in a task is reported as it is

    def __call__(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """Return the name of a shard's part, the number of its inputs, and how many files were left out."""
        import torch

        if self.predictor is None:
            torch.set_num_threads(self.work.cpus)
            self.predictor = self.work.load(self.work.device)
        shard: Shard = row["shard"]
        name = answer_shard(self.predictor, shard, self.work)
        return {"name": name, "count": len(shard.entries), "address": shard.address, "left_out": shard.left_out}


def _answered(work: Work, observe: Callable[[int], object]) -> list[str]:
    """Run the flow on the cluster, and return the names of all parts in order."""
    with _cluster() as ray, _sentences(ray):
        context = ray.data.DataContext.get_current()
        context.enable_progress_bars = False
        context.target_max_block_size = 1  # bytes: every shard is a block, and every block a task
        gpus = int(ray.cluster_resources().get("GPU", 0)) if work.device.startswith(("auto", "cuda")) else 0
        cpus = int(ray.cluster_resources().get("CPU", 1))
        workers = max(1, min(filter(None, (gpus, cpus // work.cpus)), default=1))
        shards = ray.data.from_items([{"inputs": 0}]).map_batches(
            list_shards, fn_kwargs={"work": work}, batch_size=None, num_cpus=0
        )
        pool = ray.data.ActorPoolStrategy(min_size=1, max_size=workers)
        answers = shards.map(
            Answerer, fn_constructor_kwargs={"work": work}, compute=pool, num_cpus=work.cpus, num_gpus=int(gpus > 0)
        )
        names = []
        for row in answers.iter_rows():
            names.append(row["name"])
            observe(int(row["count"]))
            if row["left_out"]:
                logging.getLogger(__name__).warning(
                    "%s: %s files of other kinds were left out", row["address"], row["left_out"]
                )
        return sorted(names)


def _cell(value: Any) -> Any:
    """Return an array of one object, which Ray leaves as it is."""
    import numpy as np

    cell = np.empty(1, object)
    cell[0] = value
    return cell


@contextmanager
def _cluster() -> Iterator[Any]:
    """Yield ray, connected to the cluster of RAY_ADDRESS, else to the one of this machine, else to a new one."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"  # read where a cluster is started
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    import ray
    import ray.data

    connected = ray.is_initialized()
    if not connected:
        try:
            ray.init(address=_address(), log_to_driver=False, logging_level=logging.ERROR, include_dashboard=False)
        except (OSError, ValueError, RuntimeError) as error:
            raise CnnError(f"Ray cannot be started ({error}); see `ray status`, or unset RAY_ADDRESS") from error
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    try:
        yield ray
    finally:
        if not connected:
            ray.shutdown()


def _address() -> str:
    """Return the address of the cluster to use, "local" for a new one.

    Ray would wait for minutes for one that is gone, and keeps the address of one that was killed.

    Raises:
        CnnError: nothing answers at RAY_ADDRESS.
    """
    given = os.environ.get("RAY_ADDRESS", "")
    kept = Path(os.environ.get("RAY_TMPDIR", tempfile.gettempdir()), "ray", "ray_current_cluster")
    address = given if given != "auto" else ""
    try:
        address = address or kept.read_text("utf-8").strip()
        host, _, port = address.rpartition(":")
        if port.isdecimal() and "/" not in host:
            socket.create_connection((host, int(port)), timeout=5).close()
    except OSError as error:
        if given:
            raise CnnError(
                f"RAY_ADDRESS is {given}, but no cluster answers there ({error.strerror or error}); start it with "
                "`ray start --head`, or unset RAY_ADDRESS to use this machine alone"
            ) from error
        return "local"
    return address


@contextmanager
def _sentences(ray: Any) -> Iterator[None]:
    """Turn what went wrong on another machine into a CnnError that says what to do."""
    try:
        yield
    except (ray.exceptions.RayError, CnnError) as error:
        causes: list[BaseException | None] = [error]
        while causes[-1] is not None and not type(causes[-1]).__module__.startswith("cnn_core."):
            causes.append(getattr(causes[-1], "cause", None) or causes[-1].__cause__)
        said = causes[-1] or (str(error).strip().splitlines() or [type(error).__name__])[-1]
        raise CnnError(f"{said}; {GOING_ON}") from error
