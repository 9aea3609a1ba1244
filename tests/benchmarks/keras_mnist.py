"""The introductions' Keras network on MNIST, timed: one JSON line with seconds per epoch and accuracy.

Run by test_mnist_speed.py in an environment of its own (`pip install keras tensorflow-cpu numpy`). The architecture is
the one that introductions to Keras have used since 2015: two 3 x 3 convolutions with 32 and 64 filters, max-pooling,
dropout, a dense layer of 128, Adadelta with learning rate 1, batches of 128.
"""

import json
import os
import sys
import time

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
from keras import layers


def read(path: str, header: int) -> np.ndarray:
    with open(path, "rb") as file:  # noqa: PTH123 - this file runs without the project
        return np.frombuffer(file.read(), np.uint8)[header:]


def main() -> None:
    folder, epochs = sys.argv[1], int(sys.argv[2])
    sets = {}
    for part in ("train", "t10k"):
        x = read(f"{folder}/{part}-images-idx3-ubyte", 16).reshape(-1, 28, 28, 1).astype("float32") / 255
        sets[part] = x, keras.utils.to_categorical(read(f"{folder}/{part}-labels-idx1-ubyte", 8), 10)
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            layers.Input((28, 28, 1)),
            layers.Conv2D(32, 3, activation="relu"),
            layers.Conv2D(64, 3, activation="relu"),
            layers.MaxPooling2D(2),
            layers.Dropout(0.25),
            layers.Flatten(),
            layers.Dense(128, activation="relu"),
            layers.Dropout(0.5),
            layers.Dense(10, activation="softmax"),
        ]
    )
    model.compile("adadelta", "categorical_crossentropy", metrics=["accuracy"])
    model.optimizer.learning_rate = 1.0
    started = time.perf_counter()
    model.fit(*sets["train"], batch_size=128, epochs=epochs, verbose=0)
    seconds = (time.perf_counter() - started) / epochs
    accuracy = model.evaluate(*sets["t10k"], verbose=0)[1]
    print(json.dumps({"seconds_per_epoch": seconds, "epochs": epochs, "accuracy": accuracy}))


if __name__ == "__main__":
    main()
