"""Check configs, tokens, masks, labels and keys before anything is compiled."""

from typing import Any

import numpy as np
from jaxtyping import Array, Bool, Int, Key

from collapse_jax.lm.causal_lm import CausalLMConfig
from collapse_jax.lm.loss import IGNORED
from collapse_jax.random.threefry import as_key
from collapse_jax.utils import check
from collapse_jax.utils.counted import counted
from collapse_jax.utils.fork import check_fork


def check_tokens(
    config: CausalLMConfig, input_ids: Any, attention_mask: Any, fewest: int = 0
) -> tuple[Int[np.ndarray, "batch length"], Bool[np.ndarray, "batch length"]]:
    """Check tokens and their mask, and convert them.

    Args:
      config: config of the model.
      input_ids: tokens, integers [batch, length].
      attention_mask: [batch, length], 1 for tokens and 0 for padding; None for no padding.
      fewest: tokens that every text needs.

    Returns:
      Tokens as int32 and the mask as truth values, both [batch, length].

    Raises:
      ValueError: if an array has the wrong shape or type, an id lies outside the vocabulary,
        or a text is longer than the model's positions or has too few tokens.
      RuntimeError: in a process that was forked after jax had started.
    """
    check_fork()
    ids = np.asarray(input_ids)
    shape = check.Shown(f"array of shape {ids.shape}")
    if ids.ndim != 2 or ids.size == 0:
        allowed = "it must be [batch, length], not empty"
        raise check.fail("input_ids", shape, allowed, "pass input_ids[None] for one text")
    if not np.issubdtype(ids.dtype, np.integer):
        shown = check.Shown(f"array of {ids.dtype}")
        raise check.fail("input_ids", shown, "tokens are integers", "pass the ids of a tokenizer")
    if ids.shape[1] > config.max_position_embeddings:
        allowed = f"the model has {config.max_position_embeddings} positions"
        raise check.fail("input_ids", shape, allowed, "cut the texts")
    bad = np.argwhere((ids < 0) | (ids >= config.vocab_size))
    if len(bad):
        index = tuple(int(axis) for axis in bad[0])
        allowed = f"the model has tokens 0 to {config.vocab_size - 1}"
        remedy = "use the model's own tokenizer"
        raise check.fail(f"input_ids[{index[0]}, {index[1]}]", int(ids[index]), allowed, remedy)
    mask = np.ones(ids.shape, bool) if attention_mask is None else np.asarray(attention_mask)
    if mask.shape != ids.shape or not np.all((mask == 0) | (mask == 1)):
        shown = check.Shown(f"array of shape {mask.shape}")
        allowed = f"it must have zeros and ones in the shape of input_ids, {ids.shape}"
        raise check.fail("attention_mask", shown, allowed, "pass None for no padding")
    short = np.flatnonzero(np.sum(mask, axis=1) < fewest)
    if short.size:
        number = int(np.sum(mask[short[0]]))
        allowed = f"a text needs {counted(fewest, 'token')} or more, beside padding"
        shown = check.Shown(f"text of {counted(number, 'token')}")
        raise check.fail(f"input_ids[{short[0]}]", shown, allowed, "leave such texts out")
    return ids.astype(np.int32), mask.astype(bool)


def check_prompts(config: CausalLMConfig, mask: np.ndarray, max_new_tokens: int) -> None:
    """Check that prompts are padded only on the left and leave positions for new tokens.

    Args:
      config: config of the model.
      mask: truth values [batch, length], False for padding.
      max_new_tokens: number of tokens to generate.

    Raises:
      ValueError: if a prompt is empty or has padding after a token, or if prompt and new
        tokens need more positions than the model has.
    """
    bad = np.flatnonzero(~mask[:, -1] | np.any(mask[:, :-1] & ~mask[:, 1:], axis=1))
    if len(bad):
        shown = check.Shown(f"{mask[bad[0]].astype(int).tolist()}")
        allowed = "prompts are padded on the left, and none is empty"
        remedy = "pass padding_side='left' to the tokenizer"
        raise check.fail(f"attention_mask[{bad[0]}]", shown, allowed, remedy)
    total, known = mask.shape[1] + max_new_tokens, config.max_position_embeddings
    if total > known:
        allowed = (
            f"with prompts of {mask.shape[1]} that is {total}, the model has {known} positions"
        )
        raise check.fail("max_new_tokens", max_new_tokens, allowed, "cut the prompts or lower it")


def check_beams(config: CausalLMConfig, num_beams: int) -> None:
    """Check that the first step of a search has a token for every beam.

    Args:
      config: config of the model.
      num_beams: number of beams.

    Raises:
      ValueError: if the vocabulary is smaller.
    """
    if num_beams > config.vocab_size:
        allowed = (
            f"a search begins with a token per beam, and the model has "
            f"{counted(config.vocab_size, 'token')}"
        )
        raise check.fail("num_beams", num_beams, allowed, "pass num_beams=5, for example")


def check_labels(
    config: CausalLMConfig, labels: Any, input_ids: np.ndarray, mask: np.ndarray
) -> Int[np.ndarray, "batch length"]:
    """Check labels and convert them.

    Args:
      config: config of the model.
      labels: tokens, integers [batch, length], -100 to exclude a position; None for all
        tokens except padding.
      input_ids: tokens [batch, length].
      mask: truth values [batch, length], False for padding.

    Returns:
      Labels as integers [batch, length]: tokens, or -100.

    Raises:
      ValueError: if labels have another shape, are not integers, lie outside the vocabulary, or
        exclude every position after the first.
    """
    labels = np.where(mask, input_ids, IGNORED) if labels is None else np.asarray(labels)
    is_integer = np.issubdtype(labels.dtype, np.integer)
    if labels.shape != input_ids.shape or not is_integer:
        shown = check.Shown(f"array of {labels.dtype} {labels.shape}")
        allowed = f"they must be integers of the shape of input_ids, {input_ids.shape}"
        raise check.fail("labels", shown, allowed, "pass tokens, and -100 to exclude a position")
    bad = (labels != IGNORED) & ((labels < 0) | (labels >= config.vocab_size))
    if np.any(bad):
        allowed = f"it must be -100 or a token 0 to {config.vocab_size - 1}"
        raise check.fail("labels", int(labels[bad][0]), allowed, "use the model's own tokenizer")
    if not np.any(labels[:, 1:] != IGNORED):
        shown, remedy = check.Shown("no label after a first token"), "pass longer texts"
        raise check.fail("labels", shown, "a mean needs one", remedy)
    return labels.astype(np.int32)


def make_key(key: Any) -> Key[Array, ""]:
    """Make a typed key of the unrolled threefry generator.

    Args:
      key: seed, an integer in [0, 2^64), or a threefry key of `jax.random`.

    Returns:
      Key [] whose random numbers equal those of threefry.

    Raises:
      ValueError: if `key` is neither a threefry key nor an integer in range.
    """
    return as_key(key)


def check_sizes(config: Any, *names: str) -> None:
    """Refuse fields of a config that are no integers >= 1.

    Args:
      config: of a network.
      names: of the fields, dimensionless.
    """
    for name in names:
        check.integer(f"{type(config).__name__}.{name}", getattr(config, name), 1)


def check_flags(config: Any, *names: str) -> None:
    """Refuse fields of a config that are not True or False.

    Args:
      config: of a network.
      names: of the fields.
    """
    for name in names:
        allowed, remedy = "it must be True or False", f"pass {name}=True or False"
        label = f"{type(config).__name__}.{name}"
        check.instance(label, getattr(config, name), bool, allowed, remedy)


def check_divides(config: Any, part: str, whole: str) -> None:
    """Refuse a field of a config that does not divide another.

    Args:
      config: of a network.
      part: name of the divisor.
      whole: name of the number that it must divide.
    """
    if getattr(config, whole) % getattr(config, part):
        allowed = f"it must divide {whole}={getattr(config, whole)}"
        label = f"{type(config).__name__}.{part}"
        raise check.fail(label, getattr(config, part), allowed, "change one of the two")
