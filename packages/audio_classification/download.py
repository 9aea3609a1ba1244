"""Download the published sets into the data root: official archives, verified against known sums.

Speech Commands has the SHA-256 that torchaudio holds, ESC-50 the MD5 of the archive of its authors' page,
as PaddleAudio and HEAR hold it; where the page gives another archive by now, the copy of PaddlePaddle is taken.
GitHub packs the spoken digits anew now and then: the recordings in the archive have a sum, not the archive.
"""

from pathlib import Path

from cnn_core.data.files import Progress, fetch
from cnn_core.data.published import check_contents, fetched, put_in_place
from cnn_core.errors import DataError

COMMANDS_URL = "http://storage.googleapis.com/download.tensorflow.org/data/speech_commands_v0.02.tar.gz"
COMMANDS_SHA256 = "af14739ee7dc311471de98f5f9d2c9191b18aedfe957f4a6ff791c709868ff58"
ESC_URLS = (
    "https://github.com/karolpiczak/ESC-50/archive/master.zip",
    "https://paddleaudio.bj.bcebos.com/datasets/ESC-50-master.zip",
)
ESC_MD5 = "7771e4b9d86d0945acce719c7a59305a"
DIGITS_URL = "https://github.com/Jakobovski/free-spoken-digit-dataset/archive/refs/tags/v1.0.10.tar.gz"
DIGITS_SHA256 = "f18ecfc8406f9c111b75351acfdf2546eb5ac3b04ea8cf39d0bf25f0dbe4b502"  # of the 3,000 recordings
DIGITS_FILES, DIGITS_BYTES = 10_000, 256 * 1024**2  # at most; unpacked they have 22 MB


def get_commands(folder: Path, progress: Progress | None = None) -> None:
    """Download Speech Commands v2 and unpack it to `folder`; what was left there by an interrupted run is replaced.

    Raises:
        DataError: the download failed or is not the official archive.
        StorageError: it cannot be written.
    """
    archive = fetch(
        COMMANDS_URL, name=Path(COMMANDS_URL).name, folder=folder.parent, sha256=COMMANDS_SHA256, progress=progress
    )
    put_in_place(archive, folder)
    archive.unlink(missing_ok=True)


def get_esc50(folder: Path, progress: Progress | None = None) -> None:
    """Download ESC-50 and unpack it to `folder`; errors as `get_commands`."""
    for url in ESC_URLS:
        try:
            archive = fetch(url, name="ESC-50-master.zip", folder=folder.parent, md5=ESC_MD5, progress=progress)
        except DataError:
            if url == ESC_URLS[-1]:
                raise
        else:
            put_in_place(archive, folder, inside="ESC-50-master")
            archive.unlink(missing_ok=True)
            return


def get_digits(folder: Path, progress: Progress | None = None) -> None:
    """Download the release 1.0.10 of the Free Spoken Digit Dataset and unpack it to `folder`; errors as above."""
    name = "free-spoken-digit-dataset-1.0.10.tar.gz"
    with fetched(DIGITS_URL, name=name, folder=folder.parent, progress=progress) as archive:
        put_in_place(
            archive, folder, inside="*", max_members=DIGITS_FILES, max_bytes=DIGITS_BYTES,
            check=lambda place: check_contents(place, "recordings/*.wav", sha256=DIGITS_SHA256),
        )  # fmt: skip
