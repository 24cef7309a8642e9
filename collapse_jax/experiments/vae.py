"""The paper's variational autoencoders of handwritten digits."""

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import numpy as np

from collapse_jax.core.chain import Chain
from collapse_jax.core.policy import AbstractPolicy
from collapse_jax.engine.simulate import simulate
from collapse_jax.experiments.base import AbstractExperiment, Scales, Summary
from collapse_jax.families import VAE
from collapse_jax.families.vae.classifier import Classifier
from collapse_jax.families.vae.family import LATENT_EDGES
from collapse_jax.plots import vae as plots
from collapse_jax.policies import Replace
from collapse_jax.results.records import Records
from collapse_jax.results.statements import Statement, mean_with_interval
from collapse_jax.sources import Images
from collapse_jax.store.store import Store

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
    """Autoencoders of digits, each trained on what its predecessor draws (Shumailov et al. 2024).

    Presets: digits, the default, has scikit-learn's digits and the paper's network in one run of
    models 0 to 5, as many steps as 30 epochs in batches of 256 would be, three minutes on two
    cores; paper has the paper's training and 60,000 images of MNIST from the Hugging Face hub,
    five runs of 20 generations, days on two cores. `--source FILE.npz` takes images x and labels
    y. Scale laptop of `collapse reproduce`: two runs of 10 epochs in batches of 256, with 10,000
    images of MNIST a quarter to half an hour. Expect the std of latents to fall from generation
    to generation, and digits to blur into one another.
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
    """Settings to start from; options given beside it win."""

    policy: AbstractPolicy = dataclasses.field(default_factory=Replace)
    """What each model is trained on; num_samples None means as many as there are originals."""
    source: str = "digits"
    """digits, mnist, FILE.npz (x, y) or a folder of images."""
    num_images: int | None = None
    """Take the first so many images only."""
    num_chains: int = 1
    """Independent runs."""
    num_generations: int = 5
    """Last generation."""
    epochs: int = 8
    """Passes over each corpus."""
    batch_size: int = 64
    """Images of a step."""
    latent_dim: int = 20
    """Numbers that an image is encoded in."""
    width: int = 64
    """Channels of the first convolution; the second has twice as many."""
    image_size: int = 28
    """Side of the images, a multiple of 4."""
    optimizer: Literal["adam", "adamw", "sgd"] = "adam"
    """adam has its weight decay in the gradient, adamw beside it."""
    learning_rate: float = 1e-3
    """Of every step."""
    weight_decay: float = 1e-5
    """Of the optimizer."""
    corpus: Literal["stream", "samples"] = "stream"
    """Images drawn anew for every batch, or stored and seen in every epoch."""
    dtype: Literal["float32", "bfloat16"] = "float32"
    """What is computed in."""
    num_evaluated: int = 10_000
    """Images that a model is measured by."""

    def run(self, seed: int, progress: bool, store: Store | None = None) -> Records:
        """One run per chain."""
        source = Images.load(self.source, self.image_size, self.num_images)
        classifier = None
        if source.labels is not None:
            classifier = Classifier.train(source.images, source.labels)
        shared = {field.name for field in dataclasses.fields(VAE)} - {"classifier"}
        settings = {name: getattr(self, name) for name in shared}
        records = simulate(
            Chain(VAE(classifier=classifier, **settings), source, self.policy),
            key=seed,
            num_chains=self.num_chains,
            num_generations=self.num_generations,
            metrics=("images",),
            progress=progress,
            store=store and store.part("chains"),
        )
        middles = (LATENT_EDGES[1:] + LATENT_EDGES[:-1]) / 2
        named = {"long_name": "middle of a bin of latents", "units": "1"}
        dataset = records.dataset.assign_coords(bin=("bin", middles, named))
        if source.labels is not None:
            counts = np.bincount(source.labels)
            named = {"long_name": "share of original images by class", "units": "1"}
            shares = ("class", counts / counts.sum(), named)
            dataset = dataset.assign(original_shares=shares)
        return dataclasses.replace(records, source=dataset)

    @staticmethod
    def figures(records: Records) -> Mapping[str, tuple[str, Any]]:
        """Samples, latents, quality and classes."""
        figures = {
            "samples": (
                "Images decoded by the models of one run.",
                plots.figure_samples(records.dataset),
            ),
            "density": (
                "Latents that the first model's encoder gives to images of later models.",
                plots.figure_density(records.dataset),
            ),
            "latents": (
                "Their mean and standard deviation, a line per run; band: one std over runs.",
                plots.figure_latents(records.dataset),
            ),
            "quality": (
                "Fit to held-out originals, and diversity, a line per run.",
                plots.figure_quality(records.dataset),
            ),
        }
        if "class_shares" in records.variables:
            caption = "Which classes are lost: shares by a classifier of original images."
            figures["classes"] = (caption, plots.figure_classes(records.dataset))
        return figures

    @staticmethod
    def summarize(records: Records) -> Summary:
        """Every generation, mean over runs."""
        names = ("elbo", "latent_std", "latent_std_100", "pixel_variance", "precision", "recall")
        header = [
            "model",
            "ELBO",
            "std of latents",
            "of 100",
            "pixel variance",
            "precision",
            "recall",
        ]
        table = [header]
        for place, generation in enumerate(records["generation"]):
            means = [np.nanmean(records[name][place]) for name in names]
            table.append(
                [f"{generation}", f"{means[0]:.2f}", *(f"{mean:.4f}" for mean in means[1:])]
            )
        stds = records["latent_std"]
        chains, falls = stds.shape[1], int(np.sum(stds[-1] < stds[0]))
        source = records.config["experiment"]["source"]
        sentences = [
            f"{chains} run{'s' * (chains > 1)} of models 0 to {records['generation'][-1]} on "
            f"{source}; the std of latents falls from the first to the last in {falls} of {chains}."
        ]
        if "class_shares" in records.variables:
            shares = np.nanmean(records["class_shares"][-1], axis=0)
            rarest = int(np.argmin(shares))
            sentences.append(
                f"The rarest class at the end is {rarest}: {shares[rarest]:.1%} of the images, "
                f"{records['original_shares'][rarest]:.1%} of the originals."
            )
        return Summary("Variational autoencoders", sentences, table, _statements(records))


def _statements(records: Records) -> list[Statement]:
    """Latents narrow, and the originals are covered less and less."""
    paper = "Shumailov et al. 2024, variational autoencoders"
    stds, elbo, recall = (records[name] for name in ("latent_std", "elbo", "recall"))
    return [
        Statement(
            "Seen by the first model's encoder, later models' images differ less and less.",
            paper,
            "std of latents, first to last model: "
            + "; ".join(f"{first:.3f} to {last:.3f}" for first, last in stds[[0, -1]].T),
            _if_clear(np.all(stds[-1] < stds[0]), stds),
        ),
        Statement(
            "Later models no longer resemble the original distribution.",
            paper,
            f"held-out originals lose {mean_with_interval(elbo[0] - elbo[-1])} nats per image; "
            f"recall falls from {np.nanmean(recall[0]):.3f} to {np.nanmean(recall[-1]):.3f}",
            _if_clear(
                np.all(elbo[-1] < elbo[0]) and np.nanmean(recall[-1]) < np.nanmean(recall[0]), elbo
            ),
        ),
    ]


def _if_clear(holds: Any, values: np.ndarray) -> bool | None:
    """A single run does not say what would be against a statement."""
    return True if holds else None if values.shape[1] == 1 else False
