"""A picture that somebody brings: a file, or one from the camera."""

import hashlib
from dataclasses import dataclass
from functools import cached_property

import streamlit as st
from PIL import Image

from components.frame import note
from components.networks import compute
from components.pictures import SHOWN_EDGE, Figure, figures, png

UPLOAD_LIMIT = 20  # MB
SUFFIXES = ["png", "jpg", "jpeg", "webp", "gif", "bmp", "tif", "tiff", "avif", "heic"]


@dataclass(frozen=True)
class Picture:
    """What the user wants answered."""

    name: str  # a file name for downloads and commands
    source: bytes | Image.Image  # what came; the network reads it as the command line would
    image: Image.Image  # to show: upright, L or RGB
    theirs: bool = False  # a file that the user has

    @cached_property
    def digest(self) -> str:
        """A name for exactly this picture."""
        if isinstance(self.source, bytes):
            return hashlib.sha256(self.source).hexdigest()
        head = f"{self.source.mode} {self.source.size}".encode()
        return hashlib.sha256(head + self.source.tobytes()).hexdigest()

    @property
    def file(self) -> tuple[str, bytes] | None:
        """Name and bytes of the file, None if the user has it."""
        if self.theirs:
            return None
        return self.name, self.source if isinstance(self.source, bytes) else png(self.source)


def upload() -> Picture | None:
    """Take a picture as a file, None while there is none; DataError if it is no picture."""
    file = st.file_uploader(
        "A picture", SUFFIXES, key="upload", max_upload_size=UPLOAD_LIMIT, label_visibility="collapsed",
    )  # fmt: skip
    if file is None:
        note("A photo, a scan, a drawing: any size, any orientation. It is answered here and not kept.")
        return None
    return _read(file.getvalue(), file.name, theirs=True)


def camera() -> Picture | None:
    """Take a picture with the camera, None while there is none."""
    if not st.toggle("Camera on", key="camera-on"):
        note("The picture is taken in your browser, answered here, and not kept.")
        return None
    file = st.camera_input("Take a picture", key="camera", label_visibility="collapsed")
    return _read(file.getvalue(), "camera.jpg") if file else None


def show(picture: Picture) -> None:
    """Show what was brought, with its size."""
    image = picture.image
    said = f"{picture.name}, {image.width} × {image.height} pixels as shown here"
    figures([Figure(image, said, "your picture")])


def _read(data: bytes, name: str, *, theirs: bool = False) -> Picture:
    return Picture(name, data, compute(_decode, data, name), theirs)


def _decode(data: bytes, name: str) -> Image.Image:
    from cnn_core.data.images import read_image  # brings torch along

    image = read_image(data, name=name, at_least=SHOWN_EDGE)
    image.thumbnail((SHOWN_EDGE, SHOWN_EDGE))
    return image
