"""Public names of a package whose modules are imported with the first use of a name: importing the package is cheap."""

import importlib
from collections.abc import Callable, Mapping
from typing import Any


def lazy_names(package: str, homes: Mapping[str, str]) -> Callable[[str], Any]:
    """Return the `__getattr__` of a package.

    Args:
        package: its `__name__`.
        homes: public name -> module of the package that defines it.

    Raises:
        ValueError: a module has the same name as a public name; once imported, it would shadow it.
    """
    hidden = sorted(set(homes) & set(homes.values()))
    if hidden:
        raise ValueError(f"{package}: the module {hidden[0]} hides the public name {hidden[0]}; rename the module")

    def find(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(importlib.import_module(f"{package}.{homes[name]}"), name)

    return find
