"""What a network does to its input: sizes, receptive fields, costs, and a convolution one step at a time."""

from cnn_core.anatomy.graph import Node, trace_graph
from cnn_core.anatomy.kernels import NAMED_KERNELS, NamedKernel, find_kernel
from cnn_core.anatomy.receptive_field import ReceptiveField
from cnn_core.anatomy.series import Fork, Series, as_series
from cnn_core.anatomy.sizes import output_size
from cnn_core.anatomy.stepwise import (
    ConvolutionStep,
    convolution_step,
    convolve,
    output_shape,
    padded,
)
from cnn_core.anatomy.table import format_table
from cnn_core.anatomy.trace import LayerRow, Total, is_inside, total, trace

__all__ = [
    "NAMED_KERNELS",
    "ConvolutionStep",
    "Fork",
    "LayerRow",
    "NamedKernel",
    "Node",
    "ReceptiveField",
    "Series",
    "Total",
    "as_series",
    "convolution_step",
    "convolve",
    "find_kernel",
    "format_table",
    "is_inside",
    "output_shape",
    "output_size",
    "padded",
    "total",
    "trace",
    "trace_graph",
]
