"""What the pages of the lab share: the list of ideas, and the parts that each idea has besides its picture."""

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import mean, stdev

import streamlit as st

from components.address import pick
from components.frame import ASSETS, download, page
from components.networks import await_torch

THUMBNAILS = ASSETS / "lab"  # made by assets/make_lab.py
LAB_PATH = 'import sys\n\nsys.path.append("apps")  # of the repository: the code of the lab\n\n'


@dataclass(frozen=True)
class Idea:
    """A page of the lab."""

    name: str  # in the address
    title: str  # in the navigation and on the index
    promise: str  # the page's own headline
    lead: str  # one or two sentences
    stored: bool = False  # it shows trainings of before, and computes nothing on opening

    @property
    def page(self) -> str:
        return f"views/lab_{self.name}.py"


IDEAS = (
    Idea(
        "seeing", "What a computer sees", "A picture is a table of numbers",
        "One number per pixel for grey, three for colour. Nothing else goes into a network.",
    ),
    Idea(
        "convolution", "Convolution", "A kernel slides over a picture",
        "At every position, nine pixels are multiplied by nine weights and added up: one pixel of the output.",
    ),
    Idea(
        "pooling", "Convolution, ReLU, pooling", "Detect, keep what is positive, shrink",
        "The three steps that every convolutional network repeats, shown on one photo with one kernel.",
    ),
    Idea(
        "sharing", "Sharing weights", "The same weights everywhere",
        "A dense layer learns every position separately. A convolution learns one small kernel and applies it "
        "everywhere, with far fewer weights.",
    ),
    Idea(
        "activations", "Activations and softmax", "Nonlinearity makes depth count",
        "Without a nonlinear activation function between them, any number of layers is one linear layer. These are the "
        "usual functions, and how scores become probabilities.",
    ),
    Idea(
        "receptive", "Receptive field", "Deeper layers see more",
        "Each cell of a feature map depends on a patch of the picture, its receptive field. Every convolution and "
        "every pooling makes it larger.",
    ),
    Idea(
        "learning", "Learning", "Filters are learned, not written",
        "Kernels start as noise. Every step of gradient descent moves each weight a little, so that the loss falls.",
    ),
    Idea(
        "overfitting", "Overfitting", "Overfitting: memorised, not understood",
        "With few examples, a network memorises them, and the test loss rises. What helps then can cost accuracy once "
        "there is plenty of data.", stored=True,
    ),
    Idea(
        "augmentation", "Augmentation", "The same thing, seen differently",
        "Every change keeps what the picture shows. A network that was trained on such variations is robust to them.",
    ),
    Idea(
        "filters", "What filters learned", "What each channel responds to",
        "The patches that activate a channel most, and the picture that gradient ascent draws for it.",
    ),
    Idea(
        "transfer", "Transfer learning", "Reuse what was learned",
        "A network that reads digits needs only a few labels to read other digits. Even for clothes, it already knows "
        "what an edge is.", stored=True,
    ),
    Idea(
        "sound", "Sound", "A sound is a picture too",
        "Cut a wave into frames and ask which tones are in each: a picture of pitch over time. Or let a kernel slide "
        "over the wave itself, in one dimension.",
    ),
    Idea(
        "drive", "Drive", "Steering from pictures",
        "A small network looks through a windscreen and turns the wheel. What it sees next depends on what it did, so "
        "it also has to learn how to come back.",
    ),
    Idea(
        "timeline", "Timeline", "From a cat's brain to a hundred layers",
        "Sixty years of one idea: look at small regions, with the same weights everywhere, layer upon layer.",
    ),
)  # fmt: skip


def opening(name: str) -> None:
    """Begin the page of an idea."""
    idea = next(idea for idea in IDEAS if idea.name == name)
    page(idea.promise, idea.lead)
    st.html(ASSETS / "lab.css")
    if not idea.stored:
        await_torch()


def formula(latex: str, line: str, source: str) -> None:
    """Show what is computed, as mathematics and as the line of code that does it; `source` is where that stands."""
    left, right = st.columns(2, gap="large", vertical_alignment="center")
    with left:
        parts = latex.split(r"\qquad")  # a narrow screen gives each its line
        st.latex(r"\qquad\allowbreak ".join(f"{{{part}}}" for part in parts) if len(parts) > 1 else latex)
    with right:
        st.code(f"# {source}\n{line}", language="python", wrap_lines=True)


@dataclass(frozen=True)
class Choice:
    """One of a few values: what it is called, its key in the address, the values, and how they are called.

    `default` is chosen first; "": the first of the values.
    """

    label: str
    key: str
    options: Sequence[str]
    words: Mapping[str, str] = field(default_factory=dict)
    pills: bool = False
    default: str = ""

    def ask(self) -> str:
        """Show the values and return the user's choice."""
        return pick(
            st.pills if self.pills else st.segmented_control, self.label, self.options, key=self.key,
            default=self.default, required=True, wrap=True, format_func=lambda name: self.words.get(name, name),
        )  # fmt: skip


def mean_and_spread(shares: Sequence[float]) -> str:
    """Write shares, one of each training, as a mean with its spread, in percent."""
    return f"{100 * mean(shares):.1f} ± {100 * stdev(shares):.1f} %"


def ask_side_by_side(*choices: Choice) -> list[str]:
    """Ask several in one line, each as wide as its words need."""
    letters = [sum(len(choice.words.get(o, o)) + 4 for o in choice.options) for choice in choices]
    answers = []
    widths = [max(14, n) for n in letters]
    widths.append(max(1, 92 - sum(widths)))  # what is left of the line
    for place, choice in zip(st.columns(widths), choices, strict=False):
        with place:
            answers.append(choice.ask())
    return answers


def kernel_titles() -> dict[str, str]:
    """Return the named kernels: name -> title."""
    from lab.kernels import NAMED_KERNELS

    return {kernel.name: kernel.title for kernel in NAMED_KERNELS}


def arithmetic(before: str, after: str, note: str, *, sign: str = "=") -> None:
    """Show one calculation in large type."""
    st.html(
        f'<p class="arithmetic" role="status"><span>{html.escape(before)}</span> {sign} <b>{html.escape(after)}</b></p>'
        f'<p class="note">{html.escape(note)}</p>'
    )


def closing(name: str, *, question: str, snippet: str, files: Sequence[tuple[str, bytes]] = ()) -> None:
    """End the page of an idea: something to try, the code that gives the numbers shown, the ways on.

    Args:
        name: of the idea.
        question: one thing to try.
        snippet: runs by itself from the repository's folder.
        files: (name, bytes) that the snippet reads and the reader does not have.
    """
    st.html(f'<p class="question"><b>Try</b> {html.escape(question)}</p>')
    with st.expander("Show the code"):
        st.code(f"{LAB_PATH}{snippet}" if "from lab." in snippet else snippet, language="python")
        for file, data in files:
            download(file, data, file, key=f"file-{file}")
    place = [idea.name for idea in IDEAS].index(name)
    before, after = st.columns(2)
    if place:
        with before:
            st.page_link(IDEAS[place - 1].page, label=IDEAS[place - 1].title, icon=":material/arrow_back:")
    if place + 1 < len(IDEAS):
        with after, st.container(horizontal_alignment="right"):
            following = IDEAS[place + 1]
            st.page_link(following.page, label=following.title, icon=":material/arrow_forward:", icon_position="right")
