"""Train the paper's variational autoencoders of handwritten digits."""

import contextlib
import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import numpy as np

from collapse_jax.core.chain import Chain
from collapse_jax.core.policy import AbstractPolicy
from collapse_jax.engine.check_only import check_only
from collapse_jax.engine.simulate import simulate
from collapse_jax.experiments.base import AbstractExperiment, Scales, Summary
from collapse_jax.experiments.sources import option
from collapse_jax.families import VAE
from collapse_jax.families.vae.classifier import Classifier, refusal_of
from collapse_jax.families.vae.family import LATENT_EDGES
from collapse_jax.plots import vae as plots
from collapse_jax.plots.views import View, generations_view
from collapse_jax.policies import Replace
from collapse_jax.results.claims import Claim, statements_of
from collapse_jax.results.findings import ONE_MODEL, after, mean_of, percent_of
from collapse_jax.results.policy_words import policy_name, training_sentence
from collapse_jax.results.records import Records, check_complete
from collapse_jax.results.setting import Regime, Setting
from collapse_jax.results.statements import (
    LEAST_EFFECT,
    NO_EFFECT,
    Finding,
    diverged_chains,
    mean_with_interval,
)
from collapse_jax.sources import Images
from collapse_jax.store.store import Store
from collapse_jax.utils import check
from collapse_jax.utils.counted import counted
from collapse_jax.utils.interval import mean_over_chains
from collapse_jax.utils.status import is_frozen

PRESETS: dict[str, dict[str, Any]] = {
    "digits": {},
    "paper": {
        "source": "mnist",
        "num_chains": 5,
        "num_generations": 20,
        "epochs": 30,
        "batch_size": 256,
    },
}


@dataclasses.dataclass(frozen=True)
class VaeExperiment(AbstractExperiment):
    """Autoencoders of digits, each trained on images of its predecessor (Shumailov et al. 2024).

    Preset digits, the default, has scikit-learn's digits and the paper's network in one run of
    models 0 to 5, with as many steps as 30 epochs in batches of 256; three minutes on two cores.
    Preset paper has the paper's training and 60,000 images of MNIST from the Hugging Face hub in
    five runs of 20 generations; days on two cores. `--source FILE.npz` takes images x and labels
    y. Scale laptop of `collapse reproduce` makes two runs of 10 epochs in batches of 256, which
    take a quarter to half an hour with 10,000 images of MNIST. Under the policy replace, expect the
    std of latents to fall from generation to generation, and digits to blur into one another.
    """

    name = "vae"
    topic = "vae"
    scales: ClassVar[Scales] = {
        "smoke": {
            "num_images": 300,
            "width": 8,
            "image_size": 8,
            "epochs": 3,
            "num_generations": 2,
            "num_evaluated": 200,
        },
        "laptop": {"num_chains": 2, "epochs": 10, "batch_size": 256},
        "paper": {"preset": "paper", **PRESETS["paper"]},
    }
    hours: ClassVar[Mapping[str, float]] = {"smoke": 0.02, "laptop": 0.1, "paper": 65.0}
    presets: ClassVar[Scales] = PRESETS

    preset: Literal["digits", "paper"] = "digits"
    """Name of a set of settings; other options override them."""

    policy: AbstractPolicy = dataclasses.field(default_factory=Replace)
    """Policy of training data; num_samples None means the number of original images."""
    source: str = "digits"
    """digits, mnist, FILE.npz (x, y, and x_test, y_test if there are test images) or a folder of
    images; where there are none, every tenth image becomes a test image."""
    num_images: int | None = None
    """Number of images to load at most, evenly from all classes of a file or folder; None for
    all."""
    num_chains: int = 1
    """Independent runs."""
    num_generations: int = 5
    """Last generation."""
    epochs: int = 8
    """Passes over each corpus."""
    batch_size: int = 64
    """Images of a training step."""
    latent_dim: int = 20
    """Length of the latent vector of an image."""
    width: int = 64
    """Channels of the first convolution; the second has twice as many."""
    image_size: int = 28
    """Side of the images, a multiple of 4."""
    optimizer: Literal["adam", "adamw", "sgd"] = "adam"
    """Optimizer; the weight decay is in the gradient for adam, outside of it for adamw."""
    learning_rate: float = 1e-3
    """Step size of the optimizer."""
    weight_decay: float = 1e-5
    """Weight decay of the optimizer."""
    corpus: Literal["stream", "samples"] = "stream"
    """Corpus of images that are drawn for every batch, or stored and seen in every epoch."""
    dtype: Literal["float32", "bfloat16"] = "float32"
    """Type of the computation; parameters are float32."""
    num_evaluated: int = 10_000
    """Images that are decoded for measuring a model."""

    @property
    def work(self) -> float:
        """Return the products of all steps of training, up to a factor."""
        images = self.num_images or (_NUM_MNIST if self.source == "mnist" else _NUM_DIGITS)
        steps = self.num_chains * (self.num_generations + 1) * self.epochs * images
        return float(steps) * (self.width * self.image_size) ** 2

    def check(self, seed: int) -> None:
        """Refuse bad settings and images, without training the classifier."""
        source = self._images()
        with _of_source():
            self._check_classes(source)
        with check_only():
            self._simulate(source, None, key=seed)

    def run(self, seed: int, progress: bool, store: Store | None = None) -> Records:
        """Make one run per chain."""
        source = self._images()
        with _of_source():
            classifier = self._classifier(source)
        part = store and store.part("chains")
        records = self._simulate(source, classifier, key=seed, progress=progress, store=part)
        check_complete([records])
        middles = (LATENT_EDGES[1:] + LATENT_EDGES[:-1]) / 2
        named = {"long_name": "middle of a bin of latents", "units": "1"}
        dataset = records.dataset.assign_coords(bin=("bin", middles, named))
        if source.labels is not None:
            counts = np.bincount(source.labels)
            named = {"long_name": "share of original images of a class", "units": "1"}
            shares = ("class", counts / counts.sum(), named)
            dataset = dataset.assign(original_shares=shares)
        return dataclasses.replace(records, source=dataset)

    def _simulate(self, source: Images, classifier: Classifier | None, **more: Any) -> Records:
        return simulate(
            Chain(VAE(classifier=classifier, **self._settings), source, self.policy),
            num_chains=self.num_chains,
            num_generations=self.num_generations,
            metrics=("images",),
            **more,
        )

    @property
    def _settings(self) -> dict[str, Any]:
        """Return the settings of the family, except the classifier."""
        shared = {field.name for field in dataclasses.fields(VAE)} - {"classifier"}
        return {name: getattr(self, name) for name in shared}

    def _images(self) -> Images:
        """Return the original images.

        Raises:
          ArgumentError: for bad settings, or images that cannot be read.
        """
        VAE(**self._settings)  # refuses bad settings before images are read
        with _of_source():
            return Images.load(self.source, self.image_size, self.num_images)

    def _classifier(self, source: Images) -> Classifier | None:
        """Train a classifier of the original images, if they have labels."""
        if source.labels is None:
            return None
        try:
            return Classifier.train(source.images, source.labels)
        except check.ArgumentError:
            self._check_classes(source)
            raise

    def _check_classes(self, source: Images) -> None:
        """Refuse images of which the classifier cannot be trained.

        Raises:
          ArgumentError: naming what leaves too few training images of a class.
        """
        if source.labels is None or (refusal := refusal_of(source.labels)) is None:
            return
        shown, needed = refusal
        number, tests = source.num_rows, len(source.test)
        if self.num_images in (number, number + tests):  # the source may have more
            needed = f"the labels of training images are {shown}, but {needed}"
            remedy = "pass a larger number, or leave it out"
            raise check.fail("num_images", self.num_images, needed, remedy)
        others = () if source.test_labels is None else source.test_labels
        if held := sorted(set(map(int, others)) - set(map(int, source.labels))):
            classes = "class" if len(held) == 1 else "classes"
            listed = ", ".join(map(str, held))
            needed += f", and all images of {classes} {listed} are for tests (every tenth image is)"
        remedy = "pass more images of each class, or images without labels"
        raise check.fail("labels", shown, needed, remedy)

    @staticmethod
    def figures(records: Records) -> Mapping[str, tuple[str, Any]]:
        """Draw samples, latents, quality and classes."""
        policy, runs = policy_name(Setting.of(records).policy), len(records["chain"])
        lines = "one run" if runs == 1 else f"a line for each of {runs} runs"
        band = "" if runs == 1 else "; band: one std over runs"
        figures = {
            "samples": (
                f"Images decoded by the models of chain 0, policy {policy}.",
                plots.figure_samples(records.dataset),
            ),
            "density": (
                "Latent means of decoded images under the encoder of model 0, policy "
                f"{policy}, runs together.",
                plots.figure_density(records.dataset),
            ),
            "latents": (
                "Mean and standard deviation of latents under the encoder of model 0, policy "
                f"{policy}: {lines}{band}.",
                plots.figure_latents(records.dataset),
            ),
            "quality": (
                f"Fit to original test images, and diversity, policy {policy}: {lines}.",
                plots.figure_quality(records.dataset),
            ),
        }
        if "class_shares" in records.variables:
            caption = (
                "Shares of classes of decoded images, by a classifier trained on original images, "
                f"policy {policy}: means over runs; dotted at the left: shares of the originals."
            )
            figures["classes"] = (caption, plots.figure_classes(records.dataset))
        return figures

    @staticmethod
    def views(records: Records) -> Mapping[str, View | None]:
        """Describe the density of latents as a film."""
        return {"density": generations_view(plots.figure_density(records.dataset))}

    @staticmethod
    def summarize(records: Records) -> Summary:
        """Summarise every generation by means over runs."""
        names = ("elbo", "latent_std", "latent_std_100", "pixel_variance", "precision", "recall")
        setting = Setting.of(records)
        table = [_HEADER]
        for index, generation in enumerate(records["generation"]):
            means = [mean_over_chains(records[name][index]).mean for name in names]
            table.append(
                [f"{generation}", f"{means[0]:.4g}", *(f"{mean:.4g}" for mean in means[1:])]
            )
        chains, last = len(records["chain"]), setting.num_generations
        diverged = setting.diverged("elbo", "latent_std")
        has_stopped = is_frozen(records["status"][-1]) & ~diverged
        left = np.flatnonzero(~diverged & ~has_stopped)
        number = int(np.sum(diverged))
        models = f"models 0 to {last}" if last else "model 0"
        sentences = [
            f"{counted(chains, 'run')} of {models} on {setting.source_name}.",
            training_sentence(setting),
            *_split(setting),
        ]
        if number:
            sentences.append(
                f"Training diverged in {number} of {counted(chains, 'run')}: a loss was not finite."
            )
        if stopped := int(np.sum(has_stopped)):
            sentences.append(f"{counted(stopped, 'run')} stopped early, for want of images.")
        if 0 < left.size < chains:
            sentences.append("All numbers leave these runs out from then on.")
        if last and left.size:
            stds = records["latent_std"][:, left]
            sentences.append(
                "The std of latents is smaller for the last model than for model 0 in "
                f"{int(np.sum(stds[-1] < stds[0]))} of {counted(left.size, 'run')}."
            )
        if "class_shares" in records.variables and left.size:
            shares = np.mean(records["class_shares"][-1, left], axis=0)
            rarest = int(np.argmin(shares))
            sentences.append(
                f"The rarest class at the end is {rarest}: {shares[rarest]:.1%} of the images, "
                f"{records['original_shares'][rarest]:.1%} of the originals."
            )
        title = f"Variational autoencoders, policy {policy_name(setting.policy)}"
        reason = diverged_chains(number, chains) if number else None
        found = statements_of(CLAIMS, setting, reason)
        return Summary(title, sentences, table, found, _finding(setting, left))


_NUM_DIGITS, _NUM_MNIST = 1797, 70_000  # images, for an estimate of time


def _of_source() -> contextlib.AbstractContextManager[None]:
    """Begin messages about images with the option that names them."""
    return option("source", ("num_images",))


_HEADER = ["model", "ELBO", "std of latents", "of 100", "pixel variance", "precision", "recall"]


def _finding(setting: Setting, left: np.ndarray) -> str:
    """Say how the spread of latents and the fit to original images change.

    Args:
      setting: what was run.
      left: indices of the runs that have all generations.
    """
    if not setting.num_generations:
        return ONE_MODEL
    if not left.size:
        return f"{after(setting)}, no run is left."
    stds, elbo = (setting.records[name][:, left] for name in ("latent_std", "elbo"))
    share = percent_of(float(np.mean(stds[-1] / stds[0])))
    change = float(np.mean(elbo[-1] - elbo[0]))
    side = "worse" if change < 0 else "better"
    return (
        f"{after(setting)}, the std of latents is {share} of model 0's, and original test images "
        f"are described {mean_of(abs(change))} nats {side}."
    )


def _split(setting: Setting) -> list[str]:
    """Say how many original images are for training and for tests."""
    described = [setting.source.get(name) for name in ("images", "test")]
    if not all(isinstance(one, Mapping) and "shape" in one for one in described):
        return []
    train, test = (counted(one["shape"][0], "image") for one in described)  # pyright: ignore
    return [
        f"Of the original images, D_0 is drawn from {train}, and {test} are for tests: every tenth "
        "one, unless the source has test images of its own."
    ]


def _is_replacing(setting: Setting) -> bool:
    return setting.regime is Regime.REPLACE and setting.num_generations >= 1


def _narrower(setting: Setting) -> Finding:
    stds = setting.records["latent_std"]
    words = "std of latents, model 0 to the last: " + "; ".join(
        f"{initial:.3g} to {last:.3g}" for initial, last in stds[[0, -1]].T
    )
    return _in_all_runs(words, stds)


def _worse(setting: Setting) -> Finding:
    elbo, recall = (setting.records[name] for name in ("elbo", "recall"))
    change = elbo[0] - elbo[-1]
    verb, sign = ("lose", 1) if np.mean(change) >= 0 else ("gain", -1)
    words = (
        f"original test images {verb} {mean_with_interval(sign * change)} nats per image; "
        f"recall, model 0 to the last: {np.mean(recall[0]):.3g} to {np.mean(recall[-1]):.3g}"
    )
    return _in_all_runs(words, elbo, recall)


def _in_all_runs(words: str, *measures: np.ndarray) -> Finding:
    """Tell whether measures fell in all runs, by more than a small share of their values.

    Args:
      words: the finding.
      measures: values by generation and run, [generation, chain]; a single run tells nothing
        about others.
    """
    if measures[0].shape[1] == 1:
        return Finding(words, None, "a single run")
    changes = [one[-1] - one[0] for one in measures]
    for one, change in zip(measures, changes, strict=True):
        if np.all(np.abs(change) <= LEAST_EFFECT * np.abs(one[0])):
            return Finding(words, None, NO_EFFECT)
    signs = np.sign(np.stack(changes))
    if np.all(signs < 0):
        return Finding(words, True)
    is_mixed = np.any(signs < 0)
    return Finding(words, None if is_mixed else False, "runs or measures disagree")


_PAPER = "Shumailov et al. 2024, variational autoencoders"
CLAIMS = (
    Claim(
        "Under the first model's encoder, images of later models differ less and less.",
        _PAPER,
        _is_replacing,
        _narrower,
    ),
    Claim(
        "Later models no longer resemble the original distribution.", _PAPER, _is_replacing, _worse
    ),
)
"""Claims of the study, each with the settings that it is made for."""
