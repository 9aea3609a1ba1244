"""Which words and word groups decide about a sentence: `python examples/sentence_to_ngrams.py [SENTENCE]`."""

import sys

import text_classification

SENTENCE = "a warm, funny and beautifully acted film"


def main(sentence: str = SENTENCE) -> dict[str, float]:
    predictor = text_classification.load("sst2")
    print(predictor.predict(sentence)[0])
    found = predictor.explain(sentence)
    for token, weight in zip(found.tokens, found.weights, strict=True):
        print(f"{weight:+.3f}  {token}")
    for vote in found.votes[:5]:
        print(f"filter {vote.filter} was fired most by {vote.ngram!r}: {vote.contribution:+.3f}")
    return dict(zip(found.tokens, found.weights, strict=True))


if __name__ == "__main__":
    main(*sys.argv[1:])
