"""Lab: transfer learning."""

from statistics import mean

from components.charts import LineChart, show_charts
from components.frame import note, plain_errors
from components.lab import THUMBNAILS, Choice, ask_side_by_side, closing, formula, mean_and_spread, opening
from components.tables import table
from lab.transfer import LABELS, SEEDS, STEPS, TARGETS, TITLES, snippet, stored

HEADS = (
    ("Method", ""), ("Test accuracy", "number"), ("Trained parameters", "number"), ("Trained in", "number"),
)  # fmt: skip


def main() -> None:
    opening("transfer")
    data, labels = ask_side_by_side(
        Choice("From digits to", "to", list(TARGETS), TARGETS),
        Choice("Labels per class", "labels", [str(n) for n in LABELS], default="10"),
    )
    target, count = stored(THUMBNAILS)[data], int(labels)
    with plain_errors():
        lines = {
            TITLES[way]: [(float(n), mean(run.accuracy)) for n, run in runs.items()]
            for way, runs in target.runs.items()
        }
        title = f"Test accuracy, {target.n:,} pictures"
        show_charts(
            [LineChart(title, lines, "labels per class", "accuracy", percent=True, log_x=True)], key="transfer-curves"
        )
        note(
            f"Transferred from the MNIST network. Every point is the mean of {len(SEEDS)} runs of about {STEPS} "
            "steps, each with different training pictures."
        )
        table(
            HEADS,
            [
                (TITLES[way], mean_and_spread(run.accuracy), f"{run.trained:,}", f"{run.seconds:.0f} s")
                for way, run in ((way, runs[count]) for way, runs in target.runs.items())
            ],
            label=f"With {labels} labels per class",
            narrow=True,
        )
        formula(
            r"\hat y = \mathrm{softmax}\big(W\,\phi_\theta(x)\big), \qquad "
            r"\theta \text{ frozen, partly frozen, or learned}",
            "features = cached_array(key, maps)  # the encoder runs once",
            "image_classification.transfer",
        )
        closing(
            "transfer",
            question="From how many labels on is training from scratch as good? And what does a frozen encoder lose on "
            "clothes that it does not lose on digits?",
            snippet=snippet(data, count),
        )


main()
