"""Rotate queries and keys by their position (Su et al. 2021, arXiv 2104.09864)."""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from collapse_jax.lm.causal_lm import Heads
from collapse_jax.utils import check

KINDS = ("default", "linear", "llama3")
"""Kinds of frequencies, by the name `rope_type` of transformers."""
_DEFAULT_THETA = 10_000.0  # of the paper, and of transformers where a config has none


@dataclasses.dataclass(frozen=True)
class RotaryScaling:
    """Change of the frequencies of a model for texts that are longer than those it was made for.

    With f a frequency in radians per position and w = 2 pi / f its wavelength:

    - "linear" divides all frequencies by `factor`;
    - "llama3" divides those with w > n / low_freq_factor, n being
      original_max_position_embeddings; leaves those with w < n / high_freq_factor; and mixes both
      between, with the share (n / w - low) / (high - low) of the unchanged frequency.

    Args:
      rope_type: "linear" or "llama3".
      factor: divisor of frequencies, dimensionless, in (0, 1e6].
      low_freq_factor: dimensionless, in (0, 1e6]; only of "llama3".
      high_freq_factor: dimensionless, above low_freq_factor; only of "llama3".
      original_max_position_embeddings: positions of the first training, >= 1; only of "llama3".

    Raises:
      ValueError: for another type, which is named, or a number out of range.

    >>> from collapse_jax.lm.rotary import RotaryScaling
    >>> RotaryScaling("linear", factor=2.0).factor
    2.0
    """

    rope_type: str
    factor: float
    low_freq_factor: float = 1.0
    high_freq_factor: float = 4.0
    original_max_position_embeddings: int = 8192

    def __post_init__(self) -> None:
        check.choice("rope_type", self.rope_type, KINDS[1:])
        for name in ("factor", "low_freq_factor", "high_freq_factor"):
            value, remedy = getattr(self, name), "use the numbers of the model's config.json"
            value = check.number(f"rope_scaling.{name}", value, 0, 1e6, remedy, open_low=True)
            object.__setattr__(self, name, value)
        if self.high_freq_factor <= self.low_freq_factor:
            allowed = f"it must be above low_freq_factor={self.low_freq_factor:g}"
            remedy = "use the numbers of the model's config.json"
            raise check.fail(
                "rope_scaling.high_freq_factor", self.high_freq_factor, allowed, remedy
            )
        name = "original_max_position_embeddings"
        check.integer(f"rope_scaling.{name}", self.original_max_position_embeddings, 1)

    @classmethod
    def of(cls, given: Any) -> "RotaryScaling | None":
        """Convert the entry `rope_scaling` of a config.json.

        Args:
          given: mapping with `rope_type` (or `type`, as older files have it) and numbers; a
            `RotaryScaling`, which is returned as it is; None or the type "default" for none.

        Returns:
          The scaling; None for unchanged frequencies.

        Raises:
          ValueError: for an unknown type, a missing factor or a number out of range.
        """
        if given is None or isinstance(given, cls):
            return given
        allowed, remedy = "it must be a mapping with a rope_type", "pass None for no scaling"
        values = dict(check.instance("rope_scaling", given, Mapping, allowed, remedy))
        kind = values.pop("type", None)
        kind = check.choice("rope_type", values.pop("rope_type", kind or "default"), KINDS)
        share = values.pop("partial_rotary_factor", 1.0)
        if share != 1.0:
            allowed = "all components of a head are rotated"
            raise check.fail("partial_rotary_factor", share, allowed, "use a model with 1.0")
        if kind == "default":
            return None
        names = {field.name for field in dataclasses.fields(cls)} - {"rope_type"}
        numbers = {name: value for name, value in values.items() if name in names}
        if "factor" not in numbers:
            remedy = "use the numbers of the model's config.json"
            raise check.fail("rope_scaling.factor", None, f"{kind} needs a factor", remedy)
        return cls(kind, **numbers)

    def as_json(self) -> dict[str, Any]:
        """Return the entry `rope_scaling` of a config.json.

        Returns:
          The type, and the numbers that the type has.
        """
        values = dataclasses.asdict(self)
        return values if self.rope_type == "llama3" else {name: values[name] for name in _LINEAR}


_LINEAR = ("rope_type", "factor")  # all that "linear" reads


def read_rotary(values: Mapping[str, Any]) -> dict[str, Any]:
    """Read base and scaling from a config.json of any version of transformers.

    Args:
      values: settings by name: `rope_parameters` of version 5, or `rope_theta` and `rope_scaling`
        of earlier ones.

    Returns:
      rope_theta, dimensionless, and rope_scaling, a `RotaryScaling` or None.

    Raises:
      ValueError: for an unknown type, which is named, or a number out of range.
    """
    given = values.get("rope_parameters") or values.get("rope_scaling") or {}
    allowed, remedy = "it must be a mapping", "use the config.json of the model"
    given = check.instance("rope_parameters", given, Mapping, allowed, remedy)
    theta = given.get("rope_theta", values.get("rope_theta"))
    scaling = RotaryScaling.of({name: one for name, one in given.items() if name != "rope_theta"})
    return {"rope_theta": _DEFAULT_THETA if theta is None else theta, "rope_scaling": scaling}


def frequencies(
    head_dim: int, theta: float, scaling: RotaryScaling | None
) -> Float[np.ndarray, " half"]:
    """Compute the angles by which one position turns the pairs of components of a head.

    The operations are those of transformers in float32, so that angles at large positions differ
    as little as possible.

    Args:
      head_dim: numbers per head, even.
      theta: base of the geometric series, dimensionless.
      scaling: change of the series; None for none.

    Returns:
      Radians per position, float32 [head_dim / 2].
    """
    exponents = np.arange(0, head_dim, 2, dtype=np.float32) / np.float32(head_dim)
    plain = np.float32(1) / np.float32(theta) ** exponents
    if scaling is None:
        return plain
    slow = plain / np.float32(scaling.factor)
    if scaling.rope_type == "linear":
        return slow
    turns = scaling.original_max_position_embeddings / (np.float32(2 * math.pi) / plain)
    low, high = scaling.low_freq_factor, scaling.high_freq_factor
    share = np.clip((turns - np.float32(low)) / np.float32(high - low), 0, 1)
    return ((1 - share) * slow + share * plain).astype(np.float32)


def rotation(
    positions: Int[Array, "batch position"], radians: Float[np.ndarray, " half"], dtype: Any
) -> tuple[Array, Array]:
    """Compute the cosines and sines of all angles, once for all blocks.

    Args:
      positions: index of each token in its text.
      radians: see `frequencies`.
      dtype: type of the activations.

    Returns:
      Two arrays [batch, position, 1, head_dim / 2], dimensionless.
    """
    angles = positions[..., None].astype(jnp.float32) * radians
    return jnp.cos(angles)[:, :, None].astype(dtype), jnp.sin(angles)[:, :, None].astype(dtype)


def rotate(x: Heads, turn: tuple[Array, Array]) -> Heads:
    """Rotate the pairs of components (i, i + head_dim / 2) of each head.

    Args:
      x: queries or keys [batch, position, head, dim], dimensionless.
      turn: see `rotation`.

    Returns:
      Rotated queries or keys, of the same shape.
    """
    cosines, sines = turn
    first, second = jnp.split(x, 2, axis=-1)
    return jnp.concatenate(
        [first * cosines - second * sines, second * cosines + first * sines], axis=-1
    )
