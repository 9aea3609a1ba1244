"""The convolution page: its numbers are torch's and SciPy's, and the code it shows gives them again."""

import io
import re
import subprocess
import sys

import numpy as np
import pytest
from driving import address, checked, html
from lab_pages import ROOT, open_lab, run_shown_code
from PIL import Image
from scipy import signal

from cnn_core.errors import DataError
from components.convolution_stepper import read_weights
from components.samples import find_sample
from views.lab_parts.convolution import COLOUR_FILTERS, Settings, colour_steps, steps
from views.lab_parts.picture import sample_picture

SOBEL = ((-1.0, 0.0, 1.0), (-2.0, 0.0, 2.0), (-1.0, 0.0, 1.0))


@pytest.fixture
def seven():
    return sample_picture(find_sample("seven"), edge=64)


def test_it_opens_with_a_digit_already_convolved():
    page = open_lab("convolution")
    assert page.pills(key="picture").value == "seven"
    assert "⌊(28 − 3 + 2 · 0) / 1⌋ + 1</span> = <b>26</b>" in html(page)
    assert not page.warning


def test_the_numbers_are_scipys(seven):
    x = seven.values.astype(np.float64)
    shown = steps(seven, Settings(SOBEL))
    assert np.allclose(shown.output[0], signal.correlate2d(x, np.array(SOBEL), mode="valid"))
    assert np.array_equal(shown.padded[0], x)
    turned = steps(seven, Settings(SOBEL, turned=True, padding=1))
    assert np.allclose(turned.output[0], signal.convolve2d(x, np.array(SOBEL), mode="same"))
    assert np.array_equal(turned.kernels[0, 0], np.array(SOBEL)[::-1, ::-1])


@pytest.mark.parametrize("settings", [Settings(SOBEL), Settings(SOBEL, False, 2, "reflect", 3, 2)])
def test_products_of_what_the_browser_looks_up_sum_to_the_map(seven, settings):
    shown = steps(seven, settings)
    for row, column in [(0, 0), shown.position, tuple(n - 1 for n in shown.output.shape[1:])]:
        places = np.arange(3) * shown.dilation
        patch = shown.padded[0][np.ix_(row * shown.stride + places, column * shown.stride + places)]
        assert (patch * shown.kernels[0, 0]).sum() == pytest.approx(shown.output[0, row, column])


def test_colour_maps_sum_over_the_three_slices():
    photo = sample_picture(find_sample("dahlia"), edge=32, mode="RGB")
    shown = colour_steps(photo)
    assert shown.kernels.shape == (len(COLOUR_FILTERS), 3, 3, 3)
    wide = np.pad(photo.values.astype(float), ((1, 1), (1, 1), (0, 0)), mode="edge")
    for kernel, output in zip(shown.kernels, shown.output, strict=True):
        wanted = sum(signal.correlate2d(wide[..., c], kernel[c], mode="valid") for c in range(3))
        assert np.allclose(output, wanted, atol=1e-3)


@pytest.mark.parametrize(
    "address",
    [
        {},
        {"picture": "palace", "kernel": "blur", "padding": "2", "fill": "reflect", "stride": "2", "dilation": "2"},
        {"weights": "1_0_-1_0.5_0_0_0_0_2", "kernel": "own", "kind": "convolution"},
    ],
)
def test_the_code_shown_gives_the_numbers_shown(address, monkeypatch):
    page = open_lab("convolution", **address)
    names = run_shown_code(page, monkeypatch)
    chosen = Settings(
        tuple(map(tuple, names["kernel"].flip(0, 1).tolist() if "kind" in address else names["kernel"].tolist())),
        "kind" in address, int(address.get("padding", 0)), address.get("fill", "zeros"),
        int(address.get("stride", 1)), int(address.get("dilation", 1)),
    )  # fmt: skip
    shown = steps(sample_picture(find_sample(address.get("picture", "seven")), edge=64), chosen)
    assert np.allclose(names["output"].numpy(), shown.output, atol=1e-3)
    assert names["step"].total == pytest.approx(shown.output[(0, *shown.position)], abs=1e-3)
    assert re.search(rf"<b>{shown.output.shape[1]}</b>", html(page))


def test_the_code_shown_runs_by_itself_in_the_repository():
    code = open_lab("convolution").code[-1].value
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_address_is_kept_and_nonsense_in_it_falls_back():
    page = open_lab("convolution", kernel="sobel-z", stride="9", weights="1_2", picture="../../etc/passwd")
    assert page.pills(key="kernel").value == "sobel-x"
    checked(page.pills(key="kernel").set_value("emboss").run())
    checked(page.segmented_control(key="stride").set_value("2").run())
    assert address(page) == {"kernel": "emboss", "stride": "2"}
    assert "<b>13</b>" in html(page)


def test_a_typed_kernel_is_one_of_the_kernels():
    page = open_lab("convolution")
    page.session_state["typed"] = [0.0] * 8 + [1.0]
    checked(page.run())
    checked(page.pills(key="kernel").set_value("own").run())
    assert "Your own nine weights" in html(page)


@pytest.mark.parametrize("value", [None, [1] * 8, [1] * 8 + ["1"], [1] * 8 + [float("nan")], [1] * 8 + [1e9]])
def test_a_forged_kernel_is_a_sentence(value):
    with pytest.raises(DataError, match="nine numbers"):
        read_weights(value)


def test_drawing_and_uploading_wait_for_a_picture():
    page = open_lab("convolution", picture="draw")
    assert "<b>26</b>" in html(page)
    checked(page.pills(key="picture").set_value("upload").run())
    assert "not kept" in html(page)
    checked(page.file_uploader(key="picture-upload").upload("x.png", b"no picture", "image/png").run())
    assert len(page.warning) == 1
    stream, frames = io.BytesIO(), [Image.new("L", (28, 28), k) for k in (0, 200)]
    frames[0].save(stream, "PNG", save_all=True, append_images=frames[1:])
    checked(page.file_uploader(key="picture-upload").set_value(("x.png", stream.getvalue(), "image/png")).run())
    assert "first of 2 frames alone is read" in html(page)
