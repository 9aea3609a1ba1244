"""Many pictures at once: a table, and the table as CSV."""

from components.batch import CLASSES, Sources, answered, answers_table, bring_many, class_cells
from components.networks import Network
from components.samples import kind_of, samples


def show_batch(network: Network) -> None:
    """Take pictures, answer them all, and offer the table."""

    def of_its_kind() -> Sources:
        kind = kind_of(network.card.labels, channels=network.channels)
        return [(sample.file, sample.path.read_bytes()) for sample in samples(kind)]

    sources = bring_many(network, of_its_kind, key="batch")
    answers = answered(network, sources, top_k=2)
    answers_table(
        answers, sources, lambda answer: class_cells(answer, answer.labels), CLASSES,
        file=f"{network.card.name}-answers.csv", top_k=2,
    )  # fmt: skip
