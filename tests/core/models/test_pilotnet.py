"""PilotNet: the sum of its layers by hand, and what it refuses."""

import pytest
import torch

from cnn_core.errors import CnnError
from cnn_core.models import create_model
from cnn_core.models.backbone import count_parameters


def test_the_parameters_are_the_sum_of_the_layers_of_figure_4():
    convolutions = [(3, 24, 25), (24, 36, 25), (36, 48, 25), (48, 64, 9), (64, 64, 9)]
    dense = [(64 * 1 * 18, 100), (100, 50), (50, 10), (10, 1)]
    wanted = sum(a * b * k + b for a, b, k in convolutions) + sum(a * b + b for a, b in dense)
    assert count_parameters(create_model("pilotnet", num_classes=1, input_size=(66, 200))) == wanted == 252_219


def test_the_last_map_of_the_papers_input_is_1_x_18():
    model = create_model("pilotnet", num_classes=1, input_size=(66, 200))
    maps = model.forward_features(torch.zeros(1, 3, 66, 200))
    assert [tuple(one.shape[1:]) for one in maps] == [(24, 31, 98), (36, 14, 47), (48, 5, 22), (64, 3, 20), (64, 1, 18)]
    assert model(torch.zeros(2, 3, 66, 200)).shape == (2, 1)


def test_the_smallest_edge_leaves_one_cell_and_a_smaller_one_is_refused():
    model = create_model("pilotnet", num_classes=1, input_size=(61, 61))
    assert model.forward_features(torch.zeros(1, 3, 61, 61))[-1].shape[2:] == (1, 1)
    with pytest.raises(CnnError, match="at least 61 pixels"):
        create_model("pilotnet", num_classes=1, input_size=(60, 200))
