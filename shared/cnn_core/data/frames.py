"""Files of several pictures, of which the first is read: animations, documents of several pages, stacks of slices.

Not meant are files that hold one picture in several ways: icons in their sizes (ICO), photos with a preview or a depth
map (MPO), pages of a TIFF with smaller copies or with a mask.
"""

import re
import struct

from PIL import Image
from PIL.TiffImagePlugin import TiffImageFile

KEY = "cnn_core.data.frames"  # where a picture carries its note: `info` stays with it when it is converted or resized
SEVERAL = {
    **dict.fromkeys(("GIF", "WEBP", "PNG", "AVIF"), "the first of {} frames"),
    "TIFF": "the first of {} pages", "HEIF": "the main one of {} pictures",
}  # fmt: skip
MOST = 1_000  # pages that are counted: a file of some megabytes can declare millions
SUBFILE, COPY_OR_MASK = 254, 1 | 4  # TIFF 6.0, page 36: NewSubfileType and its bits
DESCRIPTION = 270
_IMAGEJ = re.compile(r"ImageJ=.*?^images=(\d{1,9})$", re.MULTILINE | re.DOTALL)  # writes large stacks as one page


def carry_note(image: Image.Image, picture: Image.Image) -> None:
    """Note on `picture`, the first frame of the file `image`, how many frames the file has, if several."""
    if (count := _count(image)) > 1:
        said = SEVERAL[str(image.format)].format(f"{count:,}{' or more' * (count == MOST)}")
        picture.info[KEY] = (f"{said} alone is read; save the others as files of their own to have them read",)


def frame_notes(picture: Image.Image) -> tuple[str, ...]:
    """Return what `read_image` left out of the file of a picture, in sentences: frames, pages."""
    said = picture.info.get(KEY, ())
    return said if isinstance(said, tuple) else ()  # a text of this name in a PNG is a stranger's


def several_frames(count: int) -> list[str]:
    """Return the sentence on `count` pictures of a data set that have a note."""
    one = "is the first frame or page" if count == 1 else "are the first frames or pages"
    return [f"{count:,} of the pictures {one} of a file of several; the others in it are not read"] if count else []


def _count(image: Image.Image) -> int:
    if isinstance(image, TiffImageFile):
        return _pages(image)
    return getattr(image, "n_frames", 1) if image.format in SEVERAL else 1


def _pages(image: TiffImageFile) -> int:
    """Return how many pages of a TIFF are pictures of their own, `MOST` at most."""
    stack = _IMAGEJ.match(str(image.tag_v2.get(DESCRIPTION, "")))
    count = 1
    for number in range(1, MOST):
        try:
            image.seek(number)
        except (EOFError, OSError, SyntaxError, ValueError, LookupError, TypeError, struct.error):  # the end, or damage
            break
        count += not int(image.tag_v2.get(SUBFILE, 0)) & COPY_OR_MASK
    return max(count, min(MOST, int(stack[1]) if stack else 1))
