"""Download the classic sets into the data root: official files, verified against their published MD5 sums.

Addresses and sums of MNIST's family and CIFAR-10 are those that torchvision's dataset classes hold; torchvision itself
reads them with pickle (CIFAR) or starts again after an interruption, so only its tables are used.
"""

import gzip
import shutil
from pathlib import Path

from cnn_core.data.files import Progress, fetch
from cnn_core.data.published import fetched, put_in_place
from cnn_core.errors import DataError
from cnn_core.storage import atomic_path

CIFAR_BINARY = (
    "cifar-10-binary.tar.gz",
    "c32a1d4ab5d03f1284b67883e8d87530",
)  # name and MD5 as its authors publish them
CLOTHING = "https://github.com/alexeygrigorev/clothing-dataset-small/archive/refs/heads/master.zip"
CLOTHING_LIMIT = 1024**3  # bytes unpacked
CIFAR_LIMIT = 256 * 1024**2  # bytes unpacked; the official archive has 184 MB


def get_mnist_like(folder: Path, progress: Progress | None = None, *, class_name: str) -> None:
    """Download the four files of torchvision's `class_name` into `folder` and unpack them there.

    Raises:
        DataError: no mirror gave the file; the message is that of the last one.
        StorageError: it cannot be written.
    """
    from torchvision import datasets

    source = getattr(datasets, class_name)
    for name, md5 in source.resources:
        _from_mirrors(source.mirrors, name, folder=folder, md5=md5, progress=progress)
        packed = folder / name
        with (
            gzip.open(packed) as stream,
            atomic_path(packed.with_suffix("")) as temporary,
            temporary.open("xb") as file,
        ):
            shutil.copyfileobj(stream, file, 1 << 20)


def _from_mirrors(mirrors: list[str], name: str, *, folder: Path, md5: str, progress: Progress | None) -> None:
    for mirror in mirrors:
        try:
            fetch(mirror + name, name=name, folder=folder, md5=md5, progress=progress)
            return
        except DataError:
            if mirror == mirrors[-1]:
                raise


def get_cifar10(folder: Path, progress: Progress | None = None) -> None:
    """Download the binary version and unpack it to `folder`; a damaged copy there is replaced.

    Raises:
        DataError: the download failed or is not the official archive.
        StorageError: it cannot be written.
    """
    from torchvision.datasets import CIFAR10

    name, md5 = CIFAR_BINARY
    address = CIFAR10.url.rsplit("/", 1)[0] + "/" + name
    archive = fetch(address, name=name, folder=folder.parent, md5=md5, progress=progress)
    put_in_place(archive, folder, inside=folder.name, max_members=64, max_bytes=CIFAR_LIMIT)


def get_clothing(folder: Path, progress: Progress | None = None) -> None:
    """Download the photos of clothes and unpack them to `folder`, as train, validation and test with class folders.

    The publisher's server packs the archive anew and gives no hash; what is in it is checked by its own sums and its
    number of photos.

    Raises:
        DataError: the download failed, or the archive does not hold the set; it is removed then.
        StorageError: it cannot be written.
    """
    with fetched(CLOTHING, name="clothing-dataset-small.zip", folder=folder.parent, progress=progress) as archive:
        put_in_place(
            archive, folder, inside="clothing-dataset-small-master", max_members=10_000, max_bytes=CLOTHING_LIMIT
        )
