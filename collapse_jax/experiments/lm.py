"""Fine-tune the paper's language models on the text of their predecessors."""

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
from collapse_jax.experiments.lm_findings import ACCUMULATE, split, summarize
from collapse_jax.families import LanguageModel
from collapse_jax.plots import language_model as plots
from collapse_jax.plots.views import View, generations_view
from collapse_jax.policies import Accumulate, Mixing, Replace
from collapse_jax.results.policy_words import number, policy_name
from collapse_jax.results.records import Records, check_complete, concat_datasets
from collapse_jax.results.setting import Setting
from collapse_jax.sources import TokenBlocks
from collapse_jax.store.store import Store
from collapse_jax.utils import check

_OF_MODEL = "model"  # the tokenizer of the pretrained model
_FINAL_RATE = 1e-6  # learning rate at the end of the paper's cosine
_OPT_SHAPE = 12, 768  # layers and width of OPT-125m, for an estimate of time
_NUM_WIKITEXT = 37_000  # blocks of 64 tokens of WikiText-2, for an estimate of time
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
    "original_shares": (),
}
PRESETS: dict[str, dict[str, Any]] = {
    "paper": _PAPER,
    "runner": _PAPER | {"learning_rate": 1e-5, "batch_size": 16},
    "paper-keep10": _PAPER
    | {"num_epochs": 10, "policy": Mixing(gamma=0.1, original="data", allocation="fixed")},
    "paper-penalty": _PAPER | {"repetition_penalty": 2.0},
    "pretrained": {
        "source": "wikitext2",
        "model": "HuggingFaceTB/SmolLM2-135M",
        "tokenizer": "model",
        "num_blocks": 512,
        "num_test_blocks": 256,
        "num_chains": 2,
        "num_generations": 3,
        "num_epochs": 1,
        "learning_rate": 2e-5,
        "generation_batch": 32,
        "accumulate": True,
        "scan_layers": True,
    },
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
    """Language models, each fine-tuned on the text of its predecessor (Shumailov et al. 2024).

    Presets with their duration on two cores: micro, for tests, a minute; tiny, the default, a
    small network trained from scratch on the prose of Python's documentation, four to eight
    minutes; small, a larger network for a text of your own (`--source FOLDER`), 45 minutes. Other
    presets take weights and text from the Hugging Face hub, by estimate weeks, or a day on an
    accelerator: paper (OPT-125m on WikiText-2, learning rate 2e-5, batches of 128), runner (as
    paper, with rate 1e-5 and batches of 16), paper-keep10 (10 epochs, 10 % original blocks) and
    paper-penalty (repetition penalty 2). The preset pretrained fine-tunes 512 blocks of a model of
    your own choice (`--model FOLDER`), by default SmolLM2-135M, with its own tokenizer, in
    three studies: without original blocks, with a tenth, and with all blocks written so far.

    `--accumulate` adds a study whose corpora are the original blocks and all that models wrote.

    `--penalties 2` adds a study with a repetition penalty, as does scale laptop of `collapse
    reproduce`. Under the policy replace, expect the perplexity of original test text to rise from
    generation to generation, and far less if a tenth of every corpus are kept original blocks
    (tiny: 55 to 1,100, and to 170). The blocks of later models become likely under model 0. With
    pretrained weights, the paper finds a growing tail of unlikely blocks; networks as small as
    tiny repeat themselves instead.
    """

    name = "lm"
    topic = "lm"
    scales: ClassVar[Scales] = {
        "smoke": {"preset": "micro", **PRESETS["micro"], "penalties": (2.0,)},
        "laptop": {"penalties": (2.0,)},
        "paper": {
            "preset": "paper",
            **PRESETS["paper"],
            "original_shares": (0.1,),
            "original_epochs": 10,
            "penalties": (2.0,),
        },
    }
    hours: ClassVar[Mapping[str, float]] = {"smoke": 0.015, "laptop": 0.25, "paper": 9000.0}
    presets: ClassVar[Scales] = PRESETS
    former: ClassVar[Mapping[str, str]] = {
        "kept": "original_shares",
        "kept_epochs": "original_epochs",
    }
    arguments: ClassVar[Mapping[str, str]] = {
        "texts": "source",
        "path_or_id": "model",
        "num_hidden_layers": "num_layers",
        "num_attention_heads": "num_heads",
    }

    preset: Literal[
        "paper",
        "runner",
        "paper-keep10",
        "paper-penalty",
        "pretrained",
        "small",
        "tiny",
        "micro",
    ] = "tiny"
    """Name of a set of settings; other options override them."""
    policy: AbstractPolicy = dataclasses.field(default_factory=Replace)
    """Policy of training data; num_samples None means the number of original blocks."""
    original_shares: tuple[float, ...] = (0.1,)
    """Shares of kept original blocks in every corpus, above 0, one more study per share."""
    original_epochs: int | None = None
    """Passes over corpora with original blocks; num_epochs if not given."""
    penalties: tuple[float, ...] = ()
    """Repetition penalties, one more study per penalty."""
    accumulate: bool = False
    """Add a study that trains on the original blocks and on all that earlier models wrote."""
    source: str = "pydoc"
    """pydoc, wikitext2 (from the Hugging Face hub) or a folder of text files."""
    tokenizer: str = "bpe"
    """bpe (trained on the text), model (that of the pretrained model), or a tokenizer of the hub
    or a folder."""
    vocab_size: int = 512
    """Number of different tokens of bpe."""
    block_size: int = 64
    """Tokens of a block, and of its continuation."""
    num_blocks: int | None = 256
    """Number of leading blocks of the training text to use, None for all."""
    num_test_blocks: int | None = None
    """Number of leading blocks of validation and test text to use; num_blocks if not given."""
    model: str = "random"
    """random, or pretrained weights of the hub or a folder."""
    architecture: str | None = None
    """Type of a random network by its model_type in a config.json, such as llama; that of the
    paper's networks if not given."""
    hidden_size: int = 64
    """Width of a random network."""
    num_layers: int = 2
    """Layers of a random network."""
    num_heads: int = 4
    """Attention heads of a random network."""
    start: Literal["pretrained", "last", "fresh"] = "pretrained"
    """Weights before the training of every generation: pretrained (those of the model; for random,
    those that the run begins with), last (of the generation before) or fresh (random in every
    generation, only with the model random)."""
    num_chains: int = 3
    """Independent runs."""
    num_generations: int = 5
    """Last generation."""
    num_epochs: int = 12
    """Passes over each corpus."""
    batch_size: int = 16
    """Blocks of a training step."""
    learning_rate: float = 3e-3
    """Learning rate of the first epoch, which falls along a cosine to 1e-6, unless it is less."""
    schedule: Literal["epoch", "step", "constant"] = "epoch"
    """Fall of the learning rate: with every epoch, with every step, or not at all."""
    weight_decay: float = 0.01
    """Decoupled weight decay of all parameters."""
    trainable: Literal["all", "lora"] = "all"
    """Parameters that are trained: all, or low-rank changes of projections (lora)."""
    rank: int = 8
    """Rank of the changes of lora."""
    alpha: float = 16.0
    """Changes of lora are multiplied by alpha / rank."""
    targets: tuple[str, ...] = ()
    """Projections that lora changes, such as q_proj v_proj; all if not given."""
    dropout: bool = True
    """Use the network's dropout in training."""
    num_beams: int = 5
    """Beams of the search for continuations."""
    do_sample: bool = False
    """Draw continuations at random, instead of a search with beams."""
    temperature: float = 1.0
    """Divisor of the logits of random continuations."""
    repetition_penalty: float = 1.0
    """Penalty of tokens that occurred before; 1 for none."""
    generation_batch: int = 64
    """Blocks continued at a time."""
    scan_layers: bool = False
    """Compile one layer and repeat it: less time to compile deep networks."""
    devices: int | Literal["all"] | None = None
    """Number of devices that share training and writing, or "all" (with --distributed those of
    all processes); None for one device."""

    @property
    def joins_processes(self) -> bool:
        """Tell whether all devices are used."""
        return self.devices == "all"

    @property
    def work(self) -> float:
        """Return the products of all steps of training, up to a factor."""
        shape = (self.num_layers, self.hidden_size) if self.model == "random" else _OPT_SHAPE
        blocks = self.num_blocks or _NUM_WIKITEXT
        studies = 1 + len(self.original_shares) + len(self.penalties) + self.accumulate
        steps = studies * self.num_chains * (self.num_generations + 1) * self.num_epochs * blocks
        return float(steps) * self.block_size * shape[0] * shape[1] ** 2

    def run(self, seed: int, progress: bool, store: Store | None = None) -> Records:
        """Make one run per chain, for the policy and for every variant."""
        from collapse_jax.text import load_texts

        variants = self._variants()
        if self.model != "random":
            from collapse_jax import lm

            lm.read_config(self.model)  # its faults first: a tokenizer's message may hide them
        texts = load_texts(
            self.source,
            tokenizer=self.model if self.tokenizer == _OF_MODEL else self.tokenizer,
            vocab_size=self.vocab_size,
            block_size=self.block_size,
            num_blocks=self.num_blocks,
            num_test_blocks=self.num_test_blocks,
        )
        source = TokenBlocks.of(texts)
        studies = {}
        for name, variant in variants.items():
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
            is_writer = not records.missing and (not self.joins_processes or is_first())
            if store is not None and is_writer:
                write_corpora(store.directory, name, records, texts)
            studies[name] = records
        check_complete(list(studies.values()))
        return _joined(studies)

    def _variants(self) -> dict[str, Self]:
        """Return the experiment of each study: the policy, shares and penalties."""
        if self.start == "fresh" and self.model != "random":
            allowed = f"the weights of the model {self.model!r} are pretrained, not random"
            remedy = "pass start=pretrained or start=last, or model=random"
            raise check.fail("start", self.start, allowed, remedy)
        if self.tokenizer == _OF_MODEL and self.model == "random":
            allowed = "a random model has no tokenizer"
            raise check.fail("tokenizer", _OF_MODEL, allowed, "pass bpe, or --model FOLDER")
        if self.original_shares and not isinstance(self.policy, Replace):
            allowed = "shares of original blocks need the policy replace"
            remedy = "pass --original-shares without a number"
            raise check.fail("original_shares", self.original_shares, allowed, remedy)
        if self.accumulate and not isinstance(self.policy, Replace):
            allowed = "the study accumulate is compared with the policy replace"
            raise check.fail("accumulate", True, allowed, "pass --no-accumulate")
        name = re.sub(r"(?<!^)(?=[A-Z])", "-", type(self.policy).__name__).lower()
        remedy = f"pass shares such as 0.1; the study {name} has no original blocks"
        for share in self.original_shares:
            check.share("original_shares", share, remedy, open_low=True)
        check.distinct("original_shares", self.original_shares)
        if self.original_epochs is not None:
            check.integer("original_epochs", self.original_epochs, 1)
        for penalty in self.penalties:
            check.number("penalties", penalty, 0, 1e6, "pass penalties such as 2", open_low=True)
            if penalty == self.repetition_penalty:
                allowed = f"it is the penalty of the study {name}, which is run in any case"
                raise check.fail("penalties", penalty, allowed, "leave it out, or pass another")
        check.distinct("penalties", self.penalties)
        check.distinct("targets", self.targets)
        if self.targets and self.trainable == "all":
            allowed = "they name projections with low-rank changes"
            raise check.fail("targets", self.targets, allowed, "pass --trainable lora")
        sizes = self.policy.num_samples
        epochs = self.num_epochs if self.original_epochs is None else self.original_epochs
        original = {
            f"kept-{number(share)}": dataclasses.replace(
                self,
                policy=Mixing(sizes, gamma=share, original="data", allocation="fixed"),
                num_epochs=epochs,
            )
            for share in self.original_shares
        }
        penalised = {
            f"penalty-{number(penalty)}": dataclasses.replace(self, repetition_penalty=penalty)
            for penalty in self.penalties
        }
        pooled = {ACCUMULATE: dataclasses.replace(self, policy=Accumulate(sizes))}
        return {name: self, **original, **(pooled if self.accumulate else {}), **penalised}

    def _family(self, vocab_size: int) -> LanguageModel:
        from collapse_jax import lm

        network: Any = self.model
        if self.model == "random":
            network = lm.config_of_size(
                self.architecture,
                vocab_size=vocab_size,
                hidden_size=self.hidden_size,
                num_layers=self.num_layers,
                num_heads=self.num_heads,
                num_positions=2 * self.block_size,
            )
        training = lm.Training(
            self.learning_rate,
            final_learning_rate=min(self.learning_rate, _FINAL_RATE),
            schedule=self.schedule,
            num_epochs=self.num_epochs,
            weight_decay=self.weight_decay,
            has_dropout=self.dropout,
            trainable=self.trainable,
            rank=self.rank,
            alpha=self.alpha,
            targets=self.targets or None,
        )
        decoding = lm.Decoding(
            self.block_size,
            num_beams=1 if self.do_sample else self.num_beams,
            min_new_tokens=self.block_size,
            repetition_penalty=self.repetition_penalty,
            do_sample=self.do_sample,
            temperature=self.temperature,
        )
        return LanguageModel(
            network,
            training,
            decoding,
            start=self.start,
            batch_size=self.batch_size,
            generation_batch=self.generation_batch,
            scan_layers=self.scan_layers,
        )

    @staticmethod
    def figures(records: Records) -> Mapping[str, tuple[str, Any]]:
        """Draw perplexities, diversity and validation losses."""
        parts = split(records)
        studies = {name: one.dataset for name, one in parts.items()}
        runs = len(records["chain"])
        lines = "one run" if runs == 1 else f"thin lines: {runs} runs"
        base = f"{next(iter(studies))}: policy {policy_name(Setting.of(records).policy)}"
        return {
            "perplexity": (
                f"Perplexity of the original test text by generation; {lines}; {base}.",
                plots.perplexity_by_generation(studies),
            ),
            "histograms": (
                f"Perplexity of the blocks each model was trained on, under model 0; {base}.",
                plots.perplexity_histograms(studies),
            ),
            "diversity": (
                f"Diversity of the blocks each model was trained on; {lines}; {base}.",
                plots.diversity(studies),
            ),
            "validation": (
                "Loss of the original validation text in the training of each model; "
                f"{lines}; {base}.",
                plots.validation_curves(studies),
            ),
        }

    @staticmethod
    def views(records: Records) -> Mapping[str, View | None]:
        """Describe the perplexities of blocks as a film."""
        studies = {name: one.dataset for name, one in split(records).items()}
        return {"histograms": generations_view(plots.perplexity_histograms(studies))}

    @staticmethod
    def summarize(records: Records) -> Summary:
        """Summarise test perplexities, the shift of corpora, and the paper's statements."""
        return summarize(split(records))


def _joined(studies: Mapping[str, Records]) -> Records:
    """Join the studies along a dimension "study", without corpora, which have their own files."""
    import pandas

    slots = max(records.dataset.sizes["slot"] for records in studies.values())
    slim = [
        records.dataset.drop_vars(["corpus", "first_event"], errors="ignore").pad(
            slot=(0, slots - records.dataset.sizes["slot"])
        )
        for records in studies.values()
    ]
    joined = concat_datasets(slim, pandas.Index(list(studies), name="study"))
    joined = joined.transpose("generation", "chain", "study", ...)
    return dataclasses.replace(next(iter(studies.values())), source=joined, expected=None)
