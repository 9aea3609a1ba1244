"""Dense prediction on inputs of any size: windows, blending, masks and maps, in bounded memory."""

from cnn_core.inference.fuse import fuse
from cnn_core.inference.segment import Segmentation, segment
from cnn_core.inference.sliding import Advance, Slab, StoppedError, slabs, sliding_window
from cnn_core.inference.windows import WindowConfig, held_bytes, lay_out

__all__ = [
    "Advance",
    "Segmentation",
    "Slab",
    "StoppedError",
    "WindowConfig",
    "fuse",
    "held_bytes",
    "lay_out",
    "segment",
    "slabs",
    "sliding_window",
]
