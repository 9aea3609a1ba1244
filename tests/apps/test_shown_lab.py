"""What the lab's pages show is what the library says: every map, film, curve, table, bar and figure."""

import math
import re
from statistics import mean, stdev

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from driving import (
    as_bars,
    bars,
    charts,
    checked,
    figure,
    figures,
    html,
    library,
    numbers,
    picture,
    sent,
    table,
    text_of,
)
from lab_pages import open_lab
from PIL import Image
from scipy import signal

from cnn_core.explain import filters
from components.lab import IDEAS, THUMBNAILS
from components.pixel_inspector import inspector_key
from components.samples import find_sample
from lab import filters as preferred
from lab import milestones, overfitting, sharing, transfer
from lab.activations import find_activation
from lab.augmentations import AUGMENTATIONS, augmented
from lab.effective import effective_field, stage_fields
from lab.kernels import NAMED_KERNELS
from lab.learning import backward_step, digits, learn
from lab.small import small_network
from views.lab_parts import learning
from views.lab_parts.convolution import COLOUR_FILTERS
from views.lab_parts.picture import sample_picture

MINUS = "−"
SEVEN = np.asarray(Image.open(find_sample("seven").path))


def kernel(name: str) -> np.ndarray:
    return np.array(next(kernel.rows for kernel in NAMED_KERNELS if kernel.name == name))


def maps_of(shown: dict) -> list[np.ndarray]:
    sizes = [(3,) * (one["kind"] == "colour") + (one["rows"], one["columns"]) for one in shown["maps"]]
    return [numbers(one["values"], *size) for one, size in zip(shown["maps"], sizes, strict=True)]


def test_the_index_shows_every_idea_under_its_own_picture():
    lab = open_lab("")
    shown = re.findall(r'<figure class="figure idea"><img src="(.*?)"', html(lab))
    leads = [text_of(lead) for lead in re.findall(r'<p class="note">(.*?)</p>', html(lab))]
    for idea, uri, lead, link in zip(IDEAS, shown, leads, lab.page_link, strict=True):
        assert np.array_equal(picture(uri), np.asarray(Image.open(THUMBNAILS / f"{idea.name}.png")))
        assert (lead, link.label) == (idea.lead, f"**{idea.title}**")


def test_seeing_shows_the_pixels_on_their_scale_and_what_is_read_from_them():
    page = open_lab("seeing", scale="normalised")
    painted = dict.fromkeys(range(28 * 14), 255)  # the upper half white
    page.session_state[f"{inspector_key('seven', SEVEN)}-kept"] = [[i, value] for i, value in painted.items()]
    (inspector,) = sent(checked(page.run()), "pixel_inspector")
    pixels = SEVEN.copy()
    pixels[:14] = 255
    assert np.array_equal(numbers(inspector["original"], 28, 28), SEVEN)
    assert np.array_equal(numbers(inspector["pixels"], 28, 28), pixels)
    assert inspector["edits"] == [[i, v] for i, v in painted.items()]
    assert (inspector["factor"], inspector["shift"]) == (
        [pytest.approx(1 / 255 / 0.3081)], [pytest.approx(-0.1307 / 0.3081)]
    )  # fmt: skip
    assert (inspector["channels"], inspector["digits"], inspector["says"]) == (1, 2, "28 × 28 pixels")
    (answer,) = library("image_classification", "mnist").predict([pixels])
    assert bars(page) == [as_bars(answer.labels[:3], answer.probabilities[:3])]


def test_seeing_shows_three_numbers_per_pixel_of_a_photo():
    (inspector,) = sent(open_lab("seeing", picture="dahlia"), "pixel_inspector")
    photo = sample_picture(find_sample("dahlia"), edge=64, mode="RGB").values
    assert np.array_equal(numbers(inspector["pixels"], 64, 64, 3), photo)
    assert (inspector["channels"], inspector["factor"], inspector["shift"], inspector["editable"]) == (
        3,
        [1],
        [0],
        False,
    )


@pytest.mark.parametrize("kind", ["correlation", "convolution"])
def test_convolution_shows_scipys_numbers(kind: str):
    page = open_lab("convolution", kernel="emboss", padding="1", stride="2", kind=kind)
    shown, colours = sent(page, "convolution_stepper")
    slides = kernel("emboss") if kind == "correlation" else kernel("emboss")[::-1, ::-1]
    wide = np.pad(SEVEN.astype(float), 1)
    assert np.array_equal(numbers(shown["padded"], 30, 30), wide)
    assert np.allclose(numbers(shown["kernels"], 3, 3), slides)
    assert np.allclose(numbers(shown["output"], 14, 14), signal.correlate2d(wide, slides, "valid")[::2, ::2], atol=1e-3)
    assert [shown[name] for name in ("stride", "dilation", "padding", "height", "rows")] == [2, 1, 1, 30, 14]
    output = np.abs(numbers(shown["output"], 14, 14))[3:-3, 3:-3]
    assert shown["position"] == [int(n) + 3 for n in np.unravel_index(output.argmax(), output.shape)]
    assert "<b>14</b>" in html(page)

    photo = sample_picture(find_sample("dahlia"), edge=64, mode="RGB").values.astype(float)
    wide = np.pad(photo, ((1, 1), (1, 1), (0, 0)), mode="edge")
    kernels, outputs = numbers(colours["kernels"], 4, 3, 3, 3), numbers(colours["output"], 4, 64, 64)
    assert colours["filters"] == list(COLOUR_FILTERS)
    for one, output, (flat, weights) in zip(kernels, outputs, COLOUR_FILTERS.values(), strict=True):
        assert np.allclose(one, np.array(weights)[:, None, None] * np.array(flat))
        expected = sum(signal.correlate2d(wide[..., c], one[c], "valid") for c in range(3))
        assert np.allclose(output, expected, atol=2e-3)


@pytest.mark.parametrize(("pool", "window"), [("max", 2), ("mean", 3)])
def test_pooling_shows_torchs_maps_and_what_their_cells_see(pool: str, window: int):
    page = open_lab("pooling", picture="dahlia", kernel="outline", pool=pool, window=str(window))
    (shown,) = sent(page, "maps")
    x = torch.tensor(sample_picture(find_sample("dahlia"), edge=96).values, dtype=torch.float32)[None, None]
    weight = torch.tensor(kernel("outline"), dtype=torch.float32)[None, None]
    convolved = F.conv2d(F.pad(x, (1,) * 4, mode="replicate"), weight)
    pooled = (F.max_pool2d if pool == "max" else F.avg_pool2d)(convolved.relu(), window)
    assert (r"\max_{u,v < w}" in page.latex[0].value) == (pool == "max")
    for values, expected in zip(maps_of(shown), (x, convolved, convolved.relu(), pooled), strict=True):
        assert np.allclose(values, expected[0, 0].numpy(), atol=1e-3)
    kinds = [one["kind"] for one in shown["maps"]]
    assert kinds == ["grey", "signed", "grey", "grey"]
    sees, edge = 3 + window - 1, 96 // window
    fields = [list(one["field"].values()) for one in shown["maps"]]
    assert fields == [[1, 1, 0], [3, 1, -1], [3, 1, -1], [sees, window, -1]]
    rows = table(page, "Sizes of the layers")
    assert [row[1:] for row in rows] == [
        ["1 × 96 × 96", "9", f"{9 * 96 * 96:,}", "3 × 3"], ["1 × 96 × 96", "0", "0", "3 × 3"],
        [f"1 × {edge} × {edge}", "0", "0", f"{sees} × {sees}"],
    ]  # fmt: skip


def test_sharing_shows_the_moved_digit_and_the_stored_answers():
    page = open_lab("sharing", digit="5", down="1", right="-2")
    runs = sharing.stored(THUMBNAILS)
    digit = np.round(np.array(runs.digits[5]) * 255 / 16)
    shown = figure(page, "A 5")
    assert np.array_equal(shown[1:, :-2], digit[:-1, 2:])  # one down, two to the left
    titles = [text_of(title) for title in re.findall(r'<p class="kicker">(.*?)</p>', html(page))]
    words = re.findall(r'<p class="word">(.*?)</p><p class="sure">(.*?)</p>', html(page))
    for kind, lines, title, word in zip(runs.kinds, bars(page), titles, words, strict=True):
        probabilities = runs.kinds[kind].answers[5][5 * 3 + 0]  # rows from -2 to 2, and columns
        order = sorted(range(10), key=lambda label: -probabilities[label])[:3]
        assert lines == as_bars([str(label) for label in order], [probabilities[label] for label in order])
        assert (title, word) == (sharing.TITLES[kind], (str(order[0]), "right" if order[0] == 5 else "wrong"))


def test_sharing_shows_the_stored_costs_and_accuracies():
    page = open_lab("sharing")
    kinds = sharing.stored(THUMBNAILS).kinds
    means = {name: [mean(row[by] for row in kind.accuracy) for by in range(3)] for name, kind in kinds.items()}
    assert table(page, "Cost and accuracy of the four") == [
        [sharing.TITLES[name], str(kind.connections), f"{kind.first:,}", f"{kind.products:,}", f"{kind.parameters:,}",
         *(f"{100 * right:.1f} %" for right in means[name])] for name, kind in kinds.items()
    ]  # fmt: skip
    (chart,) = charts(page)
    assert chart.lines == {sharing.TITLES[name]: [*enumerate(means[name])] for name in kinds}


@pytest.mark.parametrize(("name", "function"), [("relu", torch.relu), ("tanh", torch.tanh)])
def test_activations_shows_torchs_curve_its_slope_and_its_map(name: str, function):
    page = open_lab("activations", activation=name)
    page = checked(page.slider(key="x").set_value(0.7).run())
    (chart,) = charts(page)
    x = torch.linspace(-4, 4, 161, requires_grad=True)
    (slopes,) = torch.autograd.grad(function(x).sum(), x)
    curve, slope = (np.array(line) for line in chart.lines.values())
    assert np.allclose(curve, np.stack([x.tolist(), function(x).tolist()], 1))
    assert np.allclose(slope, np.stack([x.tolist(), slopes.tolist()], 1))
    value = float(function(torch.tensor(0.7)))
    assert chart.dots == [pytest.approx((0.7, value))]
    assert f"<dd>{value:.4f}</dd>" in html(page)
    assert f"f(x) = {find_activation(name).latex}" in page.latex[0].value
    (shown,) = sent(page, "maps")
    pixels = torch.tensor(SEVEN / 255, dtype=torch.float32)[None, None]
    edges = F.conv2d(pixels, torch.tensor(kernel("sobel-x"), dtype=torch.float32)[None, None])
    before, after = maps_of(shown)
    assert np.allclose(before, edges[0, 0].numpy(), atol=1e-5)
    assert np.allclose(after, function(edges)[0, 0].numpy(), atol=1e-5)


def test_receptive_shows_the_maps_and_the_gradient_of_the_chosen_cell():
    page = open_lab("receptive", network="mnist")
    (shown,) = sent(page, "maps")
    asked = library("image_classification", "mnist")
    x = asked.contract.prepare([find_sample("seven").path])[0]
    stages = [stage for stage in stage_fields(asked.model, x) if stage.output.ndim == 3]
    picture_, heat, *maps = maps_of(shown)
    assert np.allclose(picture_, x[0].numpy() * asked.contract.std[0] + asked.contract.mean[0], atol=1e-5)
    stage, row, column = shown["chosen"]
    expected = effective_field(asked.model, x, stage=stage - 2, position=(row, column)).numpy()
    assert np.allclose(heat, expected, atol=1e-5)
    for values, one, found in zip(maps, shown["maps"][2:], stages, strict=True):
        assert np.allclose(values, found.output.abs().mean(0).numpy(), atol=1e-5)
        field = found.fields[0]
        assert list(one["field"].values()) == [float(field.size), float(field.stride), float(field.start)]
        assert one["says"].endswith(f"receptive field {float(field.size):.0f}")
    field = stages[stage - 2].fields[0]
    size, stride = math.ceil(float(field.size)), int(field.stride)
    assert f"<b>{size} × {size} pixels</b>" in html(page)
    assert f"Neighbouring cells look {stride} pixels apart" in html(page)
    middle = [float(field.start) + place * stride + (float(field.size) - 1) / 2 for place in (row, column)]
    inside = int(re.search(r"lies within (\d+) × \1:", html(page)).group(1))
    rows, columns = (np.abs(np.arange(len(heat)) - at) for at in middle)
    held = [expected[rows <= edge / 2][:, columns <= edge / 2].sum() / expected.sum() for edge in (inside - 2, inside)]
    assert held[0] < 0.95 <= held[1] + 1e-6


@pytest.fixture(scope="module")
def trained():
    """The moments of the training that the learning page shows after one more click."""
    model = small_network("convolution", maps=6, seed=1)
    return list(learn(model, digits(), rate=0.1, batch=32, steps=300, every=6, seed=1))


def test_learning_shows_the_training_of_its_settings_and_seed(trained):
    page = open_lab("learning")
    page = checked(next(button for button in page.button if button.label == "Train again").click().run())
    (replay,) = sent(page, "training_replay")
    assert replay["steps"] == [moment.step for moment in trained]
    losses, accuracies = [moment.loss for moment in trained], [moment.accuracy for moment in trained]
    for chart, one, values in zip(charts(page), replay["figures"], (losses, accuracies), strict=True):
        assert one["values"] == pytest.approx(values, rel=1e-4)
        assert chart.lines == {"": list(zip(replay["steps"], one["values"], strict=True))}
        assert chart.title == one["title"]
    assert [one["percent"] for one in replay["figures"]] == [False, True]
    sample = digits().x_test[0]
    for i, look in enumerate(replay["looks"]):
        edge = 3 if i < 6 else 8
        values = numbers(look["values"], len(trained), edge, edge)
        for moment, one in zip(trained, values, strict=True):
            weight, bias = moment.state["0.weight"], moment.state["0.bias"]
            wanted = weight[i, 0] if i < 6 else F.conv2d(sample[None], weight, bias, padding=1).relu()[0, i - 6]
            assert np.allclose(one, wanted.numpy(), atol=1e-4)


def test_learning_shows_the_matrices_of_one_step():
    page = open_lab("learning")
    x, weights, target = (
        torch.tensor(rows, dtype=torch.float32) for rows in (learning.X, learning.KERNEL, learning.TARGET)
    )
    error = F.conv2d(x[None, None], weights[None, None])[0, 0] - target
    gradient = F.conv2d(x[None, None], error[None, None])[0, 0]
    new = weights - 0.05 * gradient
    after = F.conv2d(x[None, None], new[None, None])[0, 0] - target
    expected = {
        "Input": x, "Kernel": weights, "Output": error + target, "Target": target, "Error": error,
        "Gradient": gradient, "New kernel": new,
    }  # fmt: skip
    shown = re.findall(r"<figure><figcaption>(.*?)</figcaption>(.*?)</figure>", html(page))
    assert [name for name, _ in shown] == list(expected)
    for name, cells in shown:
        values = [float(text_of(cell).replace(MINUS, "-")) for cell in re.findall("<span.*?</span>", cells)]
        assert values == pytest.approx(expected[name].ravel().tolist(), rel=6e-3)
    before, then = (0.5 * float((errors**2).sum()) for errors in (error, after))
    assert f"Loss {before:.3f} → {then:.3f}</span> = <b>{then - before:+.3f}</b>".replace("-", MINUS) in html(page)
    assert backward_step(x, weights, target, rate=0.05).loss == pytest.approx(before)


def test_augmentation_shows_what_the_seed_draws():
    page = open_lab("augmentation", picture="eight", seed="7", strength="2")
    checked(next(button for button in page.button if button.label == "Draw again").click().run())
    shown = figures(page)
    image = sample_picture(find_sample("eight"), edge=128, mode="RGB").values
    assert np.array_equal(shown[0][1], image)
    x = torch.tensor(np.moveaxis(image, -1, 0) / 255, dtype=torch.float32)
    for number, (one, (caption, pixels)) in enumerate(zip(AUGMENTATIONS, shown[1:], strict=True)):
        found = augmented(x, one, seed=800 + number, strength=2.0)
        assert caption == f"{one.title} {found.description}".strip()
        assert np.abs(pixels.astype(int) - 255 * np.moveaxis(found.picture.numpy(), 0, -1)).max() <= 0.51


def test_overfitting_shows_the_stored_curves_and_ends():
    page = open_lab("overfitting", remedies="none,augment", digits="200")
    runs = overfitting.stored(THUMBNAILS)[200]
    rows = table(page, "How the runs ended")
    for row, (name, run) in zip(rows, runs.items(), strict=True):
        lowest = int(np.argmin(run.test_loss))
        assert row == [
            overfitting.TITLES[name], f"{run.loss[-1]:.4f}", f"{run.test_loss[-1]:.3f}",
            f"{run.test_loss[lowest]:.3f}, {50 * lowest:,}",
            f"{100 * mean(run.final):.1f} ± {100 * stdev(run.final):.1f} %",
        ]  # fmt: skip
    for chart, field in zip(charts(page), ("loss", "test_loss", "errors"), strict=True):
        assert chart.lines == {
            overfitting.TITLES[name]: [(50 * i, getattr(runs[name], field)[i]) for i in range(2, 31)]
            for name in ("none", "augment")  # the first 100 steps are left out
        }


@pytest.mark.parametrize("network", preferred.STAGES)
def test_filters_shows_every_channel_with_its_own_tiles(network: str):
    page = open_lab("filters", network=network)
    wanted, tiles = preferred.stored(THUMBNAILS, network)
    channels = re.findall(r"<figure><figcaption>(.*?)</figcaption><div>(.*?)</div></figure>", html(page))
    for i, (caption, images) in enumerate(channels):
        said = f"Channel {wanted.channels[i]} drawn {wanted.preferred[i]:.2f}, found {wanted.values[i][0]:.2f}"
        assert text_of(caption) == said
        drawn, *small = [picture(uri) for uri in re.findall(r'src="(.*?)"', images)]
        assert np.array_equal(drawn, preferred.stretched(tiles[i][0]))
        assert [one.shape[:2] for one in small] == [(wanted.edge, wanted.edge)] * preferred.PATCHES
        assert all(np.array_equal(one, tile) for one, tile in zip(small, tiles[i][1:], strict=True))
    assert len(channels) == preferred.CHANNELS
    (block,) = re.findall(r'<div class="filters figure">(.*?)</div>', html(page))
    weights = torch.round(255 * filters(library("image_classification", network).model)).byte()
    for uri, one in zip(re.findall(r'src="(.*?)"', block), weights, strict=True):
        assert np.array_equal(picture(uri), one[0].numpy())


def test_timeline_shows_each_networks_size_and_its_bar():
    page = open_lab("timeline")
    counts = milestones.parameters(frozenset(entry.model for entry in milestones.MILESTONES))
    entries = re.findall(r"<li><b>(\d+)</b>(.*?)</li>", html(page))
    for (year, shown), entry in zip(entries, milestones.MILESTONES, strict=True):
        assert year == entry.year and f"<h3>{entry.title}</h3>" in shown
        assert entry.text in text_of(shown) and entry.by in text_of(shown)
        if entry.model not in counts:
            assert "parameters</span>" not in shown
            continue
        count = counts[entry.model]
        assert f"<span>{count:,} parameters</span>" in shown
        share = float(re.search(r"--share:([\d.]+)", shown).group(1))
        assert share == pytest.approx(min(1, math.log10(count / 1e3) / math.log10(1.5e5)), abs=6e-4)


@pytest.mark.parametrize(("to", "labels"), [("digits", 5), ("fashion_mnist", 100)])
def test_transfer_shows_the_stored_accuracies(to: str, labels: int):
    page = open_lab("transfer", to=to, labels=str(labels))
    target = transfer.stored(THUMBNAILS)[to]
    assert table(page, f"With {labels} labels per class") == [
        [transfer.TITLES[way],
         f"{100 * mean(runs[labels].accuracy):.1f} ± {100 * stdev(runs[labels].accuracy):.1f} %",
         f"{runs[labels].trained:,}", f"{runs[labels].seconds:.0f} s"] for way, runs in target.runs.items()
    ]  # fmt: skip
    (chart,) = charts(page)
    assert chart.title == f"Test accuracy, {target.n:,} pictures"
    assert chart.lines == {
        transfer.TITLES[way]: [(n, mean(run.accuracy)) for n, run in runs.items()] for way, runs in target.runs.items()
    }
