"""Define variational autoencoders of images, trained in every generation."""

from collections.abc import Mapping
from typing import Any, NamedTuple, Self

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, UInt32

from collapse_jax.config import config, static
from collapse_jax.core.corpus import AbstractCorpus, Size
from collapse_jax.core.family import AbstractFamily, Fit, Schedule
from collapse_jax.core.metric import Metric, Quantity
from collapse_jax.core.policy import AbstractPolicy
from collapse_jax.core.samples import Rows
from collapse_jax.core.source import AbstractSource
from collapse_jax.core.state import Needs
from collapse_jax.metrics.images import precision_and_recall
from collapse_jax.random.keys import Keys, Purpose
from collapse_jax.random.threefry import key_from_words
from collapse_jax.sources.images import Images
from collapse_jax.utils import check
from collapse_jax.utils.status import Status
from collapse_jax.utils.vmap import sequential_on_cpu

_BLOCK = 256  # images decoded at a time, so that activations fit the caches
_OF_THE_PAPER = 100  # decoded images, as in the paper's figures
_MOST_COMPARED = 1000  # images for precision and recall: the cost grows with the square
_NEIGHBOURS = 5  # images, for precision and recall
_SHOWN = 64  # images of the variable `images`
LATENT_EDGES = np.linspace(-5, 5, 101)
"""Edges of the bins of `latent_histogram`; values beyond are in the outer bins."""


class VAEModel(NamedTuple):
    """A trained network.

    Attributes:
      encoder: params by layer and name, see `collapse_jax.families.vae.network`.
      decoder: params by layer and name.
      loss: mean over the images of the last epoch, nats.
      measuring: two words, the key of the noise for measuring.
    """

    encoder: Any
    decoder: Any
    loss: Float[Array, ""]
    measuring: UInt32[Array, "2"]


@config
class VAE(AbstractFamily):
    """Variational autoencoders as in the paper's experiment on MNIST (Shumailov et al. 2024).

    Encoder: convolutions to `width` and 2 `width` channels (4x4, stride 2, ReLU) and two
    linear heads; decoder: the reverse, logits of the pixels at its end. At the paper's sizes
    647,081 parameters. Every generation trains a fresh network; the loss is binary
    cross-entropy plus KL divergence, summed over a batch. A drawn image is the decoded mean
    of z ~ N(0, I).

    Variables, with n = `num_evaluated` new decoded images of each model: `loss`, of the last
    epoch, and `elbo`, of the source's test images, nats per image; `latent_mean`,
    `latent_std` and `latent_histogram` [bin] (shares) of the latent means that the encoder of
    generation 0 gives to the n images, over images and dimensions together, and
    `latent_mean_100`, `latent_std_100` for the first 100 of them, the paper's number;
    `pixel_variance`, over images, mean over pixels; `precision` and `recall` (5 neighbours in
    pixel space, at most 1,000 images of either kind); with a classifier `class_shares`
    [class]. On request `images` [image, row, column], the first 64 of the n.

    Args:
      latent_dim: length of the latent vector of an image.
      width: channels of the first convolution.
      image_size: side of the images, a multiple of 4.
      epochs: passes over a corpus.
      batch_size: images of a step.
      optimizer: "adam" (weight_decay is an L2 penalty in the gradient), "adamw" (weight_decay
        is outside the gradient) or "sgd".
      learning_rate: step size, in (0, 1e3].
      weight_decay: in [0, 1e3].
      corpus: "stream", as in the paper: drawn images are decoded within the step and never
        seen again; or "samples": they are stored, and seen in every epoch.
      dtype: "float32" or "bfloat16", of the computation; parameters are float32.
      num_evaluated: images that are decoded for measuring, >= 100.
      classifier: a `Classifier` trained on original images, or None.

    Raises:
      ArgumentError: for any other value.
    """

    latent_dim: int = static(default=20)
    width: int = static(default=64)
    image_size: int = static(default=28)
    epochs: int = static(default=30)
    batch_size: int = static(default=256)
    optimizer: str = static(default="adam")
    learning_rate: float = static(default=1e-3)
    weight_decay: float = static(default=1e-5)
    corpus: str = static(default="stream")
    dtype: str = static(default="float32")
    num_evaluated: int = static(default=10_000)
    classifier: Any = None

    def __post_init__(self) -> None:
        for name in ("latent_dim", "width", "epochs", "batch_size"):
            check.integer(f"VAE.{name}", getattr(self, name), 1, 2**20)
        check.integer("VAE.num_evaluated", self.num_evaluated, _OF_THE_PAPER)
        check.integer("VAE.image_size", self.image_size, 4, 4096)
        if self.image_size % 4:
            remedy = "pass 28, for example, and images of this side"
            raise check.fail(
                "VAE.image_size", self.image_size, "it must be a multiple of 4", remedy
            )
        check.choice("VAE.optimizer", self.optimizer, ("adam", "adamw", "sgd"))
        check.choice("VAE.corpus", self.corpus, ("stream", "samples"))
        check.choice("VAE.dtype", self.dtype, ("float32", "bfloat16"))
        remedy = "pass a number such as learning_rate=1e-3"
        check.number("VAE.learning_rate", self.learning_rate, 0, 1e3, remedy, open_low=True)
        remedy = "pass a number such as weight_decay=1e-5"
        check.number("VAE.weight_decay", self.weight_decay, 0, 1e3, remedy)

    @property
    def needs(self) -> Needs:
        """Return model 0, whose encoder makes the measured latents."""
        return Needs(generation0=True)

    @property
    def schedule(self) -> Schedule:
        """Return an exclusive schedule, because one chain alone keeps a CPU busy."""
        return Schedule(sequential_on_cpu=True, exclusive=True)

    @property
    def stores_corpus(self) -> bool:
        """Tell whether images are stored; those of a stream are not."""
        return self.corpus == "samples"

    def resolve(self, source: AbstractSource, policy: AbstractPolicy) -> Self:
        """Check that the source has images of the right size, and that the corpus suits."""
        if not isinstance(source, Images):
            allowed = "a VAE is trained on images"
            raise check.fail("Chain.source", type(source).__name__, allowed, "use cj.Images(...)")
        if source.side != self.image_size:
            allowed = f"the source's images have side {source.side}"
            remedy = f"pass image_size={source.side}, or Images.load(..., side={self.image_size})"
            raise check.fail("VAE.image_size", self.image_size, allowed, remedy)
        if len(source.test) < 2:
            allowed = "a sample is compared with distances between two test images or more"
            remedy = "pass more test images; Images.load makes one of every ten images"
            raise check.fail("len(Images.test)", len(source.test), allowed, remedy)
        reads = policy.needs.corpus or policy.recalls is not None or policy.selected_by is not None
        if self.corpus == "stream" and reads:
            allowed = f"{type(policy).__name__} needs images that were drawn before"
            raise check.fail("VAE.corpus", "stream", allowed, "use VAE(corpus='samples')")
        return self

    @property
    def _architecture(self) -> Any:
        from collapse_jax.families.vae.network import Architecture

        return Architecture(self.latent_dim, self.width, self.image_size, self.dtype)

    def original(
        self, keys: Keys, source: AbstractSource, size: Size, capacity: int
    ) -> AbstractCorpus:
        """Return images of the source, as a stream if the corpus is one."""
        from collapse_jax.families.vae.stream import Stream

        samples = source.draw(keys, size, capacity)
        return samples if self.corpus == "samples" else Stream.of(samples)

    def fit(self, keys: Keys, corpus: AbstractCorpus, previous: Any, generation0: Any) -> Fit:
        """Train a fresh network on a corpus."""
        from collapse_jax.families.vae.stream import Stream
        from collapse_jax.families.vae.training import VAETraining, make_optimizer

        optimizer = make_optimizer(self.optimizer, self.learning_rate, self.weight_decay)
        training = VAETraining(self._architecture, self.epochs, self.batch_size, optimizer)
        params, loss = sequential_on_cpu(training.run)(keys, Stream.of(corpus))
        leaves = jax.tree.leaves(params)
        is_finite = jnp.all(jnp.stack([jnp.all(jnp.isfinite(leaf)) for leaf in leaves]))
        status = jnp.where(is_finite & jnp.isfinite(loss), Status.OK, Status.NON_FINITE)
        status = status.astype(jnp.int32)
        measuring = jax.random.key_data(keys.unrolled_key(Purpose.METRIC))
        return Fit(VAEModel(params["encoder"], params["decoder"], loss, measuring), status)

    def draw(
        self, keys: Keys, params: VAEModel, size: Size, capacity: int, generation0: Any
    ) -> AbstractCorpus:
        """Return decoded images, or the decoder if images are drawn in training."""
        from collapse_jax.families.vae.stream import Stream

        if self.corpus == "stream":
            return Stream(None, params.decoder, jnp.asarray(size, jnp.int32), capacity)
        key = keys.unrolled_key(Purpose.DRAW)
        rows = sequential_on_cpu(lambda key, decoder: self._decode(key, decoder, capacity))(
            key, params.decoder
        )
        return Rows.of_rows(rows, size)

    def _decode(self, key: Any, decoder: Any, number: int) -> Float[Array, "image pixel"]:
        """Decode `number` images of z ~ N(0, I), a block at a time."""
        architecture = self._architecture

        def block(index: Array) -> Array:
            shape = (_BLOCK, self.latent_dim)
            latents = jax.random.normal(jax.random.fold_in(key, index), shape, jnp.float32)
            return jax.nn.sigmoid(architecture.decode(decoder, latents))

        images = jax.lax.map(block, jnp.arange(-(-number // _BLOCK)))
        return images.reshape(-1, architecture.num_pixels)[:number]

    def measure(
        self,
        params: VAEModel,
        corpus: AbstractCorpus | None,
        source: AbstractSource,
        generation0: Any,
    ) -> dict[str, Float[Array, "..."]]:
        """Return all variables of a model except `images`."""
        assert isinstance(source, Images)
        values = sequential_on_cpu(self._evaluate)(
            params, generation0.params.encoder, jnp.asarray(source.test), self.classifier
        )
        return {"loss": params.loss, **values}

    def _evaluate(self, model: VAEModel, encoder: Any, real: Array, classifier: Any) -> dict:
        from collapse_jax.families.vae.loss import negative_elbo

        architecture = self._architecture
        key, images = self._samples(model)

        def in_blocks(function: Any, *arrays: Array) -> Any:
            return jax.lax.map(lambda row: function(*row), arrays, batch_size=_BLOCK)

        def encode(image: Array) -> Array:
            return architecture.encode(encoder, image[None])[0][0]

        def elbo(image: Array, noise: Array) -> Array:
            network = {"encoder": model.encoder, "decoder": model.decoder}
            return -negative_elbo(architecture, network, image[None], noise[None])[0]

        shape = (len(real), self.latent_dim)
        noise = jax.random.normal(jax.random.fold_in(key, 1), shape, jnp.float32)
        latents = in_blocks(encode, images)
        few = latents[:_OF_THE_PAPER]
        compared = min(_MOST_COMPARED, self.num_evaluated, len(real))
        neighbours = min(_NEIGHBOURS, compared - 1)
        precision, recall = precision_and_recall(images[:compared], real[:compared], neighbours)
        values = {
            "elbo": jnp.mean(in_blocks(elbo, real, noise)),
            "latent_mean": jnp.mean(latents),
            "latent_std": jnp.std(latents),
            "latent_histogram": _histogram(latents),
            "latent_mean_100": jnp.mean(few),
            "latent_std_100": jnp.std(few),
            "pixel_variance": jnp.mean(jnp.var(images, axis=0)),
            "precision": precision,
            "recall": recall,
        }
        if classifier is not None:
            values["class_shares"] = classifier.shares(images)
        return values

    def _samples(self, model: VAEModel) -> tuple[Any, Float[Array, "image pixel"]]:
        """Return the key for measuring a model, and the images that are decoded for measuring."""
        key = key_from_words(model.measuring)
        images = self._decode(jax.random.fold_in(key, 0), model.decoder, self.num_evaluated)
        return key, images

    @property
    def optional_metrics(self) -> Mapping[str, Metric]:
        """Return the variable `images`."""
        images = Metric(
            _images,
            "images",
            ("image", "row", "column"),
            reads=("family", "params"),
            long_name="decoded images, brightness in [0, 1]",
        )
        return {"images": images}

    @property
    def quantities(self) -> Mapping[str, Quantity]:
        """Return name, unit and axes of the default variables."""
        return {
            "loss": Quantity("training loss of the last epoch", "nats per image"),
            "elbo": Quantity("evidence lower bound of test images", "nats per image"),
            "latent_mean": Quantity("mean latent under the encoder of model 0"),
            "latent_std": Quantity("standard deviation of latents under the encoder of model 0"),
            "latent_histogram": Quantity("share of latents by bin", dims=("bin",)),
            "latent_mean_100": Quantity("mean latent of the first 100 images"),
            "latent_std_100": Quantity("standard deviation of latents of the first 100 images"),
            "pixel_variance": Quantity("variance over images, mean over pixels"),
            "precision": Quantity("share of decoded images near a test image"),
            "recall": Quantity("share of test images near a decoded image"),
            "class_shares": Quantity("share of images by class", dims=("class",)),
        }


def _histogram(latents: Array) -> Float[Array, " bin"]:
    """Return the shares of values by bin."""
    values = jnp.clip(latents.ravel(), LATENT_EDGES[0], LATENT_EDGES[-1])
    counts, _ = jnp.histogram(values, jnp.asarray(LATENT_EDGES, values.dtype))
    return counts.astype(jnp.float32) / values.size


def _images(
    key: Any, family: VAE, params: VAEModel, corpus: Any, source: Any, generation0: Any
) -> Array:
    """Decode the first of the images that are decoded for measuring."""
    del key, corpus, source, generation0

    def decode(measuring: Array, decoder: Any) -> Array:
        key = key_from_words(measuring)
        return family._decode(jax.random.fold_in(key, 0), decoder, _SHOWN)

    images = sequential_on_cpu(decode)(params.measuring, params.decoder)
    return images.reshape(_SHOWN, family.image_size, family.image_size)
