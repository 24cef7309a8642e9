"""Numbers that parity is tested on: the same on any machine."""

import numpy as np

SHAPES = {
    "decoder": {
        "double1": {"bias": (64,), "kernel": (4, 4, 64, 128)},
        "double2": {"bias": (1,), "kernel": (4, 4, 1, 64)},
        "linear": {"bias": (6272,), "kernel": (20, 6272)},
    },
    "encoder": {
        "halve1": {"bias": (64,), "kernel": (4, 4, 1, 64)},
        "halve2": {"bias": (128,), "kernel": (4, 4, 64, 128)},
        "log_variance": {"bias": (20,), "kernel": (6272, 20)},
        "mean": {"bias": (20,), "kernel": (6272, 20)},
    },
}
STEPS, BATCH = 10, 32


def make_params():
    """Parameters of the size that networks start with."""
    random = np.random.default_rng(1)

    def draw(shape):
        return (random.uniform(-1, 1, shape) / np.sqrt(max(16, np.prod(shape[:-1])))).astype("f4")

    return {
        part: {
            layer: {name: draw(shape) for name, shape in arrays.items()}
            for layer, arrays in layers.items()
        }
        for part, layers in SHAPES.items()
    }


def make_batches():
    """Images [step, batch, 784] with strokes of their own, and noise [step, batch, 20]."""
    random = np.random.default_rng(2)
    images = random.uniform(0, 1, (STEPS, BATCH, 784)) ** 6
    return images.astype("f4"), random.normal(size=(STEPS, BATCH, 20)).astype("f4")
