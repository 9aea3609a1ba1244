"""Download the published sets into the data root: official archives, verified against known sums.

Speech Commands has the SHA-256 that torchaudio holds, ESC-50 the MD5 of the archive of its authors' page,
as PaddleAudio and HEAR hold it; where the page gives another archive by now, the copy of PaddlePaddle is taken.
"""

import shutil
from pathlib import Path

from cnn_core.data.archives import extract
from cnn_core.data.files import Progress, fetch
from cnn_core.errors import DataError
from cnn_core.storage import folder_lock

COMMANDS_URL = "http://storage.googleapis.com/download.tensorflow.org/data/speech_commands_v0.02.tar.gz"
COMMANDS_SHA256 = "af14739ee7dc311471de98f5f9d2c9191b18aedfe957f4a6ff791c709868ff58"
ESC_URLS = (
    "https://github.com/karolpiczak/ESC-50/archive/master.zip",
    "https://paddleaudio.bj.bcebos.com/datasets/ESC-50-master.zip",
)
ESC_MD5 = "7771e4b9d86d0945acce719c7a59305a"


def get_commands(folder: Path, progress: Progress | None = None) -> None:
    """Download Speech Commands v2 and unpack it to `folder`; what was left there by an interrupted run is replaced.

    Raises:
        DataError: the download failed or is not the official archive.
        StorageError: it cannot be written.
    """
    archive = fetch(
        COMMANDS_URL, name=Path(COMMANDS_URL).name, folder=folder.parent, sha256=COMMANDS_SHA256, progress=progress
    )
    _unpack(archive, folder, wrapper="")


def get_esc50(folder: Path, progress: Progress | None = None) -> None:
    """Download ESC-50 and unpack it to `folder`; errors as `get_commands`."""
    for url in ESC_URLS:
        try:
            archive = fetch(url, name="ESC-50-master.zip", folder=folder.parent, md5=ESC_MD5, progress=progress)
        except DataError:
            if url == ESC_URLS[-1]:
                raise
        else:
            _unpack(archive, folder, wrapper="ESC-50-master")
            return


def _unpack(archive: Path, folder: Path, *, wrapper: str) -> None:
    """Unpack to `folder` what lies in the folder `wrapper` of an archive ("": all of it), and delete the archive."""
    fresh = folder.with_name(f".{folder.name}.new")
    with folder_lock(folder.parent, timeout=600):  # if two processes get the set at once, the second repeats it
        shutil.rmtree(fresh, ignore_errors=True)  # left by an interrupted run
        try:
            inside = extract(archive, fresh) / wrapper
            if not inside.is_dir():
                raise DataError(f"{archive} holds no folder {wrapper}; delete it and get the set again")
            shutil.rmtree(folder, ignore_errors=True)
            inside.rename(folder)
        finally:
            shutil.rmtree(fresh, ignore_errors=True)
    archive.unlink(missing_ok=True)
