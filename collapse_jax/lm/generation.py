"""Generate text: greedily, by random draws, or by beam search."""

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
from collapse_jax.lm.causal_lm import CausalLM, end_tokens, fill_token
from collapse_jax.lm.checks import check_beams, check_prompts, check_tokens, make_key
from collapse_jax.lm.kv_cache import next_logits, read_prompts
from collapse_jax.lm.logits_processors import Penalties, penalise
from collapse_jax.lm.sharding import distributed, fetch, gathered, pad_rows, rows_of, specs_of
from collapse_jax.utils import check
from collapse_jax.utils.jax_settings import own_settings
from collapse_jax.utils.progress import Progress

_STAGES = 4  # sizes that the KV cache grows through: attention costs as much as its size
_FEW_SLOTS = 64  # new slots up to which one size is used: stages would not repay compilation

_BYTES, _LEAST_BYTES = 4, 2  # of a logit or an attention weight, and of a key or value in float16


class Shape(NamedTuple):
    """Settings that a program is compiled for, next to the shapes of its arguments.

    Attributes:
      num_beams: number of beams.
      max_new_tokens: number of new tokens per text.
      ngram_size: number of tokens of an n-gram that must not occur twice; 0 for no rule.
      do_sample: whether tokens are drawn at random.
    """

    num_beams: int
    max_new_tokens: int
    ngram_size: int
    do_sample: bool


class Numbers(NamedTuple):
    """Settings that a program takes as arguments.

    Attributes:
      penalties: see `Penalties`.
      rules: see `Rules` of beam search.
      warpers: see `LogitsWarpers`.
    """

    penalties: Penalties
    rules: beam_search.Rules
    warpers: sampling.LogitsWarpers


@dataclasses.dataclass(frozen=True)
class Decoding:
    """Settings of text generation, under the names of transformers' `generate`.

    One token at a time is added to every text. Its scores are logits, or log-probabilities in
    beam search. First the repetition penalty (Keskar et al. 2019, arXiv 1909.05858), the rule
    on n-grams and the minimum length change the scores; then one of three rules chooses:

    - one beam: the token with the largest score;
    - one beam with do_sample: a draw from softmax(score / temperature), restricted to top_k
      (Fan et al. 2018, arXiv 1805.04833), then to top_p (Holtzman et al. 2020, arXiv
      1904.09751), then by min_p (Nguyen et al. 2024, arXiv 2407.01082);
    - several beams: beam search, which returns the finished text with the largest
      log-probability / length^length_penalty. Length counts new tokens.

    Tokens equal those of transformers except at ties of rounding; random draws have the same
    law, but another random stream. Each combination of num_beams, max_new_tokens,
    no_repeat_ngram_size, do_sample and shape of prompts is compiled once; other settings
    need no new compilation. Beams cannot be combined with draws.

    Args:
      max_new_tokens: number of new tokens per text, >= 1; the padding id follows an end.
      num_beams: number of beams in [1, 1024], at most the tokens of the model; 1 is greedy or
        random choice.
      min_new_tokens: number of new tokens before which no text ends, in
        [0, max_new_tokens].
      repetition_penalty: dimensionless, in (0, 1e6]; scores of tokens of prompt and text are
        multiplied by it if negative and divided by it otherwise; 1 for none.
      length_penalty: exponent of the length, dimensionless, in [-1000, 1000].
      no_repeat_ngram_size: number of tokens of an n-gram that must not occur twice, >= 0;
        0 for no rule.
      early_stopping: True ends a search when there are num_beams finished texts, False when
        no running beam at its length now beats the worst of them, "never" when no running
        beam can beat it at any length.
      do_sample: whether tokens are drawn at random; needs num_beams=1.
      temperature: divisor of the logits, dimensionless, in (0, 1e6].
      top_k: number of likeliest tokens to draw from, >= 0; 0 for all.
      top_p: probability in (0, 1]: draw from the fewest likeliest tokens that have it.
      min_p: share in [0, 1]: draw from tokens with at least this share of the largest
        probability; 0 for all.

    Raises:
      ValueError: if a setting is out of range, or do_sample is combined with beams.

    >>> from collapse_jax import lm
    >>> lm.Decoding(max_new_tokens=64, num_beams=5, repetition_penalty=2.0).early_stopping
    False
    >>> lm.Decoding(max_new_tokens=64, num_beams=5, do_sample=True)  # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    collapse_jax.ArgumentError: num_beams=5 is not allowed: texts are drawn with one beam; ...
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
    min_p: float = 0.0

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
        check.number("min_p", self.min_p, 0, 1, "pass min_p=0.0 for no change")
        remedy = "pass for example length_penalty=1.0"
        check.number("length_penalty", self.length_penalty, -1e3, 1e3, remedy)
        if self.early_stopping not in beam_search.STOPPING:
            allowed = "it must be True, False or 'never'"
            raise check.fail("early_stopping", self.early_stopping, allowed, "pass one of these")
        if self.do_sample and self.num_beams > 1:
            allowed = "texts are drawn with one beam"
            raise check.fail("num_beams", self.num_beams, allowed, "pass do_sample=False")

    @property
    def shape(self) -> Shape:
        """Return the number of beams and the other settings that need their own program."""
        return Shape(self.num_beams, self.max_new_tokens, self.no_repeat_ngram_size, self.do_sample)

    @property
    def numbers(self) -> Numbers:
        """Return the settings, as numbers, that a program takes as arguments."""
        single = np.float32
        return Numbers(
            Penalties(single(self.repetition_penalty), np.int32(self.min_new_tokens)),
            beam_search.Rules(
                single(self.length_penalty), np.int32(beam_search.STOPPING[self.early_stopping])
            ),
            sampling.LogitsWarpers(
                single(self.temperature),
                np.int32(self.top_k),
                single(self.top_p),
                single(self.min_p),
            ),
        )

    def least_bytes(self, config: Any, batch: int, length: int) -> int:
        """Return memory that a search needs at least: logits, cache, and weights of one layer.

        Args:
          config: config of the model.
          batch: number of prompts.
          length: tokens of a prompt.

        Returns:
          Number of bytes.

        >>> from collapse_jax import lm
        >>> lm.Decoding(64, num_beams=5).least_bytes(lm.OPTConfig(), batch=32, length=64) // 2**20
        459
        """
        beams = batch * self.num_beams
        slots = length + self.num_beams * (self.max_new_tokens - 1)
        logits = _BYTES * beams * config.vocab_size
        size = config.num_key_value_heads * config.head_dim
        cache = 2 * config.num_hidden_layers * batch * slots * size
        weights = _BYTES * beams * config.num_attention_heads * slots
        return logits + _LEAST_BYTES * cache + weights

    @own_settings()
    def run(
        self,
        model: CausalLM,
        input_ids: Any,
        attention_mask: Any = None,
        *,
        key: Any = None,
        first_row: int = 0,
        mesh: Mesh | None = None,
    ) -> Int[Array, "batch new"]:
        """Continue a batch of texts.

        Args:
          model: the network.
          input_ids: tokens of the prompts, integers [batch, length], padded on the left.
          attention_mask: [batch, length], 1 for tokens and 0 for padding; None for no
            padding.
          key: seed or key of `jax.random`, needed by do_sample.
          first_row: number of row 0, an integer >= 0; random draws depend on key and row.
          mesh: devices that share the batch, see `mesh`; None for the default device.

        Returns:
          New tokens, int32 [batch, max_new_tokens], with the padding id after an end.

        Raises:
          ValueError: as in `generate`.
        """
        input_ids, mask = check_tokens(model.config, input_ids, attention_mask)
        check_prompts(model.config, mask, self.max_new_tokens)
        check_beams(model.config, self.num_beams)
        if self.do_sample and key is None:
            raise check.fail("key", None, "do_sample=True needs a key", "pass for example key=0")
        rows = np.arange(first_row, first_row + len(input_ids), dtype=np.uint32)
        arrays, number = (input_ids, mask, rows), len(input_ids)
        if mesh is not None:
            arrays = pad_rows(arrays, mesh.size)
        structure, params = nnx.split(model)
        program = program_on(structure, self.shape, mesh)
        params, key = distributed((params, make_key(0 if key is None else key)), mesh)
        return program(params, *arrays, key, self.numbers)[:number]


def generate(
    model: CausalLM,
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
    min_p: float = 0.0,
    key: Any = None,
    mesh: Mesh | None = None,
) -> Int[Array, "batch new"]:
    """Continue a batch of texts as transformers' `generate` does with these settings.

    Args:
      model: the network, see `load`.
      input_ids: tokens of the prompts, integers [batch, length], padded on the left.
      attention_mask: [batch, length], 1 for tokens and 0 for padding; None for no padding.
      num_beams: number of beams, see `Decoding` for this and all settings below.
      max_new_tokens: number of new tokens per text.
      min_new_tokens: number of new tokens before which no text ends.
      repetition_penalty: factor for scores of earlier tokens, dimensionless.
      length_penalty: exponent of the length of beams, dimensionless.
      no_repeat_ngram_size: number of tokens of an n-gram that must not occur twice.
      early_stopping: when beam search ends.
      do_sample: whether tokens are drawn at random.
      temperature: divisor of the logits, dimensionless.
      top_k: number of likeliest tokens to draw from; 0 for all.
      top_p: probability of the likeliest tokens to draw from.
      min_p: least share of the largest probability to draw from; 0 for all.
      key: seed or key of `jax.random`, needed by do_sample. The tokens of a row depend only
        on the key, the row's number and its prompt.
      mesh: devices that share the batch, see `mesh`; None for the default device.

    Returns:
      New tokens without the prompts, int32 [batch, max_new_tokens], with the padding id after
      an end.

    Raises:
      ValueError: before anything is compiled, if a setting is out of range, an id lies
        outside the vocabulary, there are more beams than tokens, prompts are not padded on the
        left, or prompt and new tokens need more positions than the model has.

    >>> from collapse_jax import lm
    >>> config = lm.OPTConfig(vocab_size=64, hidden_size=16, num_hidden_layers=1, ffn_dim=32,
    ...                    num_attention_heads=2, max_position_embeddings=32)
    >>> model = lm.create(config, key=0)
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
        min_p=min_p,
    )
    return decoding.run(model, input_ids, attention_mask, key=key, mesh=mesh)


def stream(
    model: CausalLM,
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
    """Continue many texts, batch after batch, with one compilation.

    Args:
      model: the network, see `load`.
      input_ids: tokens of the prompts, integers [text, length], padded on the left.
      attention_mask: [text, length], 1 for tokens and 0 for padding; None for no padding.
      decoding: settings of the generation.
      batch_size: number of texts computed at a time, >= 1; tokens do not depend on it.
      key: seed or key of `jax.random`, see `generate`.
      mesh: devices that share each batch, see `mesh`; None for the default device.
      progress: whether to show a bar with tokens per second.
      first_row: index of the text to resume at.

    Returns:
      Iterator over the batches; each item has the new tokens int32 [batch, max_new_tokens],
      and the last may have fewer rows.

    Raises:
      ValueError: at the first item, for arguments that `generate` refuses.

    >>> from collapse_jax import lm
    >>> config = lm.OPTConfig(vocab_size=64, hidden_size=16, num_hidden_layers=1, ffn_dim=32,
    ...                    num_attention_heads=2, max_position_embeddings=32)
    >>> model = lm.create(config, key=0)
    >>> decoding = lm.Decoding(max_new_tokens=4, num_beams=2, min_new_tokens=4)
    >>> texts = lm.stream(model, [[2, 5, 6], [2, 7, 8], [2, 9, 9]], decoding=decoding, batch_size=1)
    >>> [tokens.shape for tokens in texts]
    [(1, 4), (1, 4), (1, 4)]
    """
    check.integer("batch_size", batch_size, 1)
    with own_settings():
        input_ids, mask = check_tokens(model.config, input_ids, attention_mask)
        total = len(input_ids)
        structure, params = nnx.split(model)
        model = nnx.merge(structure, distributed(params, mesh))
    with Progress((total - first_row) * decoding.max_new_tokens, progress, "tokens") as bar:
        for first in range(first_row, total, batch_size):
            rows = np.minimum(np.arange(first, first + batch_size), total - 1)
            with own_settings():
                tokens = fetch(
                    decoding.run(
                        model, input_ids[rows], mask[rows], key=key, first_row=first, mesh=mesh
                    )
                )
            number = min(batch_size, total - first)
            yield tokens[:number]
            bar.advance(number * decoding.max_new_tokens)


@functools.lru_cache(maxsize=64)
def program_on(structure: Any, shape: Shape, mesh: Mesh | None) -> Any:
    """Return the compiled search; each device of a mesh continues a share of the prompts.

    Each gathers all parameters once, as every new token needs them all.

    Args:
      structure: graph definition of the network.
      shape: what a program is compiled for.
      mesh: the devices; None for the default device.
    """
    search = functools.partial(_search, structure, shape)
    if mesh is None:
        return jax.jit(search)
    shared, whole = rows_of(mesh), PartitionSpec()

    @jax.jit
    def shared_search(params: Any, *arguments: Any) -> Array:
        specs = specs_of(params, mesh)
        return jax.shard_map(
            lambda params, *arguments: search(gathered(params, specs), *arguments),
            mesh=mesh,
            in_specs=(specs, shared, shared, shared, whole, whole),
            out_specs=shared,
            check_vma=False,
        )(params, *arguments)

    return shared_search


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
    """Return the new tokens; a step chooses one token per beam, then computes the logits."""
    model: CausalLM = nnx.merge(structure, params)
    config, (batch, length) = model.config, input_ids.shape
    beams, max_new = shape.num_beams, shape.max_new_tokens
    eos, fill = end_tokens(config), fill_token(config)
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
        cache, logits = next_logits(model, cache, newest, positions, slot, visible, length)
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
    for end, steps in stages(max_new - 1, beams):
        step, state, cache, visible = loop
        visible = jnp.pad(visible, ((0, 0), (0, 0), (0, steps * beams)))
        loop = jax.lax.while_loop(
            lambda loop, end=end: (loop[0] <= end) & ~loop[1].is_done,
            one_more,
            (step, state, cache.grow(steps * beams), visible),
        )
    return loop[1].result


def stages(steps: int, beams: int) -> list[tuple[int, int]]:
    """Return the last step of each size of the cache, and by how many steps it grows.

    Args:
      steps: new tokens after the first.
      beams: number of beams.
    """
    if steps == 0:
        return []
    number = _STAGES if steps * beams > _FEW_SLOTS else 1
    each = -(-steps // number)
    ends = [*range(each, steps, each), steps]
    return [(end, end - start) for start, end in zip([0, *ends], ends, strict=False)]
