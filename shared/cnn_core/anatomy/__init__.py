"""What a network does to its input: sizes, receptive fields, costs, and a convolution one step at a time."""

from cnn_core.anatomy.graph import Node, trace_graph
from cnn_core.anatomy.receptive_field import ReceptiveField
from cnn_core.anatomy.series import Fork, Series, as_series
from cnn_core.anatomy.sizes import output_size, transposed_output_size
from cnn_core.anatomy.stepwise import ConvolutionStep, PoolingStep, convolution_step, output_shape, pooling_step
from cnn_core.anatomy.table import format_table
from cnn_core.anatomy.trace import LayerRow, Total, count_parameters, total, trace

__all__ = [
    "ConvolutionStep",
    "Fork",
    "LayerRow",
    "Node",
    "PoolingStep",
    "ReceptiveField",
    "Series",
    "Total",
    "as_series",
    "convolution_step",
    "count_parameters",
    "format_table",
    "output_shape",
    "output_size",
    "pooling_step",
    "total",
    "trace",
    "trace_graph",
    "transposed_output_size",
]
