"""The paper's language models, fine-tuned on what their predecessors wrote."""

import dataclasses
import re
from collections.abc import Mapping
from typing import Any, ClassVar, Literal, Self

from collapse_jax.core.chain import Chain
from collapse_jax.core.policy import AbstractPolicy
from collapse_jax.engine.multiprocess import is_first
from collapse_jax.engine.simulate import simulate
from collapse_jax.experiments.base import AbstractExperiment, Scales, Summary
from collapse_jax.experiments.lm_corpora import write_corpora
from collapse_jax.experiments.lm_findings import split, summarize
from collapse_jax.families import LanguageModel
from collapse_jax.plots import language_model as plots
from collapse_jax.policies import Mixing, Replace
from collapse_jax.results.records import Records, concat_datasets
from collapse_jax.sources import TokenBlocks
from collapse_jax.store.store import Store
from collapse_jax.utils import check

_PAPER: dict[str, Any] = {
    "source": "wikitext2",
    "model": "facebook/opt-125m",
    "tokenizer": "facebook/opt-125m",
    "num_blocks": None,
    "num_chains": 5,
    "num_generations": 10,
    "num_epochs": 5,
    "batch_size": 128,
    "learning_rate": 2e-5,
    "generation_batch": 32,
    "kept": (),
}
PRESETS: dict[str, dict[str, Any]] = {
    "paper": _PAPER,
    "runner": _PAPER | {"learning_rate": 1e-5, "batch_size": 16},
    "paper-keep10": _PAPER
    | {"num_epochs": 10, "policy": Mixing(gamma=0.1, original="data", allocation="fixed")},
    "paper-penalty": _PAPER | {"repetition_penalty": 2.0},
    "small": {
        "vocab_size": 2048,
        "num_blocks": 1000,
        "hidden_size": 128,
        "num_generations": 3,
        "num_epochs": 8,
        "learning_rate": 2e-3,
    },
    "tiny": {},
    "micro": {
        "vocab_size": 300,
        "block_size": 16,
        "num_blocks": 24,
        "hidden_size": 16,
        "num_layers": 1,
        "num_heads": 2,
        "num_chains": 1,
        "num_generations": 2,
        "num_epochs": 2,
        "batch_size": 8,
        "num_beams": 2,
    },
}


@dataclasses.dataclass(frozen=True)
class LmExperiment(AbstractExperiment):
    """Language models, each fine-tuned on what its predecessor wrote (Shumailov et al. 2024).

    Presets, and what they cost on two cores: micro, for tests, a minute; tiny, the default, a
    small network trained from scratch on the prose of Python's own documentation, four to eight
    minutes; small, a larger one, for a text of your own (`--source FOLDER`), 45 minutes; and with
    weights and text from the Hugging Face hub, by estimate weeks, or a day on an accelerator:
    paper (OPT-125m on WikiText-2, learning rate 2e-5, batches of 128), runner (1e-5, 16),
    paper-keep10 (10 epochs, 10 % original blocks) and paper-penalty (repetition penalty 2).

    `--penalties 2` adds a study with a repetition penalty, as scale laptop of `collapse
    reproduce` does. What to expect: the perplexity of original test text rises from generation to
    generation, and far less where a tenth of the original blocks is kept (tiny: 55 to 1,100, and
    to 170). The blocks that models write become likely under model 0. The paper finds, with
    pretrained weights, a growing tail of unlikely ones; networks as small as tiny repeat
    themselves instead.
    """

    name = "lm"
    topic = "lm"
    scales: ClassVar[Scales] = {
        "smoke": {"preset": "micro", **PRESETS["micro"], "penalties": (2.0,)},
        "laptop": {"penalties": (2.0,)},
        "paper": {
            "preset": "paper",
            **PRESETS["paper"],
            "kept": (0.1,),
            "kept_epochs": 10,
            "penalties": (2.0,),
        },
    }
    hours: ClassVar[Mapping[str, float]] = {"smoke": 0.015, "laptop": 0.25, "paper": 9000.0}
    presets: ClassVar[Scales] = PRESETS

    preset: Literal[
        "paper", "runner", "paper-keep10", "paper-penalty", "small", "tiny", "micro"
    ] = "tiny"
    """Settings to start from; options given beside it win."""
    policy: AbstractPolicy = dataclasses.field(default_factory=Replace)
    """What each model is trained on; num_samples None means as many blocks as there are."""
    kept: tuple[float, ...] = (0.1,)
    """Shares of original blocks in every corpus, each a study beside that of the policy."""
    kept_epochs: int | None = None
    """Passes over corpora with original blocks; num_epochs if not given."""
    penalties: tuple[float, ...] = ()
    """Repetition penalties, each a study beside that of the policy."""
    source: str = "pydoc"
    """pydoc, wikitext2 (from the Hugging Face hub) or a folder of text files."""
    tokenizer: str = "bpe"
    """bpe (trained on the text) or a tokenizer of the hub or a folder."""
    vocab_size: int = 512
    """Tokens of bpe."""
    block_size: int = 64
    """Tokens of a block, and of its continuation."""
    num_blocks: int | None = 256
    """Take the first so many blocks of the training text only, None for all."""
    model: str = "random"
    """random, or pretrained weights of the hub or a folder."""
    hidden_size: int = 64
    """Of a random network: its width."""
    num_layers: int = 2
    """Its blocks."""
    num_heads: int = 4
    """Its attention heads."""
    start: Literal["pretrained", "last", "fresh"] = "pretrained"
    """Where every generation starts: see `LanguageModel`."""
    num_chains: int = 3
    """Independent runs."""
    num_generations: int = 5
    """Last generation."""
    num_epochs: int = 12
    """Passes over each corpus."""
    batch_size: int = 16
    """Blocks of a step."""
    learning_rate: float = 3e-3
    """Of the first epoch; it falls along a cosine."""
    schedule: Literal["epoch", "step", "constant"] = "epoch"
    """Whether it falls with every epoch or with every step."""
    weight_decay: float = 0.01
    """Decoupled, of all parameters."""
    dropout: bool = True
    """Whether the network's dropout acts in training."""
    num_beams: int = 5
    """Of the search for continuations."""
    repetition_penalty: float = 1.0
    """Of tokens that were there before."""
    generation_batch: int = 64
    """Blocks continued at a time."""
    devices: int | Literal["all"] | None = None
    """Devices that share training and writing, None for one; "all", with --distributed those of
    all processes."""

    @property
    def joins_processes(self) -> bool:
        """With all devices."""
        return self.devices == "all"

    def run(self, seed: int, progress: bool, store: Store | None = None) -> Records:
        """One run per chain, for the policy and for every share kept."""
        from collapse_jax.text import load_texts

        texts = load_texts(
            self.source,
            tokenizer=self.tokenizer,
            vocab_size=self.vocab_size,
            block_size=self.block_size,
            num_blocks=self.num_blocks,
        )
        source = TokenBlocks.of(texts)
        studies = {}
        for name, variant in self._variants().items():
            family = variant._family(texts.tokenizer.vocab_size)
            records = simulate(
                Chain(family, source, variant.policy),
                key=seed,
                num_chains=self.num_chains,
                num_generations=self.num_generations,
                metrics=("corpus",),
                devices=self.devices,
                progress=progress,
                store=store and store.part(name),
            )
            if store is not None and (not self.joins_processes or is_first()):
                write_corpora(store.directory, name, records, texts)
            studies[name] = records
        return _joined(studies)

    def _variants(self) -> dict[str, Self]:
        """The study of the policy, and what is studied beside it."""
        if self.kept and not isinstance(self.policy, Replace):
            allowed = "shares are kept beside the policy replace"
            raise check.fail("kept", self.kept, allowed, "pass --kept without a number")
        name = re.sub(r"(?<!^)(?=[A-Z])", "-", type(self.policy).__name__).lower()
        kept = {
            f"kept-{share:g}": dataclasses.replace(
                self,
                policy=Mixing(gamma=share, original="data", allocation="fixed"),
                num_epochs=self.num_epochs if self.kept_epochs is None else self.kept_epochs,
            )
            for share in self.kept
        }
        penalised = {
            f"penalty-{penalty:g}": dataclasses.replace(self, repetition_penalty=penalty)
            for penalty in self.penalties
        }
        return {name: self, **kept, **penalised}

    def _family(self, vocab_size: int) -> LanguageModel:
        from collapse_jax import lm

        network: Any = self.model
        if self.model == "random":
            network = lm.OPTConfig(
                vocab_size=vocab_size,
                hidden_size=self.hidden_size,
                num_hidden_layers=self.num_layers,
                ffn_dim=4 * self.hidden_size,
                num_attention_heads=self.num_heads,
                max_position_embeddings=2 * self.block_size,
            )
        training = lm.Training(
            self.learning_rate,
            schedule=self.schedule,
            num_epochs=self.num_epochs,
            weight_decay=self.weight_decay,
            has_dropout=self.dropout,
        )
        decoding = lm.Decoding(
            self.block_size,
            num_beams=self.num_beams,
            min_new_tokens=self.block_size,
            repetition_penalty=self.repetition_penalty,
        )
        return LanguageModel(
            network,
            training,
            decoding,
            start=self.start,
            batch_size=self.batch_size,
            generation_batch=self.generation_batch,
        )

    @staticmethod
    def figures(records: Records) -> Mapping[str, tuple[str, Any]]:
        """Perplexities, diversity and training."""
        studies = {name: one.dataset for name, one in split(records).items()}
        return {
            "perplexity": (
                "Perplexity of the original test text by generation, a line per run.",
                plots.perplexity_by_generation(studies),
            ),
            "histograms": (
                "Perplexity of the blocks each model was trained on, under model 0.",
                plots.perplexity_histograms(studies),
            ),
            "diversity": (
                "Diversity of what each model was trained on.",
                plots.diversity(studies),
            ),
            "validation": (
                "Loss of the original validation text while each model was trained.",
                plots.validation_curves(studies),
            ),
        }

    @staticmethod
    def summarize(records: Records) -> Summary:
        """Test perplexity of every generation, how corpora shift, and what the paper says."""
        return summarize(split(records))


def _joined(studies: Mapping[str, Records]) -> Records:
    """Join the studies along a dimension "study"; corpora lie in files of their own."""
    import pandas

    slim = [
        records.dataset.drop_vars(["corpus", "first_event"], errors="ignore")
        for records in studies.values()
    ]
    joined = concat_datasets(slim, pandas.Index(list(studies), name="study"))
    joined = joined.transpose("generation", "chain", "study", ...)
    return dataclasses.replace(next(iter(studies.values())), source=joined, expected=None)
