"""Tokens out: greedy, sampled, or by beam search."""

import dataclasses
import functools
from collections.abc import Iterator
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.sharding import Mesh, PartitionSpec
from jaxtyping import Array, Int

from collapse_jax.lm import beam_search, sampling
from collapse_jax.lm.checks import check_prompts, check_tokens, make_key
from collapse_jax.lm.kv_cache import next_logits, read_prompts
from collapse_jax.lm.logits_processors import Penalties, penalise
from collapse_jax.lm.model import OPT
from collapse_jax.lm.sharding import AXIS, fetch, on_all, pad_rows
from collapse_jax.utils import check
from collapse_jax.utils.progress import Progress

_STAGES = 4  # sizes of the cache of keys and values; a token pays for the size it is in
_FEW_SLOTS = 64


class Shape(NamedTuple):
    """What a program is compiled for, beside the shapes of its arguments."""

    num_beams: int
    max_new_tokens: int
    ngram_size: int
    do_sample: bool


class Numbers(NamedTuple):
    """What a program takes as arguments."""

    penalties: Penalties
    rules: beam_search.Rules
    warpers: sampling.LogitsWarpers


@dataclasses.dataclass(frozen=True)
class Decoding:
    """How texts are continued; the names are those of transformers' `generate`.

    Args:
      max_new_tokens: tokens per text; after an end of text come padding tokens.
      num_beams: 1 is greedy (or random) choice, more are beam search.
      min_new_tokens: no text ends before.
      repetition_penalty: > 0; scores of tokens that were there before, prompt included, are
        multiplied by it if negative, else divided. Scores are log-probabilities in beam
        search, logits otherwise.
      length_penalty: beams are compared by log-probability over length^length_penalty.
      no_repeat_ngram_size: no n-gram of this size comes twice; 0 for no such rule. Each size
        is a program of its own, all other numbers are not.
      early_stopping: True ends a search when there are num_beams finished texts, False when
        no running beam looks better than they, "never" when none can become better.
      do_sample: draw tokens at random; with one beam only.
      temperature: > 0, divides logits of drawn tokens.
      top_k: draw from the so many likeliest; 0 for all.
      top_p: draw from the likeliest that together have this probability.

    Raises:
      ValueError: for any other value.

    >>> from collapse_jax.families import language_model as lm
    >>> lm.Decoding(max_new_tokens=64, num_beams=5, repetition_penalty=2.0).early_stopping
    False
    >>> lm.Decoding(max_new_tokens=64, num_beams=5, do_sample=True)
    Traceback (most recent call last):
        ...
    ValueError: num_beams=5 is not allowed: texts are drawn with one beam; pass do_sample=False
    """

    max_new_tokens: int
    num_beams: int = 1
    min_new_tokens: int = 0
    repetition_penalty: float = 1.0
    length_penalty: float = 1.0
    no_repeat_ngram_size: int = 0
    early_stopping: bool | Literal["never"] = False
    do_sample: bool = False
    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0

    def __post_init__(self) -> None:
        check.integer("max_new_tokens", self.max_new_tokens, 1)
        check.integer("num_beams", self.num_beams, 1, 1024)
        remedy = "pass at most max_new_tokens"
        check.integer("min_new_tokens", self.min_new_tokens, 0, self.max_new_tokens, remedy)
        check.integer("no_repeat_ngram_size", self.no_repeat_ngram_size, 0)
        check.integer("top_k", self.top_k, 0)
        for name, high in (("repetition_penalty", 1e6), ("temperature", 1e6), ("top_p", 1)):
            remedy = f"pass {name}=1.0 for no change"
            check.number(name, getattr(self, name), 0, high, remedy, open_low=True)
        remedy = "pass length_penalty=1.0, say"
        check.number("length_penalty", self.length_penalty, -1e3, 1e3, remedy)
        if self.early_stopping not in beam_search.STOPPING:
            allowed = "it must be True, False or 'never'"
            raise check.fail("early_stopping", self.early_stopping, allowed, "pass one of these")
        if self.do_sample and self.num_beams > 1:
            allowed = "texts are drawn with one beam"
            raise check.fail("num_beams", self.num_beams, allowed, "pass do_sample=False")

    @property
    def shape(self) -> Shape:
        """What makes another program."""
        return Shape(self.num_beams, self.max_new_tokens, self.no_repeat_ngram_size, self.do_sample)

    @property
    def numbers(self) -> Numbers:
        """What does not."""
        single = np.float32
        return Numbers(
            Penalties(single(self.repetition_penalty), np.int32(self.min_new_tokens)),
            beam_search.Rules(
                single(self.length_penalty), np.int32(beam_search.STOPPING[self.early_stopping])
            ),
            sampling.LogitsWarpers(
                single(self.temperature), np.int32(self.top_k), single(self.top_p)
            ),
        )

    def run(
        self,
        model: OPT,
        input_ids: Any,
        attention_mask: Any = None,
        *,
        key: Any = None,
        first_row: int = 0,
        mesh: Mesh | None = None,
    ) -> Int[Array, "batch new"]:
        """See `generate`."""
        input_ids, mask = check_tokens(model.config, input_ids, attention_mask)
        check_prompts(model.config, mask, self.max_new_tokens)
        if self.do_sample and key is None:
            raise check.fail("key", None, "do_sample=True needs one", "pass key=0, say")
        rows = np.arange(first_row, first_row + len(input_ids), dtype=np.uint32)
        arrays, number = (input_ids, mask, rows), len(input_ids)
        if mesh is not None:
            arrays = pad_rows(arrays, mesh.shape[AXIS])
        structure, params = nnx.split(model)
        program = _program(structure, self.shape, mesh)
        params, key = on_all((params, make_key(0 if key is None else key)), mesh)
        return program(params, *arrays, key, self.numbers)[:number]


def generate(
    model: OPT,
    input_ids: Any,
    attention_mask: Any = None,
    *,
    num_beams: int = 1,
    max_new_tokens: int,
    min_new_tokens: int = 0,
    repetition_penalty: float = 1.0,
    length_penalty: float = 1.0,
    no_repeat_ngram_size: int = 0,
    early_stopping: bool | Literal["never"] = False,
    do_sample: bool = False,
    temperature: float = 1.0,
    top_k: int = 0,
    top_p: float = 1.0,
    key: Any = None,
    mesh: Mesh | None = None,
) -> Int[Array, "batch new"]:
    """Continue texts; token for token what transformers' `generate` does with these settings.

    Args:
      model: see `load`.
      input_ids: integers [batch, length], padded on the left.
      attention_mask: [batch, length], 0 for padding; None for none.
      num_beams: see `Decoding`, as for all other numbers.
      max_new_tokens: likewise.
      min_new_tokens: likewise.
      repetition_penalty: likewise.
      length_penalty: likewise.
      no_repeat_ngram_size: likewise.
      early_stopping: likewise.
      do_sample: likewise.
      temperature: likewise.
      top_k: likewise.
      top_p: likewise.
      key: int or key of `jax.random`, for do_sample. The tokens of a row depend on the key,
        the row's number and its prompt alone.
      mesh: devices that share the batch, see `data_mesh`.

    Returns:
      int32 [batch, max_new_tokens]: new tokens only, padded after the end of a text.

    Raises:
      ValueError: in one line, before anything is compiled.

    >>> import jax
    >>> from collapse_jax.families import language_model as lm
    >>> config = lm.Config(vocab_size=64, hidden_size=16, num_hidden_layers=1, ffn_dim=32,
    ...                    num_attention_heads=2, max_position_embeddings=32)
    >>> model = lm.OPT(config, key=jax.random.key(0))
    >>> lm.generate(model, [[2, 5, 6]], num_beams=2, max_new_tokens=4, min_new_tokens=4).shape
    (1, 4)
    """
    decoding = Decoding(
        max_new_tokens=max_new_tokens,
        num_beams=num_beams,
        min_new_tokens=min_new_tokens,
        repetition_penalty=repetition_penalty,
        length_penalty=length_penalty,
        no_repeat_ngram_size=no_repeat_ngram_size,
        early_stopping=early_stopping,
        do_sample=do_sample,
        temperature=temperature,
        top_k=top_k,
        top_p=top_p,
    )
    return decoding.run(model, input_ids, attention_mask, key=key, mesh=mesh)


def stream(
    model: OPT,
    input_ids: Any,
    attention_mask: Any = None,
    *,
    decoding: Decoding,
    batch_size: int,
    key: Any = None,
    mesh: Mesh | None = None,
    progress: bool = False,
    first_row: int = 0,
) -> Iterator[Int[np.ndarray, "batch new"]]:
    """Continue many texts, one batch after the other, with one compilation.

    Args:
      model: see `load`.
      input_ids: integers [text, length], padded on the left.
      attention_mask: [text, length], 0 for padding; None for none.
      decoding: how.
      batch_size: texts at a time.
      key: see `generate`; tokens do not depend on batch_size.
      mesh: devices that share each batch.
      progress: show a bar with tokens per second.
      first_row: where to begin, to go on.

    Yields:
      The new tokens of every batch; the last may be smaller.

    >>> import jax
    >>> from collapse_jax.families import language_model as lm
    >>> config = lm.Config(vocab_size=64, hidden_size=16, num_hidden_layers=1, ffn_dim=32,
    ...                    num_attention_heads=2, max_position_embeddings=32)
    >>> model = lm.OPT(config, key=jax.random.key(0))
    >>> decoding = lm.Decoding(max_new_tokens=4, num_beams=2, min_new_tokens=4)
    >>> texts = lm.stream(model, [[2, 5, 6], [2, 7, 8], [2, 9, 9]], decoding=decoding, batch_size=1)
    >>> [tokens.shape for tokens in texts]
    [(1, 4), (1, 4), (1, 4)]
    """
    check.integer("batch_size", batch_size, 1)
    input_ids, mask = check_tokens(model.config, input_ids, attention_mask)
    total = len(input_ids)
    structure, params = nnx.split(model)
    model = nnx.merge(structure, on_all(params, mesh))
    with Progress((total - first_row) * decoding.max_new_tokens, progress, "tokens") as bar:
        for first in range(first_row, total, batch_size):
            rows = np.minimum(np.arange(first, first + batch_size), total - 1)
            tokens = decoding.run(
                model, input_ids[rows], mask[rows], key=key, first_row=first, mesh=mesh
            )
            number = min(batch_size, total - first)
            yield fetch(tokens)[:number]
            bar.advance(number * decoding.max_new_tokens)


@functools.lru_cache(maxsize=64)
def _program(structure: Any, shape: Shape, mesh: Mesh | None) -> Any:
    """The compiled search; on several devices, each has a share of the prompts."""
    search = functools.partial(_search, structure, shape)
    if mesh is None:
        return jax.jit(search)
    shared, whole = PartitionSpec(AXIS), PartitionSpec()
    return jax.jit(
        jax.shard_map(
            search,
            mesh=mesh,
            in_specs=(whole, shared, shared, shared, whole, whole),
            out_specs=shared,
            check_vma=False,
        )
    )


def _search(
    structure: Any,
    shape: Shape,
    params: Any,
    input_ids: Array,
    mask: Array,
    rows: Array,
    key: Any,
    numbers: Numbers,
) -> Int[Array, "batch new"]:
    model: OPT = nnx.merge(structure, params)
    config, (batch, length) = model.config, input_ids.shape
    beams, max_new = shape.num_beams, shape.max_new_tokens
    eos, fill = config.eos_token_ids, _fill(config)
    keys = jax.vmap(lambda row: jax.random.fold_in(key, row))(rows)
    prompts = jnp.broadcast_to(input_ids[:, None], (batch, beams, length))
    is_prompt = jnp.broadcast_to(mask[:, None], prompts.shape)

    def choose(state: Any, logits: Array, step: Array) -> tuple[Any, Array]:
        generated = state.tokens.reshape(batch, beams, max_new)
        is_new = jnp.broadcast_to(jnp.arange(max_new) < step, generated.shape)
        tokens = jnp.concatenate([prompts, generated], axis=2)
        is_text = jnp.concatenate([is_prompt, is_new], axis=2)
        scores = logits if beams == 1 else jax.nn.log_softmax(logits, axis=-1)
        scores = penalise(
            scores.reshape(batch * beams, -1),
            tokens.reshape(batch * beams, -1),
            is_text.reshape(batch * beams, -1),
            length + step,
            step,
            numbers.penalties,
            shape.ngram_size,
            eos,
        )
        if beams > 1:
            return beam_search.choose(state, scores.reshape(logits.shape), step, numbers.rules, eos)
        if shape.do_sample:
            now = jax.vmap(lambda key: jax.random.fold_in(key, step))(keys)
            new = sampling.draw(now, scores, numbers.warpers)
        else:
            new = jnp.argmax(scores, axis=1)
        return sampling.add(state, new, step, fill, eos), jnp.zeros((batch, 1), jnp.int32)

    def one_more(loop: tuple) -> tuple:
        step, state, cache, visible = loop
        newest = state.tokens.reshape(batch, beams, max_new)
        newest = jax.lax.dynamic_index_in_dim(newest, step - 1, 2, keepdims=False)
        slot = length + (step - 1) * beams
        own = jnp.arange(visible.shape[2]) == slot + jnp.arange(beams)[:, None]
        positions = jnp.sum(mask, axis=1, dtype=jnp.int32) + step - 1
        visible = visible | own
        cache, logits = next_logits(model, cache, newest, positions, slot, visible)
        state, parents = choose(state, logits, step)
        visible = jnp.take_along_axis(visible, parents[:, :, None], axis=1)
        return step + 1, state, cache, visible

    cache, logits = read_prompts(model, input_ids, mask)
    state = (
        beam_search.start(batch, beams, max_new, fill)
        if beams > 1
        else sampling.start(batch, max_new, fill)
    )
    logits = jnp.broadcast_to(logits[:, None], (batch, beams, logits.shape[1]))
    state, _ = choose(state, logits, jnp.int32(0))
    loop = (jnp.int32(1), state, cache, is_prompt)
    for end, steps in _stages(max_new - 1, beams):
        step, state, cache, visible = loop
        visible = jnp.pad(visible, ((0, 0), (0, 0), (0, steps * beams)))
        loop = jax.lax.while_loop(
            lambda loop, end=end: (loop[0] <= end) & ~loop[1].is_done,
            one_more,
            (step, state, cache.grow(steps * beams), visible),
        )
    return loop[1].result


def _stages(steps: int, beams: int) -> list[tuple[int, int]]:
    """The last step of every size of the cache, and for how many steps it has room."""
    if steps == 0:
        return []
    number = _STAGES if steps * beams > _FEW_SLOTS else 1
    each = -(-steps // number)
    ends = [*range(each, steps, each), steps]
    return [(end, end - start) for start, end in zip([0, *ends], ends, strict=False)]


def _fill(config: Any) -> int:
    """What follows the end of a text."""
    return config.pad_token_id or (config.eos_token_ids[0] if config.eos_token_ids else -1)
