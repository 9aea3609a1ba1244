"""Any picture a user may bring, as an upright PIL image of mode L (grey) or RGB.

What is done:

- EXIF orientation is applied; CMYK, YCbCr, palette and 1-bit pictures are converted; colour profiles are ignored.
- Transparency is laid on white; on black if what is visible is nearly white itself (it would vanish on white).
- More than 8 bits (16-bit PNG and TIFF, float pictures, integer arrays beyond 0..255) are scaled linearly from their
  own smallest and largest value to 0..255.
- Of an animation or a multi-page file the first frame is taken; the picture carries a note, see `frames`.
- A header that declares more than `PIXEL_LIMIT` pixels is refused before anything is decoded.
"""

import importlib.util
import io
import os
import warnings
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image, ImageFile, ImageOps
from torch import Tensor

from cnn_core.data.folders import is_left_behind, walk
from cnn_core.data.frames import carry_note
from cnn_core.errors import DataError

PIXEL_LIMIT = 100_000_000  # 300 MB as RGB; above it a picture is a decompression bomb or belongs in another tool
# Only formats that Pillow decodes itself; PostScript and its kin would start other programs on a stranger's file.
FORMATS = ("JPEG", "PNG", "GIF", "BMP", "DIB", "TIFF", "WEBP", "PPM", "AVIF", "JPEG2000", "ICO", "TGA", "PCX")
HEIC = importlib.util.find_spec("pillow_heif") is not None  # photos of iPhones are read where this package is there
# What is looked at in a folder of pictures; svg, and heic where it cannot be read, only to say why.
SUFFIXES = (
    ".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".apng", ".gif", ".bmp", ".dib", ".tif", ".tiff", ".webp", ".ppm",
    ".pgm", ".pbm", ".pnm", ".avif", ".jp2", ".j2k", ".ico", ".tga", ".pcx", ".heic",
    ".heif", ".svg",
)  # fmt: skip
NEARLY_WHITE = 230  # mean grey level of what is visible in a transparent picture, above which it is laid on black

# Pillow's decoders raise whatever their code ran into: on damaged files of our tests fourteen kinds of errors.
DECODE_ERRORS = Exception

# Pillow warns of large pictures and odd EXIF data; here PIXEL_LIMIT and `_upright` decide. Once for the process and not
# around each call, because `catch_warnings` confuses the filters of threads that read at the same time.
warnings.filterwarnings("ignore", module=r"PIL\.")

ImageSource = str | os.PathLike[str] | bytes | BinaryIO | Image.Image | np.ndarray | Tensor


def read_image(source: ImageSource, *, name: str | None = None, at_least: int | None = None) -> Image.Image:
    """Return the picture in `source` upright, as a PIL image of mode "L" or "RGB"; see the module for the conversions.

    Args:
        source: path, bytes, open binary file, PIL image, array [H, W] or [H, W, 1|3|4], tensor [H, W] or
            [1|3|4, H, W]; numbers are 0..255 as integers, 0..1 (or 0..255) as floats, or booleans.
        name: what error messages call it; None: the file name, or "the picture".
        at_least: JPEG files may be decoded at 1/2, 1/4 or 1/8 of their size as long as both edges keep this many
            pixels, which is several times faster; None: at full size.

    Raises:
        DataError: it cannot be read as a picture; the message names it and says why.
    """
    if isinstance(source, np.ndarray | Tensor):
        return array_to_image(source, name=name)
    name = name or input_name(source)
    if isinstance(source, Image.Image):
        return _finish(source, name, at_least=None)
    if isinstance(source, str | os.PathLike):
        source = _checked_path(source, name)
    elif isinstance(source, bytes | bytearray | memoryview):
        source = io.BytesIO(source)
    elif not hasattr(source, "read"):
        raise DataError(
            f"{name}: expected a path, bytes, a file, a PIL image, an array or a tensor, got {type(source)}"
        )
    image = _open(source, name)
    try:
        picture = _finish(image, name, at_least)
        with suppress(DECODE_ERRORS):  # what follows the first frame is damaged: as many as can be counted
            carry_note(image, picture)
        return picture
    finally:
        image.close()


def picture_files(folder: Path) -> list[Path]:
    """Return the picture files in a folder and its subfolders by name; empty: no such folder.

    Hidden ones and what systems leave behind are passed over. Links to folders are followed, each real folder once.
    """
    places = walk(folder, hidden=is_left_behind)
    found = [place / file for place, files in places for file in files]
    return sorted(path for path in found if path.suffix.lower() in SUFFIXES)


def array_to_image(array: np.ndarray | Tensor, *, name: str | None = None) -> Image.Image:
    """Turn an array [H, W] or [H, W, 1|3|4] or a tensor [H, W] or [1|3|4, H, W] into a PIL image L or RGB."""
    name = name or "the picture"
    if isinstance(array, Tensor):
        tensor = array.detach().cpu()
        array = (tensor.float() if tensor.is_floating_point() else tensor).numpy()
        array = np.moveaxis(array, 0, -1) if array.ndim == 3 else array  # [C, H, W] -> [H, W, C]
        wanted = "[H, W] or [C, H, W] with C 1, 3 or 4"
    else:
        wanted = "[H, W] or [H, W, C] with C 1, 3 or 4"
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (1, 3, 4)) or array.size == 0:
        raise DataError(f"{name}: expected the shape {wanted}, got {list(array.shape)} (channels last)")
    if array.shape[0] * array.shape[1] > PIXEL_LIMIT:
        raise _too_large(name, array.shape[1], array.shape[0])
    pixels = _to_bytes(array, name)
    pixels = pixels[..., 0] if pixels.ndim == 3 and pixels.shape[2] == 1 else pixels
    return _to_grey_or_rgb(Image.fromarray(np.ascontiguousarray(pixels)))


def _to_bytes(array: np.ndarray, name: str) -> np.ndarray:
    """Bring numbers of any type to uint8 without changing the shape."""
    if array.dtype == np.uint8:
        return array
    if array.dtype == bool:
        return array.astype(np.uint8) * 255
    if not np.issubdtype(array.dtype, np.number) or np.iscomplexobj(array):
        raise DataError(f"{name}: expected numbers, got an array of {array.dtype}")
    if not np.isfinite(array).all():
        raise DataError(f"{name}: holds NaN or infinite values; replace them before showing the picture")
    values = array.astype(np.float64)
    low, high = float(values.min()), float(values.max())
    if np.issubdtype(array.dtype, np.floating) and low >= 0 and high <= 1:
        values = values * 255
    elif low < 0 or high > 255:
        values = (values - low) * (255 / max(high - low, 1e-12))
    return np.rint(values).astype(np.uint8)


def input_name(entry: object, index: int | None = None) -> str:
    """Return what an input is called: its path or name, else "picture 1" for index 0, or "the picture"."""
    if isinstance(entry, str | os.PathLike):
        return os.fspath(entry)
    name = getattr(entry, "filename", None) or getattr(entry, "name", None)
    return name if isinstance(name, str) and name else "the picture" if index is None else f"picture {index + 1}"


def _checked_path(source: str | os.PathLike[str], name: str) -> Path:
    if str(source).startswith(("http:/", "https:/")):  # a Path has one slash
        raise DataError(f"{name}: expected a file, got an address; download the picture first")
    path = Path(source)
    try:
        if path.is_dir():
            raise DataError(f"{name} is a folder, expected a picture")
        if not path.is_file():
            raise DataError(f"{name}: there is no such file")
    except OSError as error:  # a name too long, a folder on the way without permission
        raise DataError(f"{name[:200]}: cannot be opened ({error.strerror})") from error
    return path


def _open(source: Path | BinaryIO, name: str) -> Image.Image:
    """Read the header alone and refuse what is not a picture or is too large."""
    try:
        image = Image.open(source, formats=_formats())
    except Image.DecompressionBombError as error:
        raise _too_large(name) from error
    except DECODE_ERRORS as error:
        raise DataError(f"{name}: {_why_not(source)}") from error
    if image.width * image.height > PIXEL_LIMIT:
        image.close()
        raise _too_large(name, image.width, image.height)
    return image


@cache
def _formats() -> tuple[str, ...]:
    """Return what is decoded; the reader of HEIC is loaded with the first picture."""
    if not HEIC:
        return FORMATS
    from pillow_heif import register_heif_opener

    register_heif_opener(thumbnails=False)
    return (*FORMATS, "HEIF")


def _too_large(name: str, width: int = 0, height: int = 0) -> DataError:
    size = f"{width} x {height} pixels" if width else "more than 178 million pixels"
    return DataError(
        f"{name}: its header declares {size}, the limit is {PIXEL_LIMIT // 1_000_000} million; "
        "make it smaller (a network looks at a few hundred pixels) and try again"
    )


def _why_not(source: Path | BinaryIO) -> str:
    """Say what a file is that Pillow does not take, from its first bytes."""
    known = "known are JPEG, PNG, GIF, BMP, TIFF, WebP, AVIF, JPEG 2000, PPM, ICO, TGA and PCX"
    try:
        if isinstance(source, Path):
            with source.open("rb") as stream:
                head = stream.read(512)
        else:
            source.seek(0)
            head = source.read(512)
    except (OSError, ValueError) as error:
        return f"cannot be read ({error})"
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if not head:
        return "the file is empty (zero bytes)"
    if text.startswith(b"<svg") or (text.startswith((b"<?xml", b"<!doctype svg", b"<!--")) and b"<svg" in text):
        return "is an SVG drawing, not pixels; export it as PNG and try again"
    if head[4:8] == b"ftyp" and head[8:12] in (b"heic", b"heix", b"hevc", b"heim", b"heis", b"mif1", b"msf1"):
        return (
            "is a damaged HEIC photo: save it again, or as JPEG" if HEIC
            else "is a HEIC photo: install pillow-heif to read it, or save it as JPEG or PNG"
        )  # fmt: skip
    if head.startswith(b"%PDF"):
        return "is a PDF document, not a picture; export the page as PNG and try again"
    return f"is not a picture of a known format, or its beginning is damaged; {known}"


def _finish(image: Image.Image, name: str, at_least: int | None) -> Image.Image:
    """Decode the first frame, turn it upright, and convert it to L or RGB."""
    if image.width == 0 or image.height == 0:
        raise DataError(f"{name}: has no pixels ({image.width} x {image.height})")
    if image.width * image.height > PIXEL_LIMIT:
        raise _too_large(name, image.width, image.height)
    try:
        if at_least is not None and image.format in ("JPEG", "MPO"):
            image.draft(None, (at_least, at_least))
        image.load()
        return _to_grey_or_rgb(_upright(image))
    except DataError as error:
        raise DataError(f"{name}: {error}") from error
    except DECODE_ERRORS as error:
        detail = str(error) or type(error).__name__
        raise DataError(f"{name}: the picture is damaged or incomplete ({detail}); save it again") from error


def _upright(image: Image.Image) -> Image.Image:
    """Apply the EXIF orientation; EXIF data that cannot be parsed leave the picture as it is."""
    try:
        return ImageOps.exif_transpose(image)
    except DECODE_ERRORS:
        return image


def _to_grey_or_rgb(image: Image.Image) -> Image.Image:
    if image.mode in ("L", "RGB") and "transparency" not in image.info:
        return image.copy() if isinstance(image, ImageFile.ImageFile) else image  # the file's own is closed later
    if image.mode.startswith("I") or image.mode == "F":
        return Image.fromarray(_to_bytes(np.asarray(image), "pixels"))
    if image.mode == "1":
        return image.convert("L")
    if "A" in image.mode or "a" in image.mode or "transparency" in image.info:
        return _flatten(image.convert("RGBA"))
    return image.convert("RGB")


def _flatten(image: Image.Image) -> Image.Image:
    """Lay an RGBA picture on white, or on black if its visible part is nearly white."""
    pixels = np.asarray(image)
    alpha = pixels[..., 3]
    if alpha.min() == 255:
        return image.convert("RGB")
    visible = alpha > 127
    white = visible.any() and np.asarray(image.convert("L"))[visible].mean() > NEARLY_WHITE
    backdrop = Image.new("RGBA", image.size, (0, 0, 0, 255) if white else (255, 255, 255, 255))
    return Image.alpha_composite(backdrop, image).convert("RGB")
