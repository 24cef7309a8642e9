"""Compare the variables of a generation with those of the first: records have one shape."""

from typing import Any

import jax
import numpy as np

from collapse_jax.utils import check


def check_repeated(first: Any, now: Any, *, first_axes: int, axes: int) -> None:
    """Refuse variables whose names, shapes or dtypes are not those of an earlier call.

    Args:
      first: arrays in nested dicts with the variable as innermost key, or buffers for arrays.
      now: arrays, the same way.
      first_axes: number of axes of `first` before those of a value.
      axes: number of axes of `now` before those of a value.

    Raises:
      ArgumentError: naming the variable.
    """
    before, after = _shapes(first, first_axes), _shapes(now, axes)
    for path in dict.fromkeys((*before, *after)):
        if before.get(path) != after.get(path):
            name = [key.key for key in path if isinstance(key, jax.tree_util.DictKey)][-1]
            shown = check.Shown(after.get(path, "nothing"))
            allowed = f"it was {before.get(path, 'nothing')} in an earlier call"
            remedy = "return one shape and one dtype always, e.g. jnp.float32(value)"
            raise check.fail(f"value of the variable {name!r}", shown, allowed, remedy)


def _shapes(tree: Any, axes: int) -> dict[Any, str]:
    return {
        path: f"{leaf.dtype}[{','.join(map(str, np.shape(leaf)[axes:]))}]"
        for path, leaf in jax.tree_util.tree_leaves_with_path(tree)
    }
