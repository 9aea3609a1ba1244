"""The same text through several networks, side by side."""

from components.bars import answer
from components.coloured import coloured
from components.frame import note
from components.networks import Network
from components.side_by_side import cost, side_by_side
from views.text_parts.ask import ask, names, reasons


def show_compare(known: dict[str, Network], network: Network, text: str) -> None:
    """Show answer, coloured text and cost of several networks."""
    side_by_side(known, network, lambda chosen: _column(chosen, text))


def _column(network: Network, text: str) -> None:
    found = ask(network, text)
    kicker = f"{network.title}, {network.card.model}"
    answer(names(network, found.labels), found.probabilities, kicker=kicker, shown=3, small=True)
    coloured(text, reasons(network, text).spans, small=True)
    note(cost(network, text))
