"""Searching for captions: greedy, beams against all captions there are, many pictures at once."""

from itertools import product

import pytest
import torch
from tiny_captions import small_decoder
from torch import Tensor

from cnn_core.errors import CnnError
from image_captioning.decoders import Memory
from image_captioning.model import Captioner
from image_captioning.search import beam_search, next_log_probs, sample
from image_captioning.words import END, FIRST, START

ROWS = FIRST + 3  # three words


def toy(name: str = "show-attend-tell", *, seed: int = 0, pictures: int = 5, rows: int = ROWS) -> tuple:
    torch.manual_seed(seed)
    decoder = small_decoder(name, 4, rows, hidden=12, dropout=0.3).eval()
    with torch.no_grad():
        for module in decoder.modules():  # sharper choices than fresh weights make, other ones for other pictures
            if isinstance(module, torch.nn.Linear):
                module.weight.mul_(6)
        decoder.recurrence.cell.weight_ih.mul_(2)
        decoder.words.bias[END] = 0.5
    model = Captioner(None, decoder).eval()
    return model, model.remember(torch.randn(pictures, 9, 4))


def log_probability(model: Captioner, memory: Memory, words: tuple[int, ...], *, longest: int) -> float:
    """Add up the log-probabilities of the words and the end, one step after the other."""
    state, given, total = memory.start, START, 0.0
    for t, word in enumerate((*words, END)):
        step = model.decoder.step(model.decoder.words(torch.tensor([given])), state, memory)
        total += float(next_log_probs(model.decoder, step.out, first=t == 0, last=t == longest)[0, word])
        state, given = step.state, word
    return total


@pytest.mark.parametrize("name", ["show-attend-tell", "show-tell"])
@pytest.mark.parametrize("power", [0.0, 0.7])
def test_a_wide_beam_finds_what_trying_everything_finds(name: str, power: float) -> None:
    model, memory = toy(name)
    longest = 3
    with torch.no_grad():
        for i in range(len(memory)):
            one = memory.rows(torch.tensor([i]))
            every = [
                words for n in range(1, longest + 1) for words in product(range(FIRST, ROWS), repeat=n)
            ]  # fmt: skip
            scored = [(log_probability(model, one, words, longest=longest), words) for words in every]
            ranked = sorted(scored, key=lambda pair: -pair[0] / (len(pair[1]) + 1) ** power)
            found = beam_search(model.decoder, one, beams=len(every), longest=longest, length_power=power)[0]
            assert [h.words for h in found] == [words for _, words in ranked]
            assert [h.log_probability for h in found] == pytest.approx([p for p, _ in ranked], abs=1e-4)
            # The longest ones are cut short, at the end's own probability; what is lost is the chance of going on.
            assert sum(torch.tensor([h.log_probability for h in found]).exp()) <= 1 + 1e-5


@pytest.mark.parametrize("name", ["show-attend-tell", "show-tell"])
def test_one_beam_is_greedy(name: str) -> None:
    for seed in range(4):
        model, memory = toy(name, seed=seed, pictures=16, rows=30)
        greedy = sample(model.decoder, memory, temperature=0, longest=8)
        beam = beam_search(model.decoder, memory, beams=1, longest=8)
        assert [h.words for h in greedy] == [found[0].words for found in beam]
        assert [h.log_probability for h in greedy] == pytest.approx([f[0].log_probability for f in beam], abs=1e-4)
        assert len({h.words for h in greedy}) > 2


@pytest.mark.parametrize("beams", [1, 3, 7])
def test_pictures_do_not_touch_each_other(beams: int) -> None:
    model, memory = toy(pictures=12, rows=8)
    together = beam_search(model.decoder, memory, beams=beams, longest=9)
    for i, found in enumerate(together):
        alone = beam_search(model.decoder, memory.rows(torch.tensor([i])), beams=beams, longest=9)[0]
        assert [h.words for h in alone] == [h.words for h in found]
        assert [h.log_probability for h in alone] == pytest.approx([h.log_probability for h in found], abs=1e-4)
    assert len({len(h.words) for found in together for h in found}) > 1 or beams == 1  # they end at different times


def test_scores_are_the_probabilities_of_the_captions_and_captions_are_different() -> None:
    model, memory = toy(rows=25)
    for i, found in enumerate(beam_search(model.decoder, memory, beams=6, longest=7, length_power=0.5)):
        one = memory.rows(torch.tensor([i]))
        with torch.no_grad():
            for h in found:
                assert h.log_probability == pytest.approx(log_probability(model, one, h.words, longest=7), abs=1e-4)
                assert h.score == pytest.approx(h.log_probability / (len(h.words) + 1) ** 0.5)
        assert len({h.words for h in found}) == len(found) == 6
        assert [h.score for h in found] == sorted((h.score for h in found), reverse=True)


def test_no_caption_is_empty_or_too_long_or_holds_what_is_no_word() -> None:
    model, memory = toy(pictures=20)
    with torch.no_grad():
        model.decoder.words.bias[END] = 50  # wants to end at once
    assert all(len(h.words) == 1 for found in beam_search(model.decoder, memory, beams=2, longest=5) for h in found)
    with torch.no_grad():
        model.decoder.words.bias[END] = -50  # never wants to
        model.decoder.words.bias[:END] = 49
        model.decoder.words.bias[END + 1 : FIRST] = 49
    found = [h for f in beam_search(model.decoder, memory, beams=2, longest=5) for h in f]
    found += sample(model.decoder, memory, longest=5)
    assert all(len(h.words) == 5 and min(h.words) >= FIRST for h in found)


def test_drawn_captions_follow_the_probabilities_and_the_temperature() -> None:
    model, memory = toy(pictures=1)
    rows = memory.rows(torch.zeros(3000, dtype=torch.int64))
    step = model.decoder.step(model.decoder.words(torch.tensor([START])), memory.start, memory)
    for temperature in (1.0, 0.5):
        wanted = (next_log_probs(model.decoder, step.out, first=True, last=False)[0] / temperature).softmax(0)
        generator = torch.Generator().manual_seed(1)
        drawn = sample(model.decoder, rows, temperature=temperature, longest=4, generator=generator)
        counts = torch.bincount(torch.tensor([h.words[0] for h in drawn]), minlength=ROWS) / len(drawn)
        assert (counts - wanted).abs().max() < 0.035
    again = sample(model.decoder, rows, temperature=0.5, longest=4, generator=torch.Generator().manual_seed(1))
    assert [h.words for h in again] == [h.words for h in drawn]


@pytest.mark.parametrize("temperature", [0.0, 0.3, 2.0])
def test_a_drawn_caption_has_the_probability_that_the_network_gives_it(temperature: float) -> None:
    model, memory = toy(pictures=3)
    with torch.no_grad():
        found = sample(
            model.decoder, memory, temperature=temperature, longest=4, generator=torch.Generator().manual_seed(2)
        )
        wanted = [
            log_probability(model, memory.rows(torch.tensor([i])), one.words, longest=4) for i, one in enumerate(found)
        ]
    assert [one.log_probability for one in found] == pytest.approx(wanted, abs=1e-4)


@pytest.mark.parametrize("temperature", [-1.0, float("nan"), float("inf")])
def test_impossible_temperatures_are_refused(temperature: float) -> None:
    model, memory = toy()
    with pytest.raises(CnnError, match="temperature"):
        sample(model.decoder, memory, temperature=temperature)


@pytest.mark.parametrize(("beams", "longest"), [(0, 5), (101, 5), (3, 0)])
def test_impossible_searches_are_refused(beams: int, longest: int) -> None:
    model, memory = toy()
    with pytest.raises(CnnError, match="beams"):
        beam_search(model.decoder, memory, beams=beams, longest=longest)


def test_broken_weights_end_too() -> None:
    model, memory = toy()
    with torch.no_grad():
        model.decoder.words.vectors.weight.fill_(float("nan"))
    found: list[list] = beam_search(model.decoder, memory, beams=3, longest=5)
    assert found == [[]] * len(memory)


def test_the_end_must_come_at_the_longest() -> None:
    model, memory = toy(pictures=1)
    out: Tensor = model.decoder.step(model.decoder.words(torch.tensor([START])), memory.start, memory).out
    last = next_log_probs(model.decoder, out, first=False, last=True)[0]
    assert last.isfinite().nonzero().tolist() == [[END]]
    free = next_log_probs(model.decoder, out, first=False, last=False)[0]
    assert float(free.exp().sum()) == pytest.approx(1) and free[:END].isinf().all()
