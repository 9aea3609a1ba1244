"""The choice of device and precision."""

from pathlib import Path

import pytest
import torch

from cnn_core.errors import CnnError
from cnn_core.train.devices import choose_device, choose_precision, has_bfloat16_cpu


def test_the_processor_is_always_there():
    assert choose_device("cpu") == torch.device("cpu")


def test_automatic_choice_is_the_best_device_found():
    if torch.cuda.is_available():
        best = "cuda"
    elif torch.backends.mps.is_available():
        best = "mps"
    else:
        best = "cpu"
    assert choose_device().type == best


@pytest.mark.parametrize("wish", ["gpu", "cuda:x", "", "CUDA", "cpu:x:y"])
def test_a_device_that_does_not_exist_anywhere_is_refused(wish):
    with pytest.raises(CnnError, match="expected auto, cpu, cuda, cuda:1 or mps"):
        choose_device(wish)


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without CUDA")
def test_cuda_that_is_not_here_is_refused_with_what_to_do():
    for wish in ("cuda", "cuda:1"):
        with pytest.raises(CnnError, match="finds no CUDA device here; use --device cpu"):
            choose_device(wish)


@pytest.mark.skipif(torch.backends.mps.is_available(), reason="needs a machine without Apple's GPU")
def test_mps_that_is_not_here_is_refused_with_what_to_do():
    with pytest.raises(CnnError, match="use --device cpu"):
        choose_device("mps")


@pytest.mark.gpu
def test_a_cuda_number_that_is_not_here_is_refused():
    if not torch.cuda.is_available():
        pytest.skip("torch finds no CUDA device")
    assert choose_device("cuda:0") == torch.device("cuda:0")
    with pytest.raises(CnnError, match="finds"):
        choose_device("cuda:99")


def test_a_wished_precision_is_taken_and_an_automatic_one_follows_the_hardware():
    cpu = torch.device("cpu")
    assert choose_precision("32-true", cpu) == "32-true"
    assert choose_precision("16-mixed", cpu) == "16-mixed"
    assert choose_precision("auto", cpu) == ("bf16-mixed" if has_bfloat16_cpu() else "32-true")
    assert choose_precision("auto", torch.device("mps")) == "32-true"


def test_bfloat16_is_reported_as_the_kernel_reports_it():
    try:
        with Path("/proc/cpuinfo").open(encoding="ascii", errors="replace") as file:
            flags = next(line for line in file if line.startswith("flags")).split()
    except (OSError, StopIteration):
        pytest.skip("this system does not list processor flags in /proc/cpuinfo")
    assert has_bfloat16_cpu() == ("amx_bf16" in flags or "avx512_bf16" in flags)
