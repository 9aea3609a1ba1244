"""A picture that somebody brings: a file, or one from the camera."""

import hashlib
import importlib.util
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from operator import attrgetter
from typing import Any
from urllib.parse import urlsplit

import streamlit as st
from PIL import Image

from components.frame import note
from components.kept import recall, retain, uploaded
from components.networks import Network, compute
from components.pictures import SHOWN_EDGE, png

SAMPLES, UPLOAD, CAMERA = "Samples", "Upload", "Camera"
UPLOAD_LIMIT = 20  # MB
HEIC = ["heic", "heif"] if importlib.util.find_spec("pillow_heif") else []
SUFFIXES = ["png", "jpg", "jpeg", "webp", "gif", "bmp", "tif", "tiff", "avif", *HEIC]


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
        return digest_of(self.source)

    @property
    def file(self) -> tuple[str, bytes] | None:
        """Name and bytes of the file, None if the user has it."""
        if self.theirs:
            return None
        return self.name, self.source if isinstance(self.source, bytes) else png(self.source)


# How Streamlit's caches tell them apart.
BY_DIGEST: dict[str | type[Any], Callable[[Any], Any]] = dict.fromkeys((Network, Picture), attrgetter("digest"))


def digest_of(source: bytes | Image.Image) -> str:
    """Return a name for exactly this file, or for exactly these pixels."""
    if isinstance(source, bytes):
        return hashlib.sha256(source).hexdigest()
    head = f"{source.mode} {source.size}".encode()
    return hashlib.sha256(head + source.tobytes()).hexdigest()


def choose_way(ways: Sequence[str], **settings: Any) -> str:
    """Let one of the ways to bring a picture be chosen: samples if the address names one, else the first at first."""
    recall("input", ways, ways[0], wanted=SAMPLES if "sample" in st.query_params else None)
    way = st.segmented_control(
        "Picture from", ways, key="input", required=True, label_visibility="collapsed", **settings
    )
    retain("input")
    if way != SAMPLES:
        st.query_params.pop("sample", None)
    return way


def upload() -> Picture | None:
    """Take a picture as a file, None while there is none; DataError if it is no picture."""
    files = uploaded("A picture", SUFFIXES, key="upload", limit=UPLOAD_LIMIT, hidden=True)
    if not files:
        note("A photo, a scan, a drawing: any size, any orientation. It is processed here and not kept.")
        return None
    return _read(files[0].data, files[0].name, theirs=True)


def camera() -> Picture | None:
    """Take a picture with the camera, None while there is none."""
    if not is_secure(st.context.url or ""):
        note("Browsers give the camera to secure pages only: use Upload, or open the page by https or localhost.")
        return None
    if not st.toggle("Camera on", key="camera-on"):
        note("The picture is taken in your browser, processed here, and not kept.")
        return None
    file = st.camera_input("Take a picture", key="camera", label_visibility="collapsed")
    return _read(file.getvalue(), "camera.jpg") if file else None


def is_secure(url: str) -> bool:
    """Tell whether a browser takes a page for a secure context (https://www.w3.org/TR/secure-contexts, section 3.1).

    An unknown address, "", is given the benefit of the doubt.
    """
    address = urlsplit(url)
    host = address.hostname or ""
    local = host in ("localhost", "::1") or host.endswith(".localhost") or re.fullmatch(r"127(\.\d+){3}", host)
    return address.scheme != "http" or bool(local)


def _read(data: bytes, name: str, *, theirs: bool = False) -> Picture:
    return Picture(name, data, compute(_decode, data, name), theirs)


def _decode(data: bytes, name: str) -> Image.Image:
    from cnn_core.data.images import read_image  # brings torch along

    image = read_image(data, name=name, at_least=SHOWN_EDGE)
    image.thumbnail((SHOWN_EDGE, SHOWN_EDGE))
    return image
