"""Classify images by a small network that is trained on original images."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from collapse_jax.config import config
from collapse_jax.utils import check

_STOPPING = 10  # training images of which one decides when to stop, scikit-learn's default


@config
class Classifier:
    """A perceptron with one hidden layer; made by `Classifier.train`.

    Attributes:
      kernels: [pixel, unit] and [unit, class].
      biases: [unit] and [class].
    """

    kernels: Any
    biases: Any

    @classmethod
    def train(
        cls, images: Any, labels: Any, *, seed: int = 0, num_units: int = 128
    ) -> "Classifier":
        """Train on labelled images, by scikit-learn's `MLPClassifier` with early stopping.

        Args:
          images: brightness in [0, 1], [image, pixel].
          labels: integers 0 .. K-1, [image].
          seed: decides the initial weights and the order of images.
          num_units: width of the hidden layer.

        Raises:
          ArgumentError: for fewer than two classes, a class with fewer than 2 images, or K
            classes with at most 10 (K - 1) images: a tenth of the images, with some of each
            class, decides when to stop.
        """
        from sklearn.neural_network import MLPClassifier

        if refusal := refusal_of(labels):
            raise check.fail("labels", *refusal, "pass more images, or no labels")
        model: Any = MLPClassifier(
            (num_units,), max_iter=50, early_stopping=True, random_state=seed
        ).fit(images, labels)
        kernels, biases = list(model.coefs_), list(model.intercepts_)
        if len(biases[1]) == 1:  # one logit, of the second class
            kernels[1] = np.hstack([-kernels[1] / 2, kernels[1] / 2])
            biases[1] = np.concatenate([-biases[1] / 2, biases[1] / 2])
        narrow = [tuple(part.astype(np.float32) for part in parts) for parts in (kernels, biases)]
        return cls(*narrow)

    def predict(self, images: Float[Array, "image pixel"]) -> Int[Array, " image"]:
        """Return the likeliest class of every image.

        Args:
          images: brightness in [0, 1], [image, pixel].

        Returns:
          int32 classes, [image].
        """
        hidden = jax.nn.relu(images @ self.kernels[0] + self.biases[0])
        return jnp.argmax(hidden @ self.kernels[1] + self.biases[1], axis=1)

    def shares(self, images: Float[Array, "image pixel"]) -> Float[Array, " class"]:
        """Return the share of the images in every class.

        Args:
          images: brightness in [0, 1], [image, pixel].

        Returns:
          Shares in [0, 1], [class].
        """
        counts = jnp.bincount(self.predict(images), length=len(self.biases[1]))
        return counts.astype(jnp.float32) / len(images)


def refusal_of(labels: Any) -> tuple[Any, str] | None:
    """Say why no classifier can be trained on images of these classes.

    Args:
      labels: classes of the training images, [image].

    Returns:
      The labels in a message and a clause that says what is needed, or None.
    """
    classes, counts = np.unique(labels, return_counts=True)
    if len(classes) < 2 or not np.array_equal(classes, np.arange(len(classes))):
        needed = "there must be two classes or more, 0 .. K-1, and a training image of each"
        return classes.tolist(), needed
    if counts.min() < 2 or counts.sum() <= _STOPPING * (len(classes) - 1):
        shown = check.Shown(f"classes of {', '.join(map(str, counts))} images")
        least = _STOPPING * (len(classes) - 1) + 1
        return shown, f"each must have 2 training images or more, and all together {least}"
    return None
