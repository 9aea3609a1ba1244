"""Metrics of captions, all on words as `split_words` gives them, 0 to 1 (CIDEr-D: 0 to 10).

BLEU-1..4: Papineni et al. 2002, doi:10.3115/1073083.1073135, the corpus definition: clipped n-gram counts are added up
over the corpus, the geometric mean of precisions is taken once, the brevity penalty uses the closest reference length
(the shorter of two equally close), nothing is smoothed. That is what the captioning literature calls BLEU.
CIDEr-D: Vedantam, Zitnick, Parikh 2015, arXiv:1411.5726, equations 2 to 6, sigma 6, times 10; document frequencies are
those of the references that are measured against.
ROUGE-L: Lin 2004, as captions are measured: the best recall and the best precision over the references, beta 1.2, mean.
METEOR is left out: every implementation in Python needs WordNet's data to be downloaded.
"""

import math
from collections import Counter
from collections.abc import Sequence

from cnn_core.errors import DataError

Words = Sequence[str]
ORDERS = 4
SIGMA = 6.0
BETA = 1.2


def caption_metrics(captions: Sequence[Words], references: Sequence[Sequence[Words]]) -> dict[str, float]:
    """Return bleu1..bleu4, cider and rouge_l of one caption per picture.

    Raises:
        DataError: no pictures, different numbers of them, or one without a reference.
    """
    check_references(captions, references)
    scores = {f"bleu{n}": value for n, value in enumerate(corpus_bleu(captions, references), start=1)}
    scores["cider"] = sum(cider_d(captions, references)) / len(captions)
    scores["rouge_l"] = sum(rouge_l(c, r) for c, r in zip(captions, references, strict=True)) / len(captions)
    return scores


def check_references(captions: Sequence[Words], references: Sequence[Sequence[Words]]) -> None:
    """Raise DataError unless there are as many captions as pictures with references, one or more of each."""
    if not captions or len(captions) != len(references):
        raise DataError(f"expected one caption per picture, got {len(captions)} for {len(references)} pictures")
    if not all(references):
        raise DataError(f"{sum(not r for r in references)} pictures have no caption to compare with; leave them out")


def ngrams(words: Words, order: int) -> Counter[tuple[str, ...]]:
    """Count the n-grams of one order."""
    return Counter(tuple(words[i : i + order]) for i in range(len(words) - order + 1))


def corpus_bleu(captions: Sequence[Words], references: Sequence[Sequence[Words]]) -> list[float]:
    """Return BLEU-1 to BLEU-4; a BLEU without a single match of its highest order is 0."""
    matched, written = [0] * ORDERS, [0] * ORDERS
    length = closest = 0
    for words, others in zip(captions, references, strict=True):
        length += len(words)
        closest += min((abs(len(other) - len(words)), len(other)) for other in others)[1]
        for n in range(1, ORDERS + 1):
            counts = ngrams(words, n)
            most: Counter[tuple[str, ...]] = Counter()
            for other in others:
                most |= ngrams(other, n)
            matched[n - 1] += sum((counts & most).values())
            written[n - 1] += max(0, len(words) - n + 1)
    penalty = 1.0 if length >= closest else math.exp(1 - closest / length) if length else 0.0
    scores: list[float] = []
    logs = 0.0
    for hit, count in zip(matched, written, strict=True):
        logs = logs + math.log(hit / count) if hit and logs > float("-inf") else float("-inf")
        scores.append(penalty * math.exp(logs / (len(scores) + 1)))
    return scores


def rouge_l(words: Words, references: Sequence[Words]) -> float:
    """Return ROUGE-L of one caption."""
    common = [longest_common(words, other) for other in references]
    recall = max(c / len(o) if o else 0.0 for c, o in zip(common, references, strict=True))
    precision = max(common) / len(words) if words else 0.0
    if not recall or not precision:
        return 0.0
    return (1 + BETA**2) * precision * recall / (recall + BETA**2 * precision)


def longest_common(one: Words, other: Words) -> int:
    """Return the length of the longest common subsequence."""
    row = [0] * (len(other) + 1)
    for word in one:
        diagonal = 0
        for j, own in enumerate(other, start=1):
            diagonal, row[j] = row[j], diagonal + 1 if word == own else max(row[j], row[j - 1])
    return row[-1]


Vector = dict[tuple[str, ...], float]
Vectors = tuple[list[Vector], list[float], int]  # of a sentence by order, their norms, and its number of words


class CiderD:
    """CIDEr-D against references whose n-gram vectors are computed once.

    Args:
        references: per picture; document frequencies are counted in them.
    """

    def __init__(self, references: Sequence[Sequence[Words]]) -> None:
        self.frequencies = document_frequencies(references)
        self.log_documents = math.log(max(1, len(references)))
        self.references = [[self._vectors(words) for words in others] for others in references]

    def scores(self, captions: Sequence[Words], pictures: Sequence[int]) -> list[float]:
        """Return the score of each caption as one of picture `pictures[i]`, 0 to 10."""
        return [
            self._score(self._vectors(words), self.references[i]) for words, i in zip(captions, pictures, strict=True)
        ]

    def _vectors(self, words: Words) -> Vectors:
        """Return count times inverse document frequency of all n-grams by order, the norms, and the length."""
        vectors = [
            {gram: n * (self.log_documents - math.log(max(1, self.frequencies[gram]))) for gram, n in grams.items()}
            for grams in (ngrams(words, order) for order in range(1, ORDERS + 1))
        ]
        return vectors, [math.sqrt(sum(v * v for v in vector.values())) for vector in vectors], len(words)

    def _score(self, ours: Vectors, others: Sequence[Vectors]) -> float:
        total = 0.0
        for vectors, norms, length in others:
            likeness = sum(map(clipped_cosine, ours[0], vectors, ours[1], norms))
            total += likeness / ORDERS * math.exp(-((ours[2] - length) ** 2) / (2 * SIGMA**2))
        return 10 * total / len(others)


def cider_d(captions: Sequence[Words], references: Sequence[Sequence[Words]]) -> list[float]:
    """Return the CIDEr-D of one caption per picture, 0 to 10."""
    return CiderD(references).scores(captions, range(len(captions)))


def clipped_cosine(ours: Vector, theirs: Vector, our_norm: float, their_norm: float) -> float:
    """Return the cosine of two vectors, in whose product no n-gram counts more than in the reference `theirs`."""
    if not our_norm or not their_norm:
        return 0.0
    shared = sum(min(value, theirs[gram]) * theirs[gram] for gram, value in ours.items() if gram in theirs)
    return shared / (our_norm * their_norm)


def document_frequencies(references: Sequence[Sequence[Words]]) -> Counter[tuple[str, ...]]:
    """Count in the references of how many pictures each n-gram of orders 1 to 4 occurs."""
    frequencies: Counter[tuple[str, ...]] = Counter()
    for others in references:
        frequencies.update({gram for words in others for n in range(1, ORDERS + 1) for gram in ngrams(words, n)})
    return frequencies
