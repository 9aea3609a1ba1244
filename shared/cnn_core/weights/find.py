"""Weights by name or folder, without loading torch.

Shipped weights lie in the folder `weights/<name>` of a domain's package; a finished run is a folder with the same two
files. While weights are being saved, a third file, `card.json.new`, makes the pair of files change in one step
(see `cnn_core.weights.store`).
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from cnn_core.domains import domain_folders
from cnn_core.errors import WeightsError, unknown_name
from cnn_core.weights.card import CARD_LIMIT, WeightsCard

CARD_FILE = "card.json"
NEW_CARD_FILE = "card.json.new"
MODEL_FILE = "model.safetensors"


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

    A text that is the name of shipped weights means those; `./name` means the folder.

    Args:
        name_or_folder: a name of `list_weights()` or a path.
        domain: look for names in this domain only.

    Raises:
        UnknownNameError: nothing bears the name; the message lists the nearest ones.
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
        if not _looks_like_path(name_or_folder):
            raise unknown_name("weights", name_or_folder, [entry.name for entry in entries])
    return _run_folder(Path(name_or_folder))


def load_card(name_or_folder: str | Path, *, domain: str | None = None) -> WeightsCard:
    """Return the card of the weights found as `find_weights` does.

    Raises:
        UnknownNameError: nothing bears the name.
        WeightsError: the card is damaged, incomplete, or belongs to other weights.
    """
    folder = find_weights(name_or_folder, domain=domain)
    if (folder / NEW_CARD_FILE).exists():
        digest = file_sha256(folder / MODEL_FILE)
        for card in read_cards(folder):
            if card.sha256 == digest:
                return card
    return read_cards(folder)[0]


def read_cards(folder: Path) -> list[WeightsCard]:
    """Return the card in `folder`, and behind it the one of a save that is under way or was cut short, if any.

    Raises:
        WeightsError: a card is missing, damaged, or its name or domain is not that of its shipped folder.
    """
    new = _read_card(folder / NEW_CARD_FILE)  # first: another process may give it its final name at any moment
    cards = [card for card in (_read_card(folder / CARD_FILE), new) if card is not None]
    if not cards:
        raise WeightsError(f"{folder} has no {CARD_FILE}; a run writes it when it has finished")
    shipped = {entry.folder.resolve(): entry for entry in list_weights()}.get(folder.resolve())
    for card in cards:
        if shipped is not None and (card.name, card.domain) != (shipped.name, shipped.domain):
            raise WeightsError(
                f"{folder / CARD_FILE}: the card is that of {card.domain}/{card.name}, but the folder is that of "
                f"{shipped.domain}/{shipped.name}; restore the card"
            )
    return cards


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file's content as 64 hexadecimal digits."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise WeightsError(f"could not read {path}: {error.strerror}; restore the file or train again") from error


def _read_card(path: Path) -> WeightsCard | None:
    """Return the card, or None where there is no such file."""
    try:
        with path.open("rb") as file:
            text = file.read(CARD_LIMIT + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise WeightsError(f"could not read {path}: {error.strerror}; check its permissions") from error
    return WeightsCard.from_json(text, source=str(path))


def _looks_like_path(text: str) -> bool:
    return "/" in text or "\\" in text or text.startswith(".") or (text != "" and _exists(Path(text)))


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):  # a name that is too long, holds a zero byte, or lies in a closed folder
        return False


def _run_folder(path: Path) -> Path:
    if not _exists(path):
        raise WeightsError(f"no such folder: {path}; expected the name of shipped weights or the folder of a run")
    folder = path.parent if path.name in (CARD_FILE, MODEL_FILE) and path.is_file() else path
    saving = (folder / NEW_CARD_FILE).is_file()  # asked first: it may be given its final name at any moment
    missing = [name for name in (CARD_FILE, MODEL_FILE) if not (folder / name).is_file()]
    if MODEL_FILE not in missing and saving:
        missing = []  # the first save into this folder was cut short after the model; the pair is complete
    if missing:
        raise WeightsError(
            f"{folder} holds no weights: {' and '.join(missing)} missing; a run writes {CARD_FILE} and {MODEL_FILE} "
            "when it has finished"
        )
    return folder
