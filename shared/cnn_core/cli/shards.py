"""Inputs of `cnn predict` in shards, each of which any machine can answer into a part of the output.

    inputs -> shards_of -> answer_shard -> OUT/parts/00000007-<key>.jsonl -> gathered -> the items in their order

The key of a shard is a digest of what is answered, and by what: a part that is there need not be computed again, and
one that two workers compute is written twice with the same content. `cnn_core.cli.on_ray` shares the shards out.
"""

import hashlib
import json
import os
import platform
import secrets
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from inspect import signature
from itertools import chain, groupby, islice
from pathlib import Path
from typing import Any, TypeVar

from cnn_core.cli.output import to_json
from cnn_core.data.addresses import file_system, files_at, is_address, named
from cnn_core.domains import load_domain
from cnn_core.errors import CnnError
from cnn_core.predictor import Sharding
from cnn_core.storage import atomic_path
from cnn_core.weights import find_weights, load_card

FOLDER = "parts"  # in the output
TRIES = 3  # of a shard: a scan that is too large for the memory ends every worker that gets it
FILES = "<files of this part>"  # stands in a part for the folder of the files that belong to it

T = TypeVar("T")


@dataclass(frozen=True)
class Shard:
    """Inputs that are answered by one worker at a time.

    Args:
        number: from 0, in the order of the inputs.
        entries: of the predictor's `entries`; paths in the file system of `address`, if there is one.
        address: that the inputs lie at; "": they lie in local folders.
        left_out: files at the address that are no inputs, said with its first shard.
    """

    number: int
    entries: list[Any] = field(repr=False)  # nobody's texts or names belong into logs
    address: str = ""
    left_out: int = 0


@dataclass(frozen=True, kw_only=True)
class Work:
    """What every worker has to know.

    Args:
        domain, weights, device: as in `cnn predict`; sha256: of the weights.
        inputs: as they were given; flags: columns, series.
        output: folder or address.
        cpus: of a worker, which computes with as many threads.
        folder: the current one of the command, from which relative paths lead on.
        run: names this run, of which `TRIES` are counted.
    """

    domain: str
    weights: str
    sha256: str
    device: str
    inputs: tuple[str, ...]
    flags: Mapping[str, Any]
    output: str
    cpus: int
    folder: str = field(default_factory=os.getcwd)
    run: str = field(default_factory=lambda: secrets.token_hex(4))

    def load(self, device: str) -> Any:
        """Return the predictor, on a machine that has what this work needs.

        Raises:
            CnnError: it does not have the folders, or has other weights of this name.
        """
        given = [self.folder, *(entry for entry in (*self.inputs, self.output) if not is_address(entry))]
        if len(given) > 1:  # else nothing lies on this machine
            if not (Path(self.folder).is_dir() and Path(self.folder, self.output).is_dir()):
                raise CnnError(
                    f"the machine {platform.node()} does not see {' and '.join(given)}; share them under these names "
                    "among all machines, or give addresses such as s3://bucket/folder"
                )
            os.chdir(self.folder)
        if load_card(find_weights(self.weights)).sha256 != self.sha256:
            raise CnnError(
                f"the machine {platform.node()} has other weights of the name {self.weights}; install the same "
                "version of this package everywhere"
            )
        return load_domain(self.domain).DOMAIN.load(self.weights, device=device)


@dataclass(frozen=True)
class Kept:
    """An answer as it was kept in a part."""

    item: Mapping[str, Any]

    def to_json(self) -> dict[str, Any]:
        """Return the item of `cnn predict --json`."""
        return dict(self.item)


class Parts:
    """The folder of the parts, local or at an address."""

    def __init__(self, output: str) -> None:
        self.system, root = file_system(output)
        self.root, self.is_local = f"{root}/{FOLDER}", not is_address(output)

    def make(self) -> None:
        """Make the folder, if it is not there."""
        self.system.create_dir(self.root, recursive=True)

    def has(self, name: str) -> bool:
        """Tell whether a file or folder is there."""
        return bool(self.system.get_file_info(f"{self.root}/{name}").type.value)

    def put(self, source: Path, name: str) -> None:
        """Write a file, which appears when it is whole."""
        if self.is_local:
            with atomic_path(f"{self.root}/{name}") as temporary:
                shutil.copyfile(source, temporary)
            return
        hidden = f"{self.root}/.{secrets.token_hex(4)}-{name}"
        self._copy(source, hidden, upload=True)
        self.system.move(hidden, f"{self.root}/{name}")

    def put_folder(self, source: Path, name: str) -> None:
        """Write the files of a folder; written again, they are the same."""
        self.system.create_dir(f"{self.root}/{name}", recursive=True)
        self._copy(source, f"{self.root}/{name}", upload=True)

    def get(self, name: str, target: Path) -> Path:
        """Copy a file or folder to a local path, and return it."""
        self._copy(target, f"{self.root}/{name}", upload=False)
        return target

    def remove(self) -> None:
        """Remove all parts."""
        if self.has(""):
            self.system.delete_dir(self.root)

    def _copy(self, local: Path, path: str, *, upload: bool) -> None:
        from pyarrow.fs import LocalFileSystem, copy_files

        if upload:
            copy_files(str(local), path, source_filesystem=LocalFileSystem(), destination_filesystem=self.system)
        else:
            copy_files(path, str(local), source_filesystem=self.system, destination_filesystem=LocalFileSystem())


def cut(entries: Iterable[T], size: int) -> Iterator[list[T]]:
    """Yield lists of `size` entries; the last one has up to `2 * size - 1`, and only an only one fewer than `size`.

    So nothing that a predictor keeps from a full batch for a small one behind it is missing where that is answered.
    """
    entries = iter(entries)
    now = list(islice(entries, size))
    while now:
        after = list(islice(entries, size))
        if len(after) < size:
            now, after = now + after, []
        yield now
        now = after


def shards_of(predictor: Any, inputs: Sequence[str], flags: Mapping[str, Any]) -> Iterator[Shard]:
    """Yield the shards of inputs.

    Raises:
        DataError: an address cannot be read, or holds no inputs.
    """
    sharding, number = getattr(predictor, "sharding", Sharding()), 0
    texts = flags.get("texts", False)
    for address, group in groupby(inputs, key=lambda entry: entry if is_address(entry) and not texts else ""):
        paths, left_out = files_at(address, sharding.suffixes) if address else ([], 0)
        entries = paths if address else _taken(getattr(predictor, "entries", lambda given: given), flags)(list(group))
        for shard in cut(entries, sharding.files if address else sharding.entries):
            yield Shard(number, shard, address, left_out)
            number, left_out = number + 1, 0


def answer_shard(predictor: Any, shard: Shard, work: Work) -> str:
    """Answer the inputs of a shard into a part, unless it is there already, and return the part's name.

    Raises:
        CnnError: the shard has ended its worker several times.
    """
    parts, name = Parts(work.output), f"{shard.number:08d}-{_key(shard, work)}"
    if parts.has(f"{name}.jsonl"):
        return name
    with tempfile.TemporaryDirectory(prefix="cnn-shard-") as temporary:
        here, files, items = Path(temporary), Path(temporary) / "files", Path(temporary) / "items"
        files.mkdir()
        items.touch()
        attempts = (f"{name}.{work.run}.{number}" for number in range(TRIES))
        attempt = next((mark for mark in attempts if not parts.has(mark)), None)
        if attempt is None:
            first, last = _name_of(shard.entries[0]), _name_of(shard.entries[-1])
            raise CnnError(
                f"{TRIES} workers ended amid the inputs from {first} to {last}; their memory may be too small: give "
                "each more of a machine with --worker-cpus, or leave these inputs out"
            )
        parts.put(items, attempt)
        with items.open("w", encoding="utf-8") as file:
            for found in _answers(predictor, shard, here, work.flags, files):
                text = to_json(found.to_json()).replace(str(files), FILES)
                if shard.address:
                    text = text.replace(f"{here}/in/", named(shard.address, _slash(shard)))
                file.write(text + "\n")
        if any(files.iterdir()):
            parts.put_folder(files, f"{name}.files")
        parts.put(items, f"{name}.jsonl")
    return name


def _answers(predictor: Any, shard: Shard, here: Path, flags: Mapping[str, Any], files: Path) -> Iterator[Any]:
    if not shard.address:
        stream = predictor.stream if hasattr(predictor, "entries") else predictor.stream_inputs
        return _taken(stream, {**flags, "output": files})(shard.entries)
    system, _ = file_system(shard.address)
    local = []
    for path in shard.entries:
        local.append(here / "in" / path.lstrip("/"))
        local[-1].parent.mkdir(parents=True, exist_ok=True)
        try:
            with system.open_input_stream(path) as source, local[-1].open("wb") as target:
                shutil.copyfileobj(source, target, 1 << 20)
        except FileNotFoundError:  # removed since it was listed: answered as any other file that is not there
            local[-1].unlink(missing_ok=True)
    return predictor.stream_inputs([str(path) for path in local], output=files, **flags)


def _taken(function: Callable[..., Any], flags: Mapping[str, Any]) -> Callable[..., Any]:
    """Return a function of entries that is called with those of the flags that it takes behind them."""
    taken = {name: flags[name] for name in [*signature(function).parameters][1:] if name in flags}
    return lambda entries: function(entries, **taken)


def _slash(shard: Shard) -> str:
    return "/" if str(shard.entries[0]).startswith("/") else ""


def _name_of(entry: Any) -> str:
    """Return what an entry is called: a text or path, (name, how it is read), or something with a name."""
    if isinstance(entry, str | Path):
        return str(entry)
    return str(entry[0] if isinstance(entry, tuple) else entry.name)


def _key(shard: Shard, work: Work) -> str:
    flags = sorted((name, repr(value)) for name, value in work.flags.items())
    what = [work.sha256, flags, shard.address, [_name_of(entry) for entry in shard.entries]]
    return hashlib.sha256(json.dumps(what).encode()).hexdigest()[:16]


def gathered(names: Iterable[str], predictor: Any, output: str, folder: Path) -> Iterator[Kept]:
    """Yield the answers in parts in their order, the files that belong to them in `folder`."""
    gather = getattr(predictor, "gather", lambda items, _: items)
    for item in gather(chain.from_iterable(_items(Parts(output), name) for name in names), folder):
        if is_address(output):  # where the files in the folder will be
            item = json.loads(json.dumps(item).replace(str(folder), named(output, file_system(output)[1])))
        yield Kept(item)


def _items(parts: Parts, name: str) -> Iterator[Mapping[str, Any]]:
    with tempfile.TemporaryDirectory(prefix="cnn-part-") as temporary:
        here = Path(temporary)
        if parts.has(f"{name}.files"):
            (here / "files").mkdir()
            parts.get(f"{name}.files", here / "files")
        with parts.get(f"{name}.jsonl", here / "items").open(encoding="utf-8") as file:
            for line in file:
                yield json.loads(line.replace(FILES, str(here / "files")) if (here / "files").exists() else line)
