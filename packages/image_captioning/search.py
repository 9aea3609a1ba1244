"""Writing captions: beam search, greedy, sampling; any number of pictures at once, on their device.

Special tokens (padding, start, unknown) are never written, and no caption is empty: probabilities are those among the
words that may follow.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from cnn_core.errors import CnnError
from image_captioning.contract import MOST_BEAMS
from image_captioning.decoders import Decoder, Memory
from image_captioning.words import END, PADDING, START, UNKNOWN

NEVER = (PADDING, START, UNKNOWN)


@dataclass(frozen=True)
class Hypothesis:
    """A finished caption.

    Args:
        words: their numbers, without start and end.
        log_probability: of the words and the end, given the picture.
        score: what it is ranked by, see `beam_search`.
    """

    words: tuple[int, ...]
    log_probability: float
    score: float


def next_log_probs(decoder: Decoder, out: Tensor, *, first: bool, last: bool) -> Tensor:
    """Return the log-probability of every next word: `[R, ...] -> float32 [R, V]`; -inf for what may not follow.

    Args:
        decoder: gives the scores.
        out: of its step.
        first: no word is written yet, so that the end may not come.
        last: the caption is as long as it may be, so that the end must come.
    """
    scores = decoder.scores(out).float()
    forbidden = scores.new_zeros(scores.shape[1], dtype=torch.bool)
    forbidden[list(NEVER)] = True
    forbidden[END] = first
    log_probs = torch.log_softmax(scores.masked_fill(forbidden, float("-inf")), 1)
    log_probs = log_probs.masked_fill(log_probs.isnan(), float("-inf"))  # of broken weights: nothing is likely
    if last:
        ends = log_probs[:, END].clone()
        log_probs.fill_(float("-inf"))
        log_probs[:, END] = ends
    return log_probs


def teacher_forced_log_probs(logits: Tensor, targets: Tensor) -> Tensor:
    """Return the log-probability of every word of captions that are given: `[N, V] -> float32 [N, V]`.

    Among the words that could be written, as in a search; an unknown word counts where the captions hold one.
    """
    unknown = bool((targets == UNKNOWN).any())
    never = [number for number in NEVER if number != UNKNOWN or not unknown]
    forbidden = torch.zeros(logits.shape[1], dtype=torch.bool, device=logits.device)
    forbidden[never] = True
    return logits.float().masked_fill(forbidden, float("-inf")).log_softmax(1)


@torch.inference_mode()
def beam_search(
    decoder: Decoder, memory: Memory, *, beams: int = 5, longest: int = 30, length_power: float = 0.7
) -> list[list[Hypothesis]]:
    """Return the best captions of each picture, best first, at most `beams` of them.

    The `beams` likeliest beginnings are followed. One that ends keeps its place and is not continued; the search is
    over when all have ended. With one beam this is greedy decoding; with as many as there are captions it is exact.
    Captions are ranked by `log_probability / (words + 1) ** length_power`, 0 ranks by probability and so favours short
    ones (Wu et al. 2016, arXiv:1609.08144, section 7, simplified).

    Args:
        decoder: in evaluation mode.
        memory: one row per picture.
        beams: beginnings that are followed.
        longest: words of a caption at most; then the end is forced, at its probability.
        length_power: see above.
    """
    if not 1 <= beams <= MOST_BEAMS or longest < 1:
        raise CnnError(f"expected 1 to {MOST_BEAMS} beams and captions of 1 word or more, got {beams} and {longest}")
    search = _Search(decoder, memory, beams)
    for t in range(longest + 1):
        search.extend(first=t == 0, last=t == longest)
        if search.done:
            break
    return search.results(length_power)


class _Search:
    """The beams of N pictures: `sums` and `ended` [N, k], `words` [N, k, t]; pictures whose beams have ended leave.

    k is 1 before the first word: every picture has one beginning, the empty one.
    """

    def __init__(self, decoder: Decoder, memory: Memory, beams: int) -> None:
        self.decoder, self.beams = decoder, beams
        count, device = len(memory), memory.start[0].device
        self.pictures = torch.arange(count, device=device)  # which ones are still in the search
        self.finished: dict[int, tuple[Tensor, Tensor]] = {}  # picture -> words [k, t], sums [k]
        self.memory, self.state = memory, memory.start
        self.sums = torch.zeros(count, 1, device=device)
        self.ended = torch.zeros(count, 1, dtype=torch.bool, device=device)
        self.words = torch.full((count, 1, 1), START, device=device)

    @property
    def done(self) -> bool:
        return len(self.pictures) == 0

    def extend(self, *, first: bool, last: bool) -> None:
        """Extend every active beam by one word, and keep the best."""
        step = self.decoder.step(self.decoder.words(self.words[:, :, -1].flatten()), self.state, self.memory)
        log_probs = next_log_probs(self.decoder, step.out, first=first, last=last)  # [N * k, V]
        kept = min(self.beams, log_probs.shape[1])
        values, following = log_probs.topk(kept, 1)  # of one beginning, no more than k continuations can be among the k
        count, beams = self.ended.shape
        values, following = values.view(count, beams, kept), following.view(count, beams, kept)
        totals = self.sums[:, :, None] + values
        # An ended caption has one continuation, itself, which keeps its place whatever the others are worth.
        totals = totals.masked_fill(self.ended[:, :, None], float("-inf"))
        totals[:, :, 0] = torch.where(self.ended, self.sums, totals[:, :, 0])
        following = following.masked_fill(self.ended[:, :, None], PADDING)
        ranks = totals.clone()
        ranks[:, :, 0] = torch.where(self.ended & self.sums.isfinite(), float("inf"), ranks[:, :, 0])
        best = ranks.view(count, -1).topk(min(self.beams, beams * kept), 1).indices  # [N, k]
        parent, word = best // kept, following.view(count, -1).gather(1, best)
        self.sums = totals.view(count, -1).gather(1, best)
        self.ended = self.ended.gather(1, parent) | (word == END) | self.sums.isinf()
        self.words = torch.cat(
            [self.words.gather(1, parent[:, :, None].expand(-1, -1, self.words.shape[2])), word[:, :, None]], 2
        )
        rows = (torch.arange(count, device=best.device)[:, None] * beams + parent).flatten()
        h, c = step.state
        self.state = h[rows], c[rows]
        self._leave()

    def _leave(self) -> None:
        """Take pictures out of the search whose beams have all ended."""
        over = self.ended.all(1)
        if not over.any():
            return
        for i in over.nonzero()[:, 0].tolist():
            self.finished[int(self.pictures[i])] = self.words[i], self.sums[i]
        going = ~over
        rows = going.repeat_interleave(self.ended.shape[1]).nonzero()[:, 0]
        self.pictures, self.sums, self.ended = self.pictures[going], self.sums[going], self.ended[going]
        self.words, self.memory = self.words[going], self.memory.rows(going)
        h, c = self.state
        self.state = h[rows], c[rows]

    def results(self, length_power: float) -> list[list[Hypothesis]]:
        """Return each picture's captions, ranked."""
        ranked = []
        for _, (words, sums) in sorted(self.finished.items(), key=lambda entry: entry[0]):
            hypotheses = []
            for numbers, total in zip(words.tolist(), sums.tolist(), strict=True):
                if total > float("-inf"):
                    plain = tuple(n for n in numbers if n > UNKNOWN)
                    hypotheses.append(Hypothesis(plain, total, total / (len(plain) + 1) ** length_power))
            ranked.append(sorted(hypotheses, key=lambda hypothesis: -hypothesis.score))
        return ranked


@torch.no_grad()
def sample(
    decoder: Decoder,
    memory: Memory,
    *,
    temperature: float = 1.0,
    longest: int = 30,
    generator: torch.Generator | None = None,
) -> list[Hypothesis]:
    """Return one caption per row of `memory`, each word drawn at random by its probability.

    `log_probability` is the network's own, whatever the temperature of the draw.

    Args:
        decoder: in evaluation mode.
        memory: one row per caption; repeat a picture's row for several of it.
        temperature: divides the scores that are drawn by: below 1 the likely words become likelier; 0 takes the
            likeliest one, which is greedy decoding.
        longest: words of a caption at most.
        generator: the random generator, on the CPU; None: torch's own.

    Raises:
        CnnError: the temperature is below 0 or not finite.
    """
    if not 0 <= temperature < float("inf"):
        raise CnnError(f"temperature: expected 0 or more, got {temperature}")
    state = memory.start
    words = torch.full((len(memory),), START, device=state[0].device)
    ended, sums, columns = torch.zeros_like(words, dtype=torch.bool), torch.zeros(len(memory)), []
    sums = sums.to(words.device)
    for t in range(longest + 1):
        step = decoder.step(decoder.words(words), state, memory)
        log_probs = next_log_probs(decoder, step.out, first=t == 0, last=t == longest)
        if temperature:
            drawn_by = (log_probs / temperature).softmax(1).cpu()
            words = torch.multinomial(drawn_by, 1, generator=generator)[:, 0].to(words.device)
        else:
            words = log_probs.argmax(1)
        words = words.masked_fill(ended, PADDING)
        sums = sums + log_probs.gather(1, words[:, None])[:, 0].masked_fill(ended, 0.0)
        columns.append(words)
        ended, state = ended | (words == END), step.state
        if ended.all():
            break
    table = torch.stack(columns, 1).tolist()
    plain = [tuple(n for n in row if n > UNKNOWN) for row in table]
    return [Hypothesis(row, total, total) for row, total in zip(plain, sums.tolist(), strict=True)]
