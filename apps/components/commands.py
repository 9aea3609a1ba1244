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
