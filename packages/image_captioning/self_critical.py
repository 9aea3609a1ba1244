"""Training on the metric itself: captions that the network draws are made likelier the better they score.

Rennie et al. 2017, "Self-critical Sequence Training for Image Captioning", arXiv:1612.00563. Differs from the paper: a
caption is compared with the mean of the picture's other drawn captions, not with the greedy one (Luo 2020, "A Better
Variant of Self-Critical Sequence Training", arXiv:2003.09971). Dropout acts on the scored captions, not on the drawn
ones: without it, one epoch on Flickr8k lowered CIDEr on validation from 0.498 to 0.481; with it, three raised it from
0.495 to 0.521.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from cnn_core.errors import CnnError
from image_captioning.contract import CaptionContract
from image_captioning.model import CaptionBatch, Captioner
from image_captioning.search import sample, teacher_forced_log_probs
from image_captioning.words import END

Reward = Callable[[Sequence[Sequence[str]], Sequence[int]], Sequence[float]]  # (captions, their pictures) -> scores


def self_critical_loss(
    model: nn.Module, batch: CaptionBatch, *, contract: CaptionContract, reward: Reward, drawn: int
) -> Tensor:
    """Return minus the mean over words of advantage times log-probability.

    Args:
        model: a `Captioner`, or a wrapper around one.
        batch: with the numbers of its pictures in `source`; its captions are not used.
        contract: turns words into numbers and back.
        reward: scores captions.
        drawn: captions of each picture, at least 2.

    Raises:
        CnnError: the batch does not say which pictures it holds.
    """
    if batch.source is None:
        raise CnnError("captions can only be rewarded in batches that say which pictures they hold")
    pictures, device = len(batch.pictures), batch.pictures.device
    owner = torch.arange(pictures, device=device).repeat_interleave(drawn)
    captioner = _captioner(model)
    training = captioner.training
    captioner.eval()
    with torch.no_grad():
        memory = captioner.remember(batch.pictures).rows(owner)
        captions = sample(captioner.decoder, memory, longest=contract.longest)
    captioner.train(training)
    texts = [contract.decode(caption.words) for caption in captions]
    scores = torch.tensor(reward(texts, batch.source[owner].tolist())).view(pictures, drawn)
    others = (scores.sum(1, keepdim=True) - scores) / (drawn - 1)
    advantage = (scores - others).flatten().to(device)
    rows = [torch.tensor([*caption.words, END]) for caption in captions]
    lengths = torch.tensor([len(row) for row in rows])
    words = pad_sequence(rows, batch_first=True)
    output = model(CaptionBatch(batch.pictures, words.to(device), lengths.to(device), owner))
    log_probs = teacher_forced_log_probs(output.logits, output.targets).gather(1, output.targets[:, None])[:, 0]
    return -(advantage[output.row] * log_probs).mean()


def _captioner(model: nn.Module) -> Captioner:
    """Return the captioner in what Fabric or torch.compile wrapped around it."""
    for module in model.modules():
        if isinstance(module, Captioner):
            return module
    raise TypeError(f"expected a captioner, got {type(model).__name__}")
