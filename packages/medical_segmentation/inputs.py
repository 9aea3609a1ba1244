"""The scans that an input of `cnn predict` stands for: one for each study and each file of a volume in it."""

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

from cnn_core.errors import DataError, StorageError
from medical_segmentation.safety import Kind, kind_of
from medical_segmentation.scan import Scan, read_file, read_scan, read_series
from medical_segmentation.series import Series
from medical_segmentation.sources import Contents, contents_of, existing, unpacked

Read = Callable[[str | None, int | None], Scan]  # which DICOM series, volume of a NIfTI -> the scan; raises DataError


def packed(_: str | None, __: int | None) -> Scan:
    """Stand for the scans in a zip that is unpacked later, by `opened`."""
    raise DataError("the scans are still in their zip; open it first")


def opened(scans: Iterable[tuple[str, Read]]) -> Iterator[tuple[str, Read]]:
    """Yield scans, and in the place of each zip that is still packed those in it."""
    for label, read in scans:
        if read is packed:
            yield from scans_of(label)
        else:
            yield label, read


def scans_of(
    entry: str, *, observe: Callable[[int, int], object] | None = None, unpack: bool = True
) -> Iterator[tuple[str, Read]]:
    """Yield what an answer is called, and how its scan is read, which is possible until the next one is asked for.

    Args:
        entry: a file, or a folder or zip with scans of any number of patients, in DICOM, single files or further zips.
        observe: called with the number of DICOM files looked at and that of all, while a folder is looked through.
        unpack: zips too; False: one comes by its path and as `packed`, for `opened`.
    """
    try:
        path = existing(entry)
        if path.is_dir():
            yield from _in_folder(entry, path, path.name, observe, unpack=unpack)
            return
        if kind_of(path) is Kind.ZIP and not unpack:
            yield entry, packed
            return
        if kind_of(path) is Kind.ZIP:
            with unpacked(path) as folder:
                yield from _in_folder(entry, folder, path.name, observe, inside_zip=True)
            return
    except (DataError, StorageError) as error:
        yield entry, partial(_fail, DataError(str(error)))
        return
    yield entry, lambda series, volume: read_scan(path, series=series, volume=volume)


def _fail(error: DataError, _: str | None, __: int | None) -> Scan:
    raise error


def _in_folder(
    entry: str, folder: Path, name: str, observe: Callable[[int, int], object] | None, *,
    inside_zip: bool = False, unpack: bool = True,
) -> Iterator[tuple[str, Read]]:  # fmt: skip
    contents = contents_of(folder, name=name, packed=inside_zip, observe=observe)
    beside = {found.path.parent for series in contents.series for found in series.slices}
    volumes = [path for path in contents.volumes if path.parent not in beside]
    more = len(contents.volumes) - len(volumes)
    contents.left_out["files of volumes beside DICOM slices (give them by name)"] += more
    studies = contents.studies
    if not (studies or volumes or contents.zips):
        yield entry, lambda series, volume: read_scan(entry, series=series, volume=volume)  # says why there is none
        return
    alone = len(studies) + len(volumes) + len(contents.zips) == 1
    rest = contents
    for label, title, study in sorted(_named(studies, entry, folder, name), key=lambda item: item[0]):
        its_own = replace(rest, series=study, volumes={}, zips=())  # the rest need not travel to other machines
        yield label, partial(_read_study, its_own, title, len(contents.series))
        rest = replace(contents, left_out=Counter())  # is said once
    for path in volumes:
        label, title = (entry, name) if alone else (_inside(entry, folder, path), path.name)
        yield label, partial(_read_volume, path, title, rest.said)
        rest = replace(contents, left_out=Counter())
    for path in contents.zips:
        for label, read in scans_of(str(path), unpack=unpack):
            yield label.replace(str(path), _inside(entry, folder, path), 1), read


def _read_study(study: Contents, title: str, of: int, series: str | None, volume: int | None) -> Scan:
    return read_series(study, name=title, of=of, series=series, volume=volume)


def _read_volume(path: Path, title: str, said: list[str], series: str | None, volume: int | None) -> Scan:
    scan = read_file(path, title, series=series, volume=volume)
    return replace(scan, warnings=(*said, *scan.warnings))


def _named(studies: list[list[Series]], entry: str, folder: Path, name: str) -> Iterator[tuple[str, str, list[Series]]]:
    """Yield each study with the name of its answer and of its scan: those of its own folder, if it has one."""
    files = [[found.path.parent for series in study for found in series.slices] for study in studies]
    places = [Path(os.path.commonpath(paths)) for paths in files]
    for number, (study, place) in enumerate(zip(studies, places, strict=True), start=1):
        own = place != folder and not any(place in (other, *other.parents) for other in places if other is not place)
        if len(studies) == 1:
            yield entry, name, study
        elif own:
            yield _inside(entry, folder, place), place.name, study
        else:
            yield f"{entry} (study {number} of {len(studies)})", name, study


def _inside(entry: str, folder: Path, path: Path) -> str:
    return str(Path(entry) / path.relative_to(folder))
