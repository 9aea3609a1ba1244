"""A `Captioner` from its card and back."""

from pathlib import Path

from cnn_core.errors import ConfigError, WeightsError
from cnn_core.weights import WeightsCard, find_weights, load_card, load_model
from image_captioning.contract import CaptionContract
from image_captioning.model import Captioner, build_decoder, build_encoder

DOMAIN = "image_captioning"
OPTIONS = {
    "decoder": str, "hidden": int, "size": int, "attention": int, "cell": str, "dropout": (int, float), "stage": str,
    "encoder": dict, "beams": int, "length_power": (int, float),
}  # fmt: skip


def contract_of(card: WeightsCard) -> CaptionContract:
    """Return the input contract of a card.

    Raises:
        WeightsError: the card is of another domain, or its contract or options cannot be used.
    """
    if card.domain != DOMAIN:
        raise WeightsError(f"weights {card.name!r} belong to {card.domain}, not to {DOMAIN}")
    options = card.arguments["options"]
    wrong = [name for name, kind in OPTIONS.items() if not isinstance(options.get(name), kind)]
    if wrong:
        raise WeightsError(f"weights {card.name!r}: the card's options lack {', '.join(wrong)}; restore the card")
    try:
        contract = CaptionContract.from_json(card.input)
    except ConfigError as error:
        raise WeightsError(f"weights {card.name!r}: {error}; restore the card") from error
    if contract.rows != card.arguments["num_classes"]:
        raise WeightsError(
            f"weights {card.name!r}: {contract.rows - 4} words in the vocabulary, but the network has "
            f"{card.arguments['num_classes'] - 4}; restore the card"
        )
    return contract


def load_captioner(name: str | Path) -> tuple[Captioner, WeightsCard]:
    """Load weights by name or folder, in evaluation mode on the CPU.

    Raises:
        UnknownNameError: nothing bears the name.
        WeightsError: the weights are damaged, or do not fit their card.
    """

    def build(card: WeightsCard) -> Captioner:
        contract, options = contract_of(card), card.arguments["options"]
        encoder = build_encoder(
            card.model, stage=options["stage"], input_size=contract.input_size, options=options["encoder"]
        )
        return Captioner(encoder, build_decoder(options["decoder"], encoder.channels, contract.rows, options=options))

    return load_model(name, domain=DOMAIN, build=build)


def starting_card(weights: str | None) -> WeightsCard | None:
    """Return the card of the weights that a training goes on from, None for none."""
    return load_card(find_weights(weights, domain=DOMAIN)) if weights else None
