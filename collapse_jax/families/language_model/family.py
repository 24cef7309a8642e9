"""Define language models that are fine-tuned in every generation."""

import dataclasses
import itertools
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int

from collapse_jax.config import config, replace_fields, static
from collapse_jax.core.corpus import AbstractCorpus, Size
from collapse_jax.core.family import AbstractFamily, Fit, Schedule
from collapse_jax.core.host_context import HostContext
from collapse_jax.core.metric import Metric, Quantity
from collapse_jax.core.policy import AbstractPolicy, Recall
from collapse_jax.core.samples import Labels, Samples, prefix_weights
from collapse_jax.core.selection import AbstractSelection
from collapse_jax.core.source import AbstractSource
from collapse_jax.core.state import InitialGeneration, Needs
from collapse_jax.families.language_model.tuned_model import TunedModel
from collapse_jax.random.keys import Keys, Purpose
from collapse_jax.random.subset import random_subset
from collapse_jax.sources.token_blocks import TokenBlocks
from collapse_jax.utils import check, memory
from collapse_jax.utils.counted import counted
from collapse_jax.utils.status import Status

STARTS = ("pretrained", "last", "fresh")
_EMPTY = -1  # the tokens of an empty slot in `corpus`: no token has this number
_IN_MEMORY = HostContext()


@config
class LanguageModel(AbstractFamily):
    """Networks of `lm`, fine-tuned as in the paper's experiment on text (Shumailov et al. 2024).

    Every generation trains a network on blocks of tokens, chooses the weights with the lowest
    loss on the source's validation blocks, and writes the next corpus. The corpus has
    continuations of the original training blocks, each as long as its block, without the
    block. All blocks are continued in their order; a smaller corpus uses a random subset, a
    larger one uses blocks repeatedly. Selections get blocks as int32 [block, token]; blocks that
    `Accept` refuses are written again if decoding draws tokens. A chain is a seed. The steps are
    programs called from Python, on all devices of `simulate(devices=...)` together; with a store,
    unfinished training and text are checkpointed.

    Variables: `test_perplexity` (exp of the mean loss of the test blocks; `zero_shot_perplexity`
    before training), `training_loss` and `validation_loss` [epoch], nats per token, and
    `best_epoch`, counted from 1; `corpus_perplexity` [slot], of every block of the model's own
    corpus under model 0, NaN for empty slots; and of that corpus `distinct_1`, `distinct_2`,
    `distinct_3` (share of different n-grams), `repetition_rate` (of 4-grams within a block),
    `unigram_entropy` (nats), `tail_share` (tokens among those that are rarest in the original
    training set and make up at most a tenth of it) and `unique_share` (different blocks). On
    request `corpus` [slot, token], -1 in empty slots.

    Args:
      model: pretrained weights, a folder or hub id such as "facebook/opt-125m"; or the config
        of a network, see `lm.create`, for random weights.
      training: a `lm.Training`; its steps_per_epoch follow from the corpus.
      decoding: a `lm.Decoding`, with exactly as many new tokens as a block has.
      revision: revision of the weights on the hub.
      start: weights before the training of a generation: "pretrained" (for a config, random
        weights of the chain), "last" (of the previous generation) or "fresh" (random weights
        of the generation).
      batch_size: blocks of a training step.
      generation_batch: blocks continued at a time.
      evaluation_batch: blocks evaluated at a time.
      scan_layers: whether blocks of the network are compiled once, see `lm.create`.

    Raises:
      ArgumentError: for any other value.
    """

    model: Any = static(default="facebook/opt-125m")
    training: Any = static(default=None)
    decoding: Any = static(default=None)
    revision: str | None = static(default=None)
    start: str = static(default="pretrained")
    batch_size: int = static(default=128)
    generation_batch: int = static(default=32)
    evaluation_batch: int = static(default=32)
    scan_layers: bool = static(default=False)
    validation: Any = dataclasses.field(init=False, repr=False, default=None)
    test: Any = dataclasses.field(init=False, repr=False, default=None)
    context: HostContext = static(init=False, repr=False, default=_IN_MEMORY)

    def __post_init__(self) -> None:
        from collapse_jax.lm import Decoding, Training, is_config
        from collapse_jax.lm.checks import check_flags

        for name in ("batch_size", "generation_batch", "evaluation_batch"):
            check.integer(f"LanguageModel.{name}", getattr(self, name), 1)
        check.choice("LanguageModel.start", self.start, STARTS)
        check_flags(self, "scan_layers")
        defaults = {
            "training": Training(),
            "decoding": Decoding(64, num_beams=5, min_new_tokens=64),
        }
        for name, default in defaults.items():
            value = default if getattr(self, name) is None else getattr(self, name)
            allowed = f"it must be a lm.{type(default).__name__}"
            check.instance(f"LanguageModel.{name}", value, type(default), allowed, "pass one")
            object.__setattr__(self, name, value)
        if not is_config(self.model):
            allowed = "it must be a folder, the id of a model, or the config of a network of lm"
            remedy = 'pass model="facebook/opt-125m", for example'
            check.instance("LanguageModel.model", self.model, (str, Path), allowed, remedy)
            object.__setattr__(self, "model", str(self.model))
            if self.start == "fresh":
                allowed = "pretrained weights are not random"
                remedy = "pass start='pretrained' or 'last', or the config of a network"
                raise check.fail("LanguageModel.start", self.start, allowed, remedy)

    @property
    def needs(self) -> Needs:
        """Return the corpus for metrics, model 0 as judge, and D_0 for prompts."""
        return Needs(corpus=True, generation0=True, generation0_corpus=True)

    @property
    def schedule(self) -> Schedule:
        """Return a schedule on the host: training and writing are loops in Python."""
        return Schedule(on_host=True)

    @property
    def abstract_twin(self) -> "LanguageModel":
        """Return a family of the same shapes that trains nothing."""
        return ZeroModel.of(self)

    def with_host_context(self, context: HostContext) -> Self:
        """Return the family with its devices, and files for unfinished work."""
        return replace_fields(self, context=context)

    def resolve(self, source: AbstractSource, policy: AbstractPolicy) -> Self:
        """Check that the model can be trained on the source's blocks, and continue them."""
        if not isinstance(source, TokenBlocks):
            allowed = "a language model is trained on blocks of tokens"
            remedy = "use cj.TokenBlocks(...)"
            raise check.fail("Chain.source", type(source).__name__, allowed, remedy)
        network, block = self.network, source.block_size
        if source.vocab_size > network.vocab_size:
            allowed = f"the model's weights know {counted(network.vocab_size, 'token')}"
            remedy = "use the tokenizer that belongs to the weights"
            raise check.fail("TokenBlocks.vocab_size", source.vocab_size, allowed, remedy)
        if 2 * block > network.max_position_embeddings:
            allowed = (
                f"a block and its continuation need {2 * block} positions, "
                f"the model has {network.max_position_embeddings}"
            )
            raise check.fail("block_size", block, allowed, "cut the text into smaller blocks")
        for name in ("max_new_tokens", "min_new_tokens"):
            value, remedy = getattr(self.decoding, name), f"pass {name}={block}"
            if value != block:
                allowed = f"blocks have {counted(block, 'token')}"
                raise check.fail(f"LanguageModel.decoding.{name}", value, allowed, remedy)
        self._check_work(network, block)
        selection = policy.selected_by
        if selection is not None:
            self._check_candidates(policy, selection)
        if policy.recalls is Recall.LAW:
            allowed = "earlier models are not stored"
            remedy = "use previous='data'"
            raise check.fail(f"{type(policy).__name__}.previous", "distribution", allowed, remedy)
        return replace_fields(self, validation=source.validation, test=source.test)

    def _check_candidates(self, policy: AbstractPolicy, selection: AbstractSelection) -> None:
        """Refuse candidates that are copies: a search continues a prompt in one way only."""
        number, prompts = selection.candidates(policy.largest_size), policy.initial_size
        if number > max(prompts, policy.largest_size) and not self.decoding.do_sample:
            name = f"{type(policy).__name__}.selection"
            shown = check.Shown(f"{type(selection).__name__} of {counted(number, 'block')}")
            allowed = (
                f"a search writes one continuation of each of {counted(prompts, 'prompt')}, and "
                "more would be copies"
            )
            remedy = "pass fewer candidates, or a decoding with do_sample=True and num_beams=1"
            raise check.fail(name, shown, allowed, remedy)

    def validate(self, policy: AbstractPolicy, num_generations: int) -> None:
        """Warn of blocks that are written and not trained on, which take time."""
        selection = policy.selected_by
        if selection is None or num_generations == 0:
            return
        size = int(max(policy.sizes(num_generations)[1:]))
        written = selection.candidates(size)
        if selection.repeats_draws and self.decoding.do_sample:
            most = f"{counted(written, 'block')} in each of up to {selection.most_rounds} rounds"
        elif written > size:
            most = counted(written, "block")
        else:
            return
        warnings.warn(
            f"{type(selection).__name__}: a generation writes {most}, of which {size:,} at most "
            f"are trained on; {counted(num_generations, 'generation')} are asked for",
            RuntimeWarning,
            stacklevel=2,
        )

    def _check_work(self, network: Any, block: int) -> None:
        """Refuse missing weights, adapters of nothing, and searches that are too large."""
        from collapse_jax.lm.checks import check_beams
        from collapse_jax.lm.lora import check_targets
        from collapse_jax.lm.weights import check_weights

        if isinstance(self.model, str):
            check_weights(self.model)
        if self.training.trainable == "lora":
            check_targets(network, self.training.targets)
        check_beams(network, self.decoding.num_beams)
        needed = self.decoding.least_bytes(network, self.generation_batch, block)
        limit = memory.available() if jax.default_backend() == "cpu" else needed
        if needed > limit:
            allowed = (
                f"with generation_batch={self.generation_batch} a search needs "
                f"{memory.gib(needed)} or more, and {memory.gib(limit)} are available"
            )
            remedy = "pass fewer beams or a smaller generation_batch"
            raise check.fail("num_beams", self.decoding.num_beams, allowed, remedy)

    @property
    def network(self) -> Any:
        """Return the config of the models."""
        from collapse_jax.lm import is_config, read_config

        if is_config(self.model):
            return self.model
        return read_config(self.model, revision=self.revision)

    def fit(self, keys: Keys, corpus: Any, previous: Any, generation0: Any) -> Fit:
        """Train a network, and return its best weights on the validation blocks."""
        from collapse_jax.families.language_model.tune import tune

        if previous is not None and int(corpus.size) == 0:  # every block was refused
            return Fit(previous, jnp.int32(Status.DEGENERATE))
        trained = tune(self, keys, corpus, previous)
        losses = np.concatenate([trained.training_loss, trained.validation_loss])
        return Fit(
            trained, jnp.int32(Status.OK if np.isfinite(losses).all() else Status.NON_FINITE)
        )

    def draw(
        self,
        keys: Keys,
        params: TunedModel,
        size: Size,
        capacity: int,
        generation0: InitialGeneration | None,
    ) -> AbstractCorpus:
        """Write continuations of the original blocks."""
        return self._written(keys, params, size, capacity, generation0, "text")

    def draw_selected(
        self,
        keys: Keys,
        params: TunedModel,
        size: Size,
        capacity: int,
        generation0: InitialGeneration | None,
        selection: AbstractSelection,
    ) -> AbstractCorpus:
        """Write blocks, of which a selection chooses, refuses or changes some.

        Blocks are written again in place of refused ones where decoding draws tokens. A search
        would write the same ones, so the corpus is smaller there.
        """
        names = ("text" if index == 0 else f"text_{index}" for index in itertools.count())

        def draw(keys: Keys, number: int) -> Samples:
            return self._written(keys, params, number, number, generation0, next(names))

        if selection.repeats_draws and not self.decoding.do_sample:
            selection = selection.of_one_round
        return selection.rows(keys, draw, int(size), capacity)

    def _written(
        self,
        keys: Keys,
        params: TunedModel,
        size: Size,
        capacity: int,
        generation0: InitialGeneration | None,
        name: str,
    ) -> Labels:
        from collapse_jax.families.language_model.evaluate import rows_of
        from collapse_jax.families.language_model.write import write

        assert generation0 is not None
        prompts = rows_of(generation0.corpus)
        total = len(prompts)
        times, rest = divmod(int(size), total)
        others = np.asarray(random_subset(keys, Purpose.PROMPT, total, rest, total))[:rest]
        indices = np.concatenate([np.tile(np.arange(total), times), others])
        chosen = prompts[indices]
        written = write(self, keys, params, chosen, name) if len(chosen) else chosen
        rows = jnp.pad(jnp.asarray(written), ((0, capacity - len(written)), (0, 0)))
        return Labels(rows, prefix_weights(size, capacity))

    def measure(
        self, params: TunedModel, corpus: Any, source: AbstractSource, generation0: Any
    ) -> dict[str, Array]:
        """Return all variables of a model except `corpus`."""
        from collapse_jax.families.language_model.evaluate import evaluate

        assert isinstance(source, TokenBlocks)
        values = params.variables | evaluate(self, params, corpus, source, generation0)
        return {name: jnp.asarray(value) for name, value in values.items()}

    @property
    def optional_metrics(self) -> Mapping[str, Metric]:
        """Return the variable `corpus`."""
        corpus = Metric(
            _corpus,
            "corpus",
            ("slot", "token"),
            reads=("corpus",),
            long_name="tokens of the corpus",
        )
        return {"corpus": corpus}

    @property
    def quantities(self) -> Mapping[str, Quantity]:
        """Return name, unit and axes of the default variables."""
        loss = "nats per token"
        return {
            "test_perplexity": Quantity("perplexity of the test blocks"),
            "zero_shot_perplexity": Quantity("perplexity of the test blocks before training"),
            "training_loss": Quantity("training loss by epoch", loss, ("epoch",)),
            "validation_loss": Quantity("validation loss by epoch", loss, ("epoch",)),
            "best_epoch": Quantity("epoch of least validation loss", "epochs"),
            "corpus_perplexity": Quantity("perplexity of a block under model 0", dims=("slot",)),
            "distinct_1": Quantity("share of different tokens"),
            "distinct_2": Quantity("share of different 2-grams"),
            "distinct_3": Quantity("share of different 3-grams"),
            "repetition_rate": Quantity("share of 4-grams that repeat within a block"),
            "unigram_entropy": Quantity("entropy of tokens", "nats"),
            "tail_share": Quantity("share of rare tokens"),
            "unique_share": Quantity("share of different blocks"),
        }


def _corpus(
    key: Any, family: Any, params: Any, corpus: Any, source: Any, generation0: Any
) -> Int[Array, "slot token"]:
    """Return the training blocks of the model."""
    return jnp.where(corpus.full_weights()[:, None] > 0, corpus.rows, _EMPTY)


@config
class ZeroModel(LanguageModel):
    """A language model without training: zeros in the shapes of all results."""

    @classmethod
    def of(cls, family: LanguageModel) -> Self:
        """Return the twin of a family.

        Args:
          family: a `LanguageModel`.
        """
        twin: Any = object.__new__(cls)
        for name, value in vars(family).items():
            object.__setattr__(twin, name, value)
        return twin

    def fit(self, keys: Keys, corpus: Any, previous: Any, generation0: Any) -> Fit:
        """Return zeros."""
        from flax import nnx

        from collapse_jax.lm import create

        scan = self.scan_layers
        shapes = jax.eval_shape(lambda: nnx.state(create(self.network, key=0, scan_layers=scan)))
        params = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes)
        losses = jnp.zeros(self.training.num_epochs, jnp.float32)
        return Fit(TunedModel(params, losses, losses, jnp.float32(0)), jnp.int32(Status.OK))

    def measure(
        self, params: TunedModel, corpus: Any, source: AbstractSource, generation0: Any
    ) -> dict[str, Array]:
        """Return zeros."""
        from collapse_jax.families.language_model.evaluate import NAMES

        zeros: dict[str, Any] = dict.fromkeys(NAMES, jnp.float32(0))
        zeros["corpus_perplexity"] = jnp.zeros(corpus.capacity, jnp.float32)
        return params.variables | zeros
