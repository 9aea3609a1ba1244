"""The same picture through several networks, side by side."""

from components.bars import answer
from components.bring import Picture
from components.networks import Network
from components.pictures import Figure, figures
from components.side_by_side import cost, side_by_side
from views.image_parts.ask import ask, reasons


def show_compare(known: dict[str, Network], network: Network, picture: Picture) -> None:
    """Show answer, heat map and cost of several networks."""
    side_by_side(known, network, lambda chosen: _column(chosen, picture))


def _column(network: Network, picture: Picture) -> None:
    found = ask(network, picture)
    answer(found.labels, found.probabilities, kicker=f"{network.title}, {network.card.model}", shown=3, small=True)
    caption = cost(network, picture.source)
    why = reasons(network, picture, "grad-cam", found.labels[0])
    figures([Figure(why.overlay, caption, f"where {network.title} looked")])
