"""Metrics against numbers worked by hand and against the papers' formulas written out once more."""

import math
import random
from collections import Counter

import pytest

from cnn_core.errors import DataError
from image_captioning.metrics import caption_metrics, cider_d, corpus_bleu, longest_common, rouge_l
from image_captioning.words import build_vocabulary, split_words


def test_bleu_by_hand() -> None:
    # Papineni et al., example 2: "the" occurs at most twice in one reference: 2 of 7; no bigram "the the" is right.
    references = [[["the", "cat", "is", "on", "the", "mat"], ["there", "is", "a", "cat", "on", "the", "mat"]]]
    assert corpus_bleu([["the"] * 7], references) == pytest.approx([2 / 7, 0, 0, 0])
    # 4 of 4, 3 of 3, 2 of 2, 1 of 1, but 4 words for a closest reference of 6: exp(1 - 6 / 4).
    assert corpus_bleu([["the", "cat", "is", "on"]], references) == pytest.approx([math.exp(-0.5)] * 4)


def test_bleu_adds_counts_up_over_the_corpus_and_takes_the_closest_length() -> None:
    captions = [["a", "b", "c"], ["x"]]
    references = [[["a", "b", "d"], ["a", "b", "c", "d", "e"]], [["x", "y", "z"], ["q"]]]
    # 3-word caption: references of 3 and 5 words, closest 3; 1-word caption: 3 and 1, closest 1; no penalty: 4 to 4.
    # unigrams 3 + 1 of 3 + 1, bigrams 2 of 2, trigrams 1 of 1, no 4-gram anywhere.
    assert corpus_bleu(captions, references) == pytest.approx([1, 1, 1, 0])
    # two equally close lengths, 2 and 4 for 3: the shorter one, so no penalty
    assert corpus_bleu([["a", "b", "c"]], [[["a", "b"], ["a", "b", "c", "d"]]])[0] == 1


def test_rouge_by_hand() -> None:
    assert longest_common(["a", "b", "c", "d"], ["b", "x", "d"]) == 2
    # LCS 2: precision 2/4, recall 2/3, beta 1.2: 2.44 * (1/3) / (2/3 + 1.44 * 0.5)
    assert rouge_l(["a", "b", "c", "d"], [["b", "x", "d"]]) == pytest.approx(2.44 / 3 / (2 / 3 + 0.72))
    assert rouge_l([], [["a"]]) == rouge_l(["a"], [["b"]]) == 0
    assert rouge_l(["a", "b"], [["c"], ["a", "b"]]) == pytest.approx(1)


def reference_cider(captions: list, references: list) -> float:
    """CIDEr-D straight from Vedantam et al., with dense vectors over all n-grams."""
    total = 0.0
    for n in (1, 2, 3, 4):

        def grams(words: list[str], n: int = n) -> Counter:
            return Counter(zip(*(words[i:] for i in range(n)), strict=False))

        documents = [set().union(*(grams(r) for r in refs)) for refs in references]
        names = sorted(set().union(*documents, *(grams(c) for c in captions)))
        idf = [math.log(len(references) / max(1, sum(g in d for d in documents))) for g in names]
        for caption, refs in zip(captions, references, strict=True):
            counts = grams(caption)
            own = [counts[g] * w for g, w in zip(names, idf, strict=True)]
            for ref in refs:
                there = grams(ref)
                theirs = [there[g] * w for g, w in zip(names, idf, strict=True)]
                norm = math.dist(own, [0] * len(own)) * math.dist(theirs, [0] * len(theirs))
                product = sum(min(a, b) * b for a, b in zip(own, theirs, strict=True))
                penalty = math.exp(-((len(caption) - len(ref)) ** 2) / (2 * 6**2))
                total += 10 * penalty * (product / norm if norm else 0) / len(refs) / 4
    return total / len(captions)


def test_cider_is_the_papers_formula() -> None:
    rng = random.Random(5)
    words = ["a", "dog", "cat", "runs", "jumps", "over", "the", "small", "big", "red"]
    captions = [[rng.choice(words) for _ in range(rng.randint(1, 9))] for _ in range(30)]
    references = [[[rng.choice(words) for _ in range(rng.randint(1, 9))] for _ in range(3)] for _ in range(30)]
    references[0] = [captions[0], captions[0]]
    ours = sum(cider_d(captions, references)) / 30
    assert ours == pytest.approx(reference_cider(captions, references), rel=1e-9) and ours > 0


def test_cider_by_hand() -> None:
    # Two pictures; "a" is in both (weight 0), "b" and "a b" in one each (weight log 2). Caption = reference: 1 for
    # orders 1 and 2, and no 3-grams: 10 * (1 + 1) / 4.
    references = [[["a", "b"]], [["a", "c"]]]
    assert cider_d([["a", "b"], ["a", "b"]], references) == pytest.approx([5.0, 0.0])
    # one word more: the length's factor is exp(-1 / 72); of order 1 the vectors are (b: log 2, x: log 2) and (b: log 2)
    half = (1 / math.sqrt(2) + 1 / math.sqrt(2)) / 4
    assert cider_d([["a", "b", "x"], ["c"]], references)[0] == pytest.approx(10 * half * math.exp(-1 / 72))


def test_all_metrics_together_and_what_cannot_be_measured() -> None:
    found = caption_metrics([["a", "b", "c", "d", "e"]], [[["a", "b", "c", "d", "e"]]])
    assert found == pytest.approx({f"bleu{n}": 1 for n in range(1, 5)} | {"cider": 0, "rouge_l": 1})
    for captions, references in (([], []), ([["a"]], []), ([["a"]], [[]])):
        with pytest.raises(DataError):
            caption_metrics(captions, references)
    assert caption_metrics([[]], [[["a"]]])["bleu1"] == 0


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("A dog's ball , two men !", ["a", "dog's", "ball", "two", "men"]),
        ("Ein schöner Über-Tag", ["ein", "schöner", "über", "tag"]),
        ("won’t", ["won't"]),
        (" .,;_ ", []),
        ("犬 runs", ["犬", "runs"]),
        ("एक लड़का किताब पढ़ रहा है।", ["एक", "लड़का", "किताब", "पढ़", "रहा", "है"]),
        ("Ein scho\u0308ner U\u0308ber-Tag", ["ein", "schöner", "über", "tag"]),  # as macOS stores it
        ("İstanbul'da", ["i\u0307stanbul'da"]),  # the lower case of İ has a mark of its own
        ("1\ufe0f\u20e3 \u0301 cat’s cafe\u0301", ["1", "cat's", "café"]),  # marks without a letter
    ],
)
def test_words(text: str, words: list[str]) -> None:
    assert split_words(text) == words


def test_the_vocabulary_is_ordered_by_number_then_alphabet() -> None:
    assert build_vocabulary([["b", "a", "c"], ["b", "a"], ["b"]], min_count=2) == ("b", "a")
    assert build_vocabulary([["c", "a"]]) == ("a", "c")
