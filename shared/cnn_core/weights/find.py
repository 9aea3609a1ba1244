"""Weights by name or folder, without loading torch.

Shipped weights lie in the folder `weights/<name>` of a domain's package; a finished run is a folder with the same two
files, the card and the tensors, whose file is named by its content (see `cnn_core.weights.store`).
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cnn_core.domains import domain_folders
from cnn_core.errors import UnknownNameError, WeightsError, unknown_name
from cnn_core.weights.card import CARD_LIMIT, WeightsCard

CARD_FILE = "card.json"
MODEL_FILES = "model*.safetensors"

Fetch = Callable[[str], Path]  # name -> folder of its weights, downloaded if need be; UnknownNameError if there is none


@dataclass(frozen=True)
class WeightsEntry:
    """Shipped weights: their name, the domain they belong to, and the folder with the two files."""

    name: str
    domain: str
    folder: Path


def list_weights(*, domain: str | None = None) -> list[WeightsEntry]:
    """Return the shipped weights of all domains or of one, in alphabetical order; the files are not read.

    Raises:
        UnknownNameError: no such domain.
    """
    domains = domain_folders()
    if domain is not None and domain not in domains:
        raise unknown_name("domain", domain, domains)
    return sorted(
        (
            WeightsEntry(card.parent.name, name, card.parent)
            for name, package in domains.items()
            if domain in (None, name)
            for card in (package / "weights").glob(f"*/{CARD_FILE}")
        ),
        key=lambda entry: (entry.name, entry.domain),
    )


def find_weights(name_or_folder: str | Path, *, domain: str | None = None) -> Path:
    """Return the folder of shipped weights, of a finished run, or of one of the two files in such a folder.

    A text that is the name of shipped weights means those; `./name` means the folder. `torchvision:resnet18` and the
    like are weights that others publish: a domain's `SOURCES` fetches them with their first use.

    Args:
        name_or_folder: a name of `list_weights()`, `SOURCE:NAME`, or a path.
        domain: look for names in this domain only.

    Raises:
        UnknownNameError: there is nothing of this name; the message lists the nearest ones.
        WeightsError: the folder does not hold weights, or two domains ship the name.
    """
    if isinstance(name_or_folder, str):
        entries = list_weights(domain=domain)
        found = [entry for entry in entries if entry.name == name_or_folder]
        if len(found) > 1:
            domains = " and ".join(entry.domain for entry in found)
            raise WeightsError(f"weights {name_or_folder!r} exist in {domains}; say which domain you mean")
        if found:
            return found[0].folder
        prefix, colon, published = name_or_folder.partition(":")
        if colon and (fetchers := sources(domain=domain).get(prefix)):
            return _fetched(fetchers, published)
        is_path = name_or_folder.startswith(".") or "/" in name_or_folder or "\\" in name_or_folder
        if not is_path and not os.path.exists(name_or_folder):  # noqa: PTH110 (pathlib raises for impossible names)
            raise unknown_name("weights", name_or_folder, [entry.name for entry in entries])
    return _run_folder(Path(name_or_folder))


def sources(*, domain: str | None = None) -> dict[str, list[Fetch]]:
    """Return source -> what fetches its weights, one function for each domain that uses some of them."""
    from cnn_core.domains import loaded_domains

    found: dict[str, list[Fetch]] = {}
    for name, package in loaded_domains():
        if domain in (None, name):
            for source, fetch in getattr(package, "SOURCES", {}).items():
                found.setdefault(source, []).append(fetch)
    return found


def _fetched(fetchers: list[Fetch], name: str) -> Path:
    """Return the folder of weights from the first domain that knows the name."""
    unknown: list[UnknownNameError] = []
    for fetch in fetchers:
        try:
            return fetch(name)
        except UnknownNameError as error:
            unknown.append(error)
    raise unknown_name(unknown[0].kind, name, {known for error in unknown for known in error.known})


def load_card(name_or_folder: str | Path, *, domain: str | None = None) -> WeightsCard:
    """Return the card of the weights found as `find_weights` does.

    Raises:
        UnknownNameError: there is nothing of this name.
        WeightsError: the card is damaged, incomplete, or belongs to other weights.
    """
    return read_card(find_weights(name_or_folder, domain=domain))


def read_card(folder: Path) -> WeightsCard:
    """Return the card in a folder that `find_weights` returned; raises WeightsError as `load_card` does."""
    path = folder / CARD_FILE
    try:
        with path.open("rb") as file:
            text = file.read(CARD_LIMIT + 1)
    except OSError as error:
        raise WeightsError(f"could not read {path}: {error.strerror}; restore it, or check its permissions") from error
    card = WeightsCard.from_json(text, source=str(path))
    shipped = {entry.folder.resolve(): entry for entry in list_weights()}.get(folder.resolve())
    if shipped is not None and (card.name, card.domain) != (shipped.name, shipped.domain):
        raise WeightsError(
            f"{path}: the card is that of {card.domain}/{card.name}, but the folder is that of "
            f"{shipped.domain}/{shipped.name}; restore the card"
        )
    return card


def _run_folder(path: Path) -> Path:
    if not os.path.exists(path):  # noqa: PTH110 (as above)
        raise WeightsError(f"no such folder: {path}; expected the name of shipped weights or the folder of a run")
    folder = path.parent if path.is_file() and (path.name == CARD_FILE or path.match(MODEL_FILES)) else path
    missing = [name for name in (CARD_FILE, MODEL_FILES) if not any(folder.glob(name))]
    if missing and folder.resolve() not in {entry.folder.resolve() for entry in list_weights()}:
        raise WeightsError(
            f"{folder} holds no weights: {' and '.join(missing)} missing; a run writes {CARD_FILE} and {MODEL_FILES} "
            "when it has finished"
        )
    return folder
