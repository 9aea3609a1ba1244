"""fastai on a folder of photos, timed: one JSON line for each number of epochs tried.

Run by test_photos_speed.py in an environment of its own (`pip install fastai timm`). It is fastai's own introduction,
`vision_learner` and its augmentations on the same network with the same ImageNet weights as ours (timm's
tf_efficientnet_lite0): first the new head alone, then `fine_tune`, which trains the whole network too.
"""

import json
import sys
import time

import timm
import torch
from fastai.vision.all import ImageDataLoaders, Normalize, Resize, accuracy, aug_transforms, vision_learner

NAME = "tf_efficientnet_lite0"


def weights(path: str) -> dict[str, torch.Tensor]:
    """Return the package's tensors under timm's names: both list the layers from first to last."""
    theirs = torch.load(path, map_location="cpu", weights_only=True)
    names = timm.create_model(NAME).state_dict()
    assert [value.shape for value in theirs.values()] == [value.shape for value in names.values()]
    return dict(zip(names, theirs.values(), strict=True))


def main() -> None:
    folder, path, threads = sys.argv[1:4]
    torch.set_num_threads(int(threads))
    state = weights(path)
    whole = timm.create_model(NAME).eval()
    whole.load_state_dict(state)
    with torch.inference_mode():  # compared with ours by the caller
        probe = whole(torch.linspace(-1, 1, 3 * 224 * 224).view(1, 3, 224, 224))[0, :5].tolist()
    print(json.dumps({"probe": probe}), flush=True)
    transforms = [*aug_transforms(), Normalize.from_stats([0.5] * 3, [0.5] * 3)]
    for way, epochs in (("head", 1), ("head", 3), ("fine_tune", 1), ("fine_tune", 3)):
        started = time.perf_counter()
        data = ImageDataLoaders.from_folder(
            folder, train="train", valid="val", item_tfms=Resize(224), batch_tfms=transforms, num_workers=0, seed=0
        )
        learner = vision_learner(data, NAME, pretrained=False, metrics=accuracy)
        body = learner.model[0].model
        missing = body.load_state_dict(state, strict=False).missing_keys
        assert not missing, missing
        with learner.no_bar(), learner.no_logging():
            if way == "head":
                learner.freeze()
                learner.fit_one_cycle(epochs, 2e-3)
            else:
                learner.fine_tune(epochs)
            seconds = time.perf_counter() - started
            test = data.test_dl([p for p in sorted((data.path / "test").rglob("*")) if p.is_file()], with_labels=True)
            found = float(learner.validate(dl=test)[1])
        print(json.dumps({"way": way, "epochs": epochs, "seconds": seconds, "accuracy": found}), flush=True)


if __name__ == "__main__":
    main()
