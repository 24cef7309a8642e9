"""Check what families, policies and sources of users return, while a program is traced.

Each check is one line that names class and method, what came, and what is allowed. Only numbers
of rows can be unknown at that time; `marked` rows give the chain a status.
"""

import operator
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Int

from collapse_jax.core.corpus import AbstractCorpus, Size
from collapse_jax.core.family import AbstractFamily, Fit
from collapse_jax.core.metric import RESERVED, check_name
from collapse_jax.core.policy import AbstractPolicy
from collapse_jax.core.samples import Samples
from collapse_jax.core.selection import AbstractSelection
from collapse_jax.core.source import AbstractSource
from collapse_jax.core.state import ChainState
from collapse_jax.utils import check
from collapse_jax.utils.counted import counted
from collapse_jax.utils.status import Status

_PACKAGE = __name__.partition(".")[0]
_RECORDABLE = "it must be an array of real numbers or truth values"
_LONGEST = 80  # characters of a described pytree


class ChangedShapeError(check.ArgumentError):
    """A part of a chain whose structure, shapes or dtypes change between generations."""


PARTS: Mapping[str, type] = {
    "family": AbstractFamily,
    "source": AbstractSource,
    "policy": AbstractPolicy,
}
"""Classes of the parts of a chain, in the order in which `Chain` takes them."""


def check_part(name: str, part: Any) -> None:
    """Refuse a part of a chain that is of another kind, or whose class is no config.

    Args:
      name: of the part, among `PARTS`.
      part: as given.
    """
    kind, label = PARTS[name], f"Chain.{name}"
    remedy = f"pass an object of collapse_jax's {name} classes or your own subclass"
    if name == "source" and isinstance(part, (str, Path, np.ndarray, list)):
        remedy = "pass Empirical(...) of these data"
    for other, another in PARTS.items():
        if other != name and isinstance(part, another):
            remedy = f"this is a {other}: pass Chain(family=..., source=..., policy=...)"
    check.instance(
        label, part, kind, f"it must be a {name}, an instance of {kind.__name__}", remedy
    )
    if jax.tree_util.all_leaves([part]):
        shown, decorator = check.Shown(type(part).__name__), "@collapse_jax.config.config"
        raise check.fail(label, shown, "its class is no config", f"decorate it with {decorator}")


def check_chain_state(state: Any) -> None:
    """Refuse all but the state of one chain.

    Args:
      state: as given to a method of a chain.
    """
    allowed = "it must be a ChainState, of one chain"
    remedy = "pass what Chain.init or step returned; records.state is for simulate(state=...)"
    check.instance("state", state, ChainState, allowed, remedy)


def check_kind(owner: Any, method: str, result: Any, kind: type) -> None:
    """Refuse a result of a method that is of another kind.

    Args:
      owner: the family, policy or source.
      method: name of its method.
      result: as returned.
      kind: the class that the method must return.

    Raises:
      ArgumentError: if the result is no instance of it.
    """
    if not isinstance(result, kind):
        shown = check.Shown(type(result).__name__)
        allowed = f"it must be an instance of {kind.__name__}"
        raise check.fail(_result(owner, method), shown, allowed, "return such an object")


def check_fields(policy: AbstractPolicy) -> None:
    """Refuse a policy without one of the fields that every policy has.

    Args:
      policy: of a chain.
    """
    fields = {"num_samples": "int = static(default=100)", "verifier": "Any = static(default=None)"}
    for field, declaration in fields.items():
        if not hasattr(policy, field):
            shown, remedy = check.Shown(type(policy).__name__), f"add `{field}: {declaration}`"
            raise check.fail("Chain.policy", shown, f"it lacks the field {field}", remedy)


def is_own(policy: AbstractPolicy) -> bool:
    """Tell whether a policy is a user's own; those of the library never exceed their slots.

    Args:
      policy: of a chain.

    Returns:
      True if its class is defined outside of the package.
    """
    return type(policy).__module__.partition(".")[0] != _PACKAGE


def check_request(policy: AbstractPolicy, draw: str, size: Any, capacity: Any) -> int | None:
    """Refuse a draw of more rows than slots, as far as the number of rows is known.

    Args:
      policy: whose `next` draws.
      draw: what it calls, "model" or "original".
      size: number of rows.
      capacity: number of slots.

    Returns:
      The number of rows, None if it is known at run time only.
    """
    place = f"of step.{draw} in {type(policy).__name__}.next"
    slots = _known(capacity)
    if slots is None:
        shown = check.Shown(f"{type(capacity).__name__} {describe(capacity)}")
        remedy = "pass the most rows of any generation, e.g. self.largest_size"
        raise check.fail(f"capacity {place}", shown, "it must be an int, not traced", remedy)
    rows = _known(size)
    if rows is None:
        is_count = isinstance(size, Tracer) and jnp.issubdtype(size.dtype, jnp.integer)
        if not is_count or size.shape != ():
            shown, allowed = check.Shown(describe(size)), "it must be one integer"
            raise check.fail(f"size {place}", shown, allowed, "pass an int or an int32 scalar")
    elif not 0 <= rows <= slots:
        allowed = f"with capacity={slots} it must lie in [0, {slots}]"
        raise check.fail(f"size {place}", rows, allowed, "pass a larger capacity, or ask for fewer")
    return rows


def check_candidates(
    policy: AbstractPolicy, selection: AbstractSelection, size: Any, capacity: int
) -> int:
    """Refuse a draw of more rows than a selection has candidates for, as far as it is known.

    Args:
      policy: whose `next` draws.
      selection: of the policy.
      size: number of rows.
      capacity: number of slots.

    Returns:
      The most rows that can be asked for.
    """
    most, rows = selection.most_rows, _known(size)
    if most is not None and rows is not None and rows > most:
        place = f"size of step.model in {type(policy).__name__}.next"
        allowed = f"{type(selection).__name__} has {counted(most, 'candidate')}"
        raise check.fail(place, rows, allowed, "pass more candidates, or ask for fewer rows")
    return capacity if most is None else min(capacity, most)


def check_drawn(owner: Any, method: str, corpus: Any, rows: int | None, capacity: int) -> None:
    """Refuse a draw that is no corpus, has too many slots, or another number of rows.

    Args:
      owner: the family or source that drew.
      method: name of its method.
      corpus: as returned.
      rows: the number of rows asked for, None if it is unknown.
      capacity: the most slots.
    """
    check_kind(owner, method, corpus, AbstractCorpus)
    if isinstance(corpus, Samples) and corpus.capacity > capacity:
        shown, allowed = (
            f"corpus of {corpus.capacity:,} slots",
            f"capacity={capacity} was asked for",
        )
        remedy = "return at most so many slots"
        raise check.fail(_result(owner, method), check.Shown(shown), allowed, remedy)
    found = corpus.static_size
    if rows is not None and found is not None and found != rows:
        shown, allowed = f"corpus of {counted(found, 'row')}", f"size={rows} was asked for"
        remedy = "return so many rows, e.g. Rows.of_rows(rows, size)"
        raise check.fail(_result(owner, method), check.Shown(shown), allowed, remedy)


def marked(corpus: AbstractCorpus, size: Size, capacity: int) -> AbstractCorpus:
    """Return rows with NaN for weights if more were asked for than there are slots.

    Counts and moments have no slots and hold every row.

    Args:
      corpus: the rows.
      size: number of rows asked for, traced.
      capacity: number of slots.
    """
    if not isinstance(corpus, Samples):
        return corpus
    return corpus.with_rows(
        corpus.rows, jnp.where(jnp.asarray(size) <= capacity, corpus.full_weights(), jnp.nan)
    )


def worst_status(
    family: Any,
    before: Array | None,
    fitted: Array | None,
    corpus: AbstractCorpus,
    undefined: Array | None = None,
) -> Array | None:
    """Return the status of a generation: that of its fit, DEGENERATE for rows that are `marked`.

    Rows whose selection is undefined, as some score is NaN, have status NON_FINITE.

    Args:
      family: of a chain.
      before: status of the generation before; None for a chain that cannot fail.
      fitted: status of the fit, see `check_fit`.
      corpus: of a policy's `next`.
      undefined: whether a user's function gave the selection no number; None if there is none.

    Returns:
      An int32 scalar, or None for a chain that cannot fail.
    """
    if before is None:
        if fitted is not None:
            allowed = "in generation 0 it was the number 0, which stands for a fit that cannot fail"
            name, shown = f"status of {type(family).__name__}.fit", check.Shown(describe(fitted))
            raise check.fail(name, shown, allowed, "return jnp.int32(0) there")
        return None
    status = jnp.int32(Status.OK) if fitted is None else fitted
    if undefined is not None:
        status = jnp.where(undefined, jnp.int32(Status.NON_FINITE), status)
    if not isinstance(corpus, Samples) or corpus.weights is None:
        return status
    return jnp.where(jnp.any(jnp.isnan(corpus.weights)), jnp.int32(Status.DEGENERATE), status)


def check_state(family: Any, policy: AbstractPolicy, before: ChainState, now: ChainState) -> None:
    """Refuse a generation that is not built as the one before: its arrays could not replace it.

    Args:
      family: of a chain.
      policy: of the chain.
      before: the chain after the generation before.
      now: the chain after this generation.
    """
    fit, made = f"{type(family).__name__}.fit", f"{type(policy).__name__}.next"
    _check_unchanged("params", fit, before.params, now.params)
    check_arrays("params", fit, now.params)
    _check_unchanged("memory", made, before.memory, now.memory)
    check_arrays("memory", made, now.memory)
    _check_unchanged("corpus", made, before.corpus, now.corpus)
    _check_unchanged("info", fit, before.info, now.info)


def check_next(policy: AbstractPolicy, made: Any) -> tuple[AbstractCorpus, Any]:
    """Refuse a result that is no pair, or a corpus whose known size is not the policy's.

    The number is known, when a program is traced, where it is the same in every generation.

    Args:
      policy: of a chain.
      made: what its `next` returned.

    Returns:
      Corpus and memory.
    """
    if not (isinstance(made, tuple) and len(made) == 2):
        shown = check.Shown(type(made).__name__)
        remedy = "return corpus, memory; memory may be None"
        raise check.fail(_result(policy, "next"), shown, "it must be a pair", remedy)
    corpus, memory = made
    check_kind(policy, "next", corpus, AbstractCorpus)
    rows = corpus.static_size
    if rows is None or policy.can_refuse:
        return corpus, memory
    sizes = policy.total_sizes
    sizes = {sizes} if isinstance(sizes, int) else set(sizes)
    if rows not in sizes:
        shown = check.Shown(f"corpus of {counted(rows, 'row')}")
        listed = ", ".join(f"{size:,}" for size in sorted(sizes)[:3])
        allowed = f"the policy's sizes are {listed}{', ...' if len(sizes) > 3 else ''}"
        remedy = "return size(generation) rows, or let `total_sizes` say how many there are"
        raise check.fail(_result(policy, "next"), shown, allowed, remedy)
    return corpus, memory


def check_fit(family: Any, fit: Any) -> tuple[Fit, Array | None]:
    """Refuse a result that is no fit, has another status, or facts that cannot be recorded.

    Args:
      family: of a chain.
      fit: what its `fit` returned.

    Returns:
      The fit, with arrays as `info`, and its status as an int32 scalar; None stands for the
      number 0 of fits that cannot fail.
    """
    check_kind(family, "fit", fit, Fit)
    info = check_variables(family, "fit", fit.info, "info of ")
    return fit._replace(info=info), _status(family, fit.status)


def _status(family: Any, given: Any) -> Int[Array, ""] | None:
    """Return the status of a fit as an array; None for the number 0 of fits that cannot fail."""
    dtype = getattr(given, "dtype", None)
    if type(given) in (int, Status) and given in list(Status):
        return None if given == Status.OK else jnp.int32(given)
    if dtype is not None and jnp.shape(given) == () and jnp.issubdtype(dtype, jnp.integer):
        return jnp.asarray(given, jnp.int32)
    name, shown = f"status of {type(family).__name__}.fit", check.Shown(repr(given)[:60])
    allowed = "it must be a Status, or an int32 scalar of such codes"
    raise check.fail(name, shown, allowed, "return Fit(params, Status.OK), for example")


def check_variables(owner: Any, method: str, values: Any, label: str = "") -> dict[str, Array]:
    """Refuse variables that cannot be recorded: their names, or values that are no numbers.

    Args:
      owner: the family.
      method: name of the method that returned them.
      values: as returned.
      label: what they are of the result, if they are not all of it.

    Returns:
      Arrays by name.
    """
    result = f"{label}{_result(owner, method)}"
    if not isinstance(values, Mapping):
        shown = check.Shown(type(values).__name__)
        allowed = "it must be an instance of Mapping"
        raise check.fail(result, shown, allowed, "return such an object")
    found = {}
    for name, value in values.items():
        check_name(f"variable in {result}", name, "choose another name")
        if name in RESERVED:
            allowed = "a variable or coordinate of every run has this name"
            raise check.fail(f"variable in {result}", name, allowed, "choose another name")
        label = f"variable {name!r} in {result}"
        array = check.convertible(label, value, _RECORDABLE)
        if not _is_recordable(array.dtype):
            raise check.fail(label, check.Shown(describe(value)), _RECORDABLE, "return one")
        found[name] = array
    return found


def _is_recordable(dtype: Any) -> bool:
    return any(jnp.issubdtype(dtype, kind) for kind in (jnp.floating, jnp.integer, jnp.bool_))


def check_arrays(part: str, method: str, tree: Any) -> None:
    """Refuse a part of a chain that holds anything but arrays.

    Args:
      part: what it is of the chain: "params" or "memory".
      method: of whose result it is, with the class.
      tree: the part.
    """
    for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
        if not _is_array(leaf):
            name, shown = f"{part}{jax.tree_util.keystr(path)} of {method}", type(leaf).__name__
            remedy = "return a pytree of arrays, and keep settings in fields of the class"
            raise check.fail(name, check.Shown(shown), "it must be an array", remedy)
        check.in_range(f"{part}{jax.tree_util.keystr(path)} of {method}", leaf)


def _check_unchanged(part: str, method: str, before: Any, now: Any) -> None:
    """Refuse a part of a chain that is not built as in the generation before.

    Args:
      part: what it is of the chain: "params", "memory", "corpus" or "info".
      method: of whose result it is, with the class.
      before: the part after the generation before.
      now: the part after this generation.
    """
    if jax.tree.structure(before) == jax.tree.structure(now):
        leaves = zip(jax.tree_util.tree_leaves_with_path(before), jax.tree.leaves(now), strict=True)
        changed = [(path, old, new) for (path, old), new in leaves if _shape(old) != _shape(new)]
        if not changed:
            return
        path, before, now = changed[0]
        part = f"{part}{jax.tree_util.keystr(path)}"
    allowed = f"it was {describe(before)} in the generation before"
    remedy = "keep structure, shapes and dtypes in every generation"
    name, shown = f"{part} of {method}", check.Shown(describe(now))
    raise ChangedShapeError(*check.fail(name, shown, allowed, remedy).args)


def describe(tree: Any) -> str:
    """Return the structure of a pytree, with shape and dtype for each array.

    Args:
      tree: of arrays, in part or in full.

    Returns:
      A text such as "(float32[], int32[3])", cut if it is long.
    """
    text = repr(jax.tree.map(lambda leaf: check.Shown(_shape(leaf)), tree))
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 4]} ..."


def _shape(leaf: Any) -> str:
    """Return dtype and shape of an array or a number, for example "float32[3]"."""
    if not _is_array(leaf):
        return type(leaf).__name__
    dtype = leaf.dtype if hasattr(leaf, "dtype") else jnp.result_type(leaf)
    return f"{dtype}[{','.join(map(str, np.shape(leaf)))}]"


def _is_array(leaf: Any) -> bool:
    return hasattr(leaf, "dtype") or isinstance(leaf, (bool, int, float, complex))


def _known(number: Any) -> int | None:
    """Return an integer that is known when a program is traced, else None."""
    if isinstance(number, (bool, Tracer)):
        return None
    try:
        return operator.index(number)
    except TypeError:
        return None


def _result(owner: Any, method: str) -> str:
    return f"result of {type(owner).__name__}.{method}"
