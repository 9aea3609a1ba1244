"""The zoo: every network of the core looked at from outside: its plan, its costs, its speed on this machine."""

from cnn_core.lazy import lazy_names

_HOMES = {
    "Measurement": "measuring",
    "Survey": "plans",
    "ZooEntry": "plans",
    "build": "plans",
    "measure": "measuring",
    "survey": "plans",
    "zoo_entries": "plans",
}
__all__ = sorted(_HOMES)
__getattr__ = lazy_names(__name__, _HOMES)
