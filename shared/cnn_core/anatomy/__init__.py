"""What a network does to its input: sizes, receptive fields, costs, and which layer feeds which."""

from cnn_core.anatomy.graph import Node, trace_graph
from cnn_core.anatomy.receptive_field import ReceptiveField
from cnn_core.anatomy.sizes import output_size
from cnn_core.anatomy.table import format_table
from cnn_core.anatomy.trace import LayerRow, Total, is_inside, total, trace

__all__ = [
    "LayerRow",
    "Node",
    "ReceptiveField",
    "Total",
    "format_table",
    "is_inside",
    "output_size",
    "total",
    "trace",
    "trace_graph",
]
