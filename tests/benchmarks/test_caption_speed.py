"""Captions per second: one photo, batched search against a textbook loop, an epoch of the decoder.

The textbook implementation is what tutorials write: one photo at a time, a beam of sequences that shrinks as captions
end, the attention of every beam computed from the picture's cells again, Python lists in between. Same weights, and it
has to write the same captions. Fresh weights suffice: how good the captions are costs no time.
"""

import os
import statistics
import time

import pytest
import torch
from torch import Tensor, nn

from cnn_core.models import create_model
from image_captioning.decoders import ShowAttendTell
from image_captioning.model import CaptionBatch, Captioner, Encoder, caption_loss
from image_captioning.search import beam_search, next_log_probs
from image_captioning.words import END, FIRST, START

SIZES = {"hidden": 320, "size": 256, "attention": 192, "dropout": 0.4}  # of the recipe flickr8k
VOCAB_SIZE, CELLS, CHANNELS, EDGE, LONGEST, BEAMS = 2538, 49, 1024, 224, 24, 5
pytestmark = pytest.mark.benchmark


def captioner(*, encoder: bool) -> Captioner:
    torch.manual_seed(0)
    trunk = Encoder(create_model("mobilenet", num_classes=1), stage="block12") if encoder else None
    model = Captioner(trunk, ShowAttendTell(CHANNELS, VOCAB_SIZE, **SIZES)).eval()
    with torch.no_grad():
        for module in model.decoder.modules():  # sharper choices than fresh weights make: no ties
            if isinstance(module, nn.Linear):
                module.weight.mul_(4)
        model.decoder.words.bias[END] = 2  # captions of about ten words, as they are
    return model


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


def test_one_photo_and_many_against_a_textbook_loop() -> None:
    model = captioner(encoder=True)
    model.encoder.to(memory_format=torch.channels_last)
    photos = torch.randn(64, 3, EDGE, EDGE, generator=torch.Generator().manual_seed(1))
    photos = photos.contiguous(memory_format=torch.channels_last)
    times = []
    with torch.inference_mode():
        for i in range(20):
            started = time.perf_counter()
            beam_search(model.decoder, model.remember(photos[i : i + 1]), beams=BEAMS, longest=LONGEST)
            times.append(time.perf_counter() - started)
        features = torch.cat([model.features(part)[0] for part in photos.split(16)]).contiguous()
        features = features + torch.randn(features.shape, generator=torch.Generator().manual_seed(2))  # noise is alike
        started = time.perf_counter()
        theirs = [textbook(model, features[i : i + 1]) for i in range(len(features))]
        slow = (time.perf_counter() - started) / len(features)
        beam_search(model.decoder, model.remember(features[:8]), beams=BEAMS, longest=LONGEST)
        started = time.perf_counter()
        found = beam_search(model.decoder, model.remember(features), beams=BEAMS, longest=LONGEST)
        fast = (time.perf_counter() - started) / len(features)
    median = 1000 * statistics.median(times[3:])
    same = sum(own[0].words == other for own, other in zip(found, theirs, strict=True))
    words = statistics.fmean(len(own[0].words) for own in found)
    print(
        f"\n{torch.get_num_threads()} threads of {os.cpu_count()}: one photo with {BEAMS} beams {median:.0f} ms; "
        f"search alone, per photo: textbook {1000 * slow:.1f} ms, 64 at once {1000 * fast:.1f} ms, "
        f"ratio {slow / fast:.1f}; {same} of {len(found)} captions the same, {words:.1f} words on average"
    )
    assert same == len(found)
    assert slow / fast >= 5
    assert median < 150


def test_an_epoch_of_thirty_thousand_captions() -> None:
    """Times some steps of the recipe flickr8k: 64 photos with 5 captions each, lengths as in Flickr8k."""
    model = captioner(encoder=False).train()
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(64, CELLS, CHANNELS, generator=generator)
    lengths = torch.randn(320, generator=generator).mul(3.5).add(11.8).round().clamp(3, LONGEST + 1).long()
    words = torch.randint(FIRST, VOCAB_SIZE, (320, int(lengths.max())), generator=generator)
    words[torch.arange(320), lengths - 1] = END
    batch = CaptionBatch(features, words, lengths, torch.arange(64).repeat_interleave(5))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    times = []
    for _ in range(6):
        started = time.perf_counter()
        optimizer.zero_grad()
        caption_loss(model(batch), smoothing=0.1, attention_weight=0.5).backward()
        optimizer.step()
        times.append(time.perf_counter() - started)
    seconds = statistics.median(times[1:]) * 30_000 / 320
    print(f"\n{torch.get_num_threads()} threads: an epoch of 30,000 captions in {seconds:.0f} s")
    assert seconds < 120
