"""How an answer came about, in the words of the fold at the end of the page; made from what the network's card says."""

from collections.abc import Sequence

from cnn_core.weights import WeightsCard

PARALLEL, WIDTHS = "kim_cnn", (3, 4, 5)  # the network of parallel filters, and their widths if the card has none
BECAME = {
    "rand": "the vector that the network learned for it",
    "static": "its pretrained vector, frozen in training",
    "non-static": "its pretrained vector, fine-tuned in training",
    "multichannel": "its pretrained vector, once frozen and once fine-tuned",
    "one-hot": "a channel of its own",
}


def text_steps(card: WeightsCard) -> str:
    """Return the steps from a text to its answer in Markdown."""
    options = card.arguments["options"]
    unit = "character" if card.input["tokenizer"] == "characters" else "word"
    if card.model == PARALLEL:
        given = options.get("widths")
        widths = [width for width in given if isinstance(width, int)] if isinstance(given, list) else WIDTHS
        slid = f"Filters slid over {_some(widths, unit)} at a time; each kept its highest value."
        weighed = "those"
    else:
        slid, weighed = f"The layers of {card.model} went over them, one after another.", "what they put out"
    if card.model == PARALLEL and options["vectors"] != "one-hot":
        colours = f"The colours split that sum again: a {unit}'s colour is what it added to the score of the answer."
    else:
        colours = (
            f"The colours are integrated gradients: what each {unit} adds to the score of the answer on the way from "
            "an empty text to this one."
        )
    return f"""\
1. The text was cut into {unit}s exactly as in training, and each {unit} became {BECAME[str(options["vectors"])]}.
2. {slid}
3. The last layer combined {weighed} into one score per class, and softmax turned them into probabilities that sum to 1.
4. {colours}

The same on the command line:"""


def _some(widths: Sequence[int], unit: str) -> str:
    """Return how many words filters see: "3 to 5 words", "2 and 4 words", "1 word"."""
    widths = sorted(set(widths))
    if len(widths) > 2 and widths[-1] - widths[0] == len(widths) - 1:
        said = f"{widths[0]} to {widths[-1]}"
    else:
        said = " and ".join(map(str, widths))
    return f"{said} {unit}" + ("s" if widths != [1] else "")
