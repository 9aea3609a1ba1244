"""An example to train on: requests to a house that listens, by what they are about; made here in a moment."""

import random
from functools import cache

PER_CLASS = 80
ROOMS = ("kitchen", "bedroom", "hall", "study", "garden", "bathroom", "living room")
TOWNS = ("Oslo", "Lisbon", "Nairobi", "Kyoto", "Lima", "Dublin", "Montreal")
DAYS = ("today", "tomorrow", "tonight", "on Sunday", "this evening", "at the weekend", "on Tuesday")
PLAYED = ("some jazz", "the new album by the Owls", "a piano sonata", "my running list", "the news", "an audio book")
TEMPLATES = {
    "light": (
        "turn the lights on in the {room}", "switch off the lamp in the {room}", "make the {room} a little brighter",
        "dim the lights {day}", "it is too dark in the {room}", "could you light the {room} please",
        "leave the lamp in the {room} on {day}",
    ),
    "music": (
        "play {played} in the {room}", "I would like to hear {played}", "put on {played} please", "a bit louder please",
        "stop {played}", "what is this song called", "play {played} again {day}",
    ),
    "weather": (
        "will it rain in {town} {day}", "how cold is it in {town}", "do I need an umbrella {day}",
        "what is the weather like in {town} {day}", "is there snow in {town}", "how windy will it be {day}",
        "when does the sun rise in {town}",
    ),
}  # fmt: skip
TRIED = (
    ("The lamp", "is the lamp in the hall still on?"),
    ("The rain", "will there be snow in Bergen on Friday?"),
    ("The tune", "play that song once more, but quietly"),
)


@cache
def example_csv() -> str:
    """Return a table with the columns text and label, 80 requests of each class at most; the same every time."""
    rng = random.Random(11)
    rows = [(text, label) for label in TEMPLATES for text in _requests(label, rng)]
    rng.shuffle(rows)
    return "text,label\n" + "".join(f"{text},{label}\n" for text, label in rows)  # no text has a comma


def _requests(label: str, rng: random.Random) -> list[str]:
    """Return different requests of a class."""
    found: dict[str, None] = {}
    for _ in range(10 * PER_CLASS):
        words = {"room": ROOMS, "town": TOWNS, "day": DAYS, "played": PLAYED}
        text = rng.choice(TEMPLATES[label]).format(**{name: rng.choice(own) for name, own in words.items()})
        found[text] = None
        if len(found) == PER_CLASS:
            break
    return list(found)
