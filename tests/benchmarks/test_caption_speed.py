"""Captions per second: one photo, batched search against a textbook loop, an epoch of the decoder.

The textbook implementation is what tutorials write: one photo at a time, a beam of sequences that shrinks as captions
end, the attention of every beam computed from the picture's cells again, Python lists in between. Same weights, and it
has to write the same captions. The photos are the first of Flickr8k's official test.
"""

import statistics
import time

import pytest
import torch
from record import figure, in_turns, ratio
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from cnn_core.data.files import data_root
from image_captioning import load
from image_captioning.data import CaptionSet, load_sets
from image_captioning.model import CaptionBatch, Captioner, caption_loss
from image_captioning.search import Hypothesis, beam_search, next_log_probs
from image_captioning.words import END, START

BEAMS, LONGEST = 5, 24
pytestmark = pytest.mark.benchmark


@pytest.fixture(scope="module")
def photos() -> CaptionSet:
    if not (data_root() / "flickr8k").is_dir():
        pytest.skip("needs Flickr8k in CNN_DATA_DIR")
    return load_sets("flickr8k", splits=("test",), size=(224, 224), fit="stretch", tokenizer="words")["test"]


def textbook(model: Captioner, features: Tensor) -> tuple[int, ...]:
    """Caption one photo [1, P, C] by the beam search of the tutorials: k shrinks with every caption that ends."""
    decoder = model.decoder
    k, ended = BEAMS, []
    sequences, sums = [[START]] * k, torch.zeros(k)
    state = None
    for t in range(LONGEST + 1):
        memory = model.remember(features.expand(k, -1, -1))
        state = memory.start if state is None else state
        step = decoder.step(decoder.words(torch.tensor([s[-1] for s in sequences])), state, memory)
        log_probs = next_log_probs(decoder, step.out, first=t == 0, last=t == LONGEST)
        totals = sums[:, None] + log_probs if t else log_probs[:1]
        values, places = totals.flatten().topk(k)
        going = []
        for value, place in zip(values.tolist(), places.tolist(), strict=True):
            parent, word = divmod(place, log_probs.shape[1])
            if word == END:
                ended.append((value / len(sequences[parent]) ** 0.7, sequences[parent][1:]))
            else:
                going.append((value, parent, [*sequences[parent], word]))
        k = len(going)
        if k == 0:
            break
        sums, sequences = torch.tensor([g[0] for g in going]), [g[2] for g in going]
        state = tuple(part[[g[1] for g in going]] for part in step.state)
    return tuple(max(ended)[1])


def test_one_photo_and_many_against_a_textbook_loop(photos: CaptionSet) -> None:
    predictor = load("flickr8k", device="cpu")
    model = predictor.model
    inputs = predictor.contract.normalize(photos.images[:64]).contiguous(memory_format=torch.channels_last)
    times = []
    with torch.inference_mode():
        for i in range(20):
            started = time.perf_counter()
            beam_search(model.decoder, model.remember(inputs[i : i + 1]), beams=BEAMS, longest=LONGEST)
            times.append(time.perf_counter() - started)
        features = torch.cat([model.features(part)[0] for part in inputs.split(16)]).contiguous()
        theirs: list[tuple[int, ...]] = []
        found: list[list[Hypothesis]] = []

        def by_textbook() -> None:
            theirs[:] = [textbook(model, features[i : i + 1]) for i in range(len(features))]

        def by_us() -> None:
            found[:] = beam_search(model.decoder, model.remember(features), beams=BEAMS, longest=LONGEST)

        seconds = in_turns({"ours": by_us, "textbook": by_textbook}, rounds=3)
    median = 1000 * statistics.median(times[3:])
    assert [own[0].words for own in found] == theirs
    words = statistics.fmean(len(own[0].words) for own in found)
    ratio(
        "captions", f"captions of {len(features)} photos by beam search with {BEAMS} beams, features given",
        ours=seconds["ours"], theirs=seconds["textbook"], peer="textbook loop", wanted=8, held=5,
        right=f"every caption is the textbook's, {words:.1f} words on average",
    )  # fmt: skip
    figure("caption-one", f"one photo of 224 px with {BEAMS} beams, encoder and all", median, unit="ms", wanted=29,
           most=True, n=len(times[3:]))  # fmt: skip


def test_an_epoch_of_thirty_thousand_captions(photos: CaptionSet) -> None:
    """Times some steps of the recipe flickr8k: 16 photos with 5 captions each."""
    predictor = load("flickr8k", device="cpu")
    model = predictor.model
    with torch.inference_mode():
        features = model.features(predictor.contract.normalize(photos.images[:16]))[0]
    learner = Captioner(None, model.decoder).train()
    rows = [torch.tensor([*predictor.contract.encode(c), END]) for theirs in photos.captions[:16] for c in theirs]
    lengths, words = torch.tensor([len(row) for row in rows]), pad_sequence(rows, batch_first=True)
    batch = CaptionBatch(features.clone(), words, lengths, torch.arange(16).repeat_interleave(len(rows) // 16))
    optimizer = torch.optim.AdamW(learner.parameters(), lr=1e-3)

    def step() -> None:
        optimizer.zero_grad()
        caption_loss(learner(batch), smoothing=0.1, attention_weight=0.5).backward()
        optimizer.step()

    seconds = [30_000 / len(rows) * second for second in in_turns({"ours": step}, rounds=9)["ours"]]
    figure("caption-epoch", "an epoch of 30,000 captions of Flickr8k, features given", statistics.median(seconds),
           unit="s", wanted=120, most=True, n=len(seconds))  # fmt: skip
