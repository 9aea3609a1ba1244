"""Words of the commands that pages print: what is pasted into a shell asks exactly what the page was asked."""

import shlex

from components.networks import Network


def network_word(network: Network) -> str:
    """Return how a command names a network."""
    return shlex.quote(network.id)


def file_word(name: str) -> str:
    """Return a file name as one word, which is no flag either."""
    return shlex.quote(f"./{name}" if name.startswith("-") else name)


def text_word(text: str) -> str:
    """Return a text as one word; a space keeps one that begins with a minus from being read as a flag."""
    return shlex.quote(f" {text}" if text.startswith("-") else text)


def asking(network: Network, word: str, *, method: str, output: str = "why.png", saved: str = "") -> list[str]:
    """Return the commands that ask a network for the same answer and its reasons.

    Args:
        network: that was asked.
        word: for the input.
        method: of the reasons.
        output: the file for them.
        saved: more flags of the answer.
    """
    arguments = f"{network_word(network)} {word}"
    return [f"cnn predict {arguments}{saved}", f"cnn explain {arguments} --method {method} --output {output}"]
