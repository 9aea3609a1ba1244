"""What the pages know of texts: sample sentences (written for this repository) and names of classes, by their kind."""

from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Kind:
    """Texts that a network was made for.

    Args:
        title: what they are.
        classes: the labels of networks of this kind.
        kicker: the small line above the answer.
        samples: (title, text), a telling one first.
        names: what the pages call a label; others go by their own name.
    """

    title: str
    classes: frozenset[str]
    kicker: str
    samples: tuple[tuple[str, str], ...]
    names: dict[str, str] = field(default_factory=dict)


REVIEWS = Kind(
    "a sentence of a film review",
    frozenset(("negative", "positive")),
    "This review is",
    (
        ("A mixed one", "The plot is a mess, but the two leads are a joy to watch."),
        ("Warm words", "A warm, funny film that never lets you see its seams."),
        ("Hard words", "Two hours of noise, and not a single idea."),
        ("Faint praise", "Not bad, though you will have forgotten it by the time you are home."),
        ("Irony", "A masterpiece, if you like to watch paint dry."),
    ),
)
QUESTIONS = Kind(
    "a question",
    frozenset(("ABBR", "DESC", "ENTY", "HUM", "LOC", "NUM")),
    "This asks for",
    (
        ("Who", "Who wrote the first novel about a journey to the moon?"),
        ("How many", "How many bridges cross the river in Budapest?"),
        ("Where", "Where is the highest railway station in Europe?"),
        ("Why", "Why do cats purr when they are content?"),
        ("What animal", "What animal sleeps standing up?"),
        ("Letters", "What does the abbreviation NASA stand for?"),
    ),
    {
        "ABBR": "an abbreviation", "DESC": "a description", "ENTY": "a thing", "HUM": "a person", "LOC": "a place",
        "NUM": "a number",
    },
)  # fmt: skip
NEWS = Kind(
    "a piece of news",
    frozenset(("World", "Sports", "Business", "Sci_Tech")),
    "This is news of",
    (
        ("Two worlds", "Software maker sues its rival over search patents; shares of both companies fall."),
        ("A match", "A late goal sends the visitors into the final after ninety goalless minutes."),
        ("A summit", "Ministers meet in Geneva for new peace talks as troops leave the border region."),
        ("A market", "The airline raises its profit forecast as oil prices drop for a third week."),
        ("A probe", "A space probe sends home the first pictures of a frozen moon of Saturn."),
    ),
    {"World": "the world", "Sports": "sports", "Business": "business", "Sci_Tech": "science and technology"},
)
DOCSTRINGS = Kind(
    "a docstring",
    frozenset(
        ("files and system", "language and tools", "markup", "networking", "processes and threads", "text and data",
         "windows and drawing")
    ),
    "This describes",
    (
        ("A request", "Send the request to the server and return the response with its headers."),
        ("A widget", "Draw a line on the canvas in the colour of the pen."),
        ("An element", "Return the first child element with the given tag."),
        ("A lock", "Acquire the lock, and block until the other process has released it."),
    ),
)  # fmt: skip
OTHER = Kind("a text", frozenset(), "The network's answer", ())
KINDS = (REVIEWS, QUESTIONS, NEWS, DOCSTRINGS)
SAMPLES = frozenset(text for kind in KINDS for _, text in kind.samples)


def kind_of(labels: Sequence[str]) -> Kind:
    """Return what a network with these classes is for."""
    return next((kind for kind in KINDS if kind.classes == set(labels)), OTHER)


def spoken(label: str, labels: Sequence[str]) -> str:
    """Return what the pages call one of a network's `labels`."""
    return kind_of(labels).names.get(label, label)
