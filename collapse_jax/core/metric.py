"""Names, axes and units of what is recorded, expectations, and variables that users add."""

import dataclasses
import inspect
import math
import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Self

import numpy as np
from jaxtyping import Array

from collapse_jax.core.state import Needs
from collapse_jax.utils import check
from collapse_jax.utils.equal import different_fields, equal_fields

ARGUMENTS = ("key", "family", "params", "corpus", "source", "generation0")
"""Arguments that a metric may read, in the order in which its function gets them."""

RESERVED = frozenset(
    "status acceptance generation chain first_event quantile code state survival".split()
)
"""Names of variables and coordinates of every run."""

RENAME = "pass Metric(function, name=...) with another name"

_LONGEST = 100  # characters of a name: variables are folders of a run directory
_NAME = re.compile(r"[^/\\\x00-\x1f\x7f]+")
_FILES = ("zarr.json",)  # the folder of the records has a file of this name

_ALIASES = {"first": "generation0"}  # the argument's name in version 0.1


def check_name(label: str, name: Any, remedy: str) -> None:
    """Refuse a name of a variable that is no string, or that no folder can have.

    Args:
      label: what has the name, for the message.
      name: of the variable.
      remedy: a clause that says what to do.

    Raises:
      ArgumentError: for a name of another class, or one that is empty, too long or has a slash.
    """
    if not isinstance(name, str) or not name:
        allowed = "a variable needs a name, a string that is not empty"
        raise check.fail(label, name, allowed, remedy)
    if name in _FILES:
        raise check.fail(label, name, "every run has a file of this name", remedy)
    if name.startswith("."):
        raise check.fail(label, name, "a name does not begin with a dot", remedy)
    if len(name) > _LONGEST or not _NAME.fullmatch(name):
        allowed = f"a name has at most {_LONGEST} characters, no slash and no control character"
        raise check.fail(label, name, allowed, remedy)


def _check_signature(name: str, function: Callable[..., Any]) -> None:
    """Refuse a class, and a function that cannot be called with six positional arguments."""
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # some functions written in C have none
        return
    remedy = f"define it with the arguments ({', '.join(ARGUMENTS)})"
    if isinstance(function, type):
        shown = check.Shown(function.__name__)
        raise check.fail("Metric.function", shown, "it must be a function, not a class", remedy)
    try:
        signature.bind(*ARGUMENTS)
    except TypeError:
        shown = check.Shown(f"{name}({', '.join(signature.parameters)})")
        allowed = f"it gets {len(ARGUMENTS)} positional arguments"
        raise check.fail("Metric.function", shown, allowed, remedy) from None


class Quantity(NamedTuple):
    """Name, unit and axes of a recorded variable.

    Attributes:
      long_name: a phrase for tables and axes of figures.
      unit: "1" if dimensionless.
      dims: names of its axes after generation and chain.

    >>> import collapse_jax as cj
    >>> cj.Gaussian(1).quantities["mean"] == cj.Quantity("fitted mean", "data units", ("dim",))
    True
    """

    long_name: str
    unit: str = "1"
    dims: tuple[str, ...] = ()


class Curve(NamedTuple):
    """An exact expectation in generations 0 .. G.

    Attributes:
      values: [G + 1, ...].
      dims: names of the axes after generation.
      bounds: an interval that holds the variable of every chain; rare events and skewed laws
        can then be compared with the expectation.

    >>> import numpy as np
    >>> import collapse_jax as cj
    >>> cj.Curve(np.zeros((21, 2)), dims=("dim",)).dims
    ('dim',)
    """

    values: np.ndarray
    dims: tuple[str, ...] = ()
    bounds: tuple[float, float] = (-math.inf, math.inf)

    __eq__ = equal_fields
    __ne__ = different_fields


@dataclasses.dataclass(frozen=True)
class Metric:
    """A variable that is recorded on request.

    `function` always gets six positional arguments, (key, family, params, corpus, source,
    generation0), each None unless `reads` names it; it handles one chain and returns an array.
    A chain holds its corpus, or model 0 and D_0, only for metrics that read them. A plain
    function among the metrics of `simulate` is a metric of its own name that reads everything.

    Values are recorded in the type that jax computes in, float32 unless JAX_ENABLE_X64 is set:
    absolute values below 1.2e-38 become 0, those above 3.4e38 infinite. Return the logarithm of
    what shrinks or grows geometrically, `params.log_scale` instead of its exponential.

    Args:
      function: computes the value, under `jax.jit`.
      name: of the variable; None for the function's `__name__`.
      dims: names of the value's axes, () for a scalar.
      unit: of the value, "1" if dimensionless.
      reads: among "key" (of this chain and generation, for random numbers), "family",
        "params", "corpus" (D_g), "source" and "generation0" (model 0 and D_0).
      long_name: a phrase for tables and figures; None for the name.
      is_relative: whether params, corpora and source are given relative to the source's
        `location`, for differences of positions: far from zero float32 loses them.

    Raises:
      ValueError: for a function that cannot be called with six positional arguments or has no
        name, or an unknown entry of `reads`.

    >>> import collapse_jax as cj
    >>> std = cj.Metric(
    ...     lambda key, family, params, corpus, source, generation0: params.log_scale[0],
    ...     name="log_scale",
    ... )
    >>> chain = cj.Chain(cj.Gaussian(1), cj.Normal(0.0, 1.0), cj.Replace(100))
    >>> run = cj.simulate(chain, key=0, num_chains=8, num_generations=2, metrics=[std])
    >>> bool((run["log_scale"] == run["log_std"]).all())
    True
    """

    function: Callable[..., Any]
    name: str | None = None
    dims: Sequence[str] = ()
    unit: str = "1"
    reads: Sequence[str] = ("params",)
    long_name: str | None = None
    is_relative: bool = False

    def __post_init__(self) -> None:
        if not callable(self.function):
            remedy = "pass a function of (key, family, params, corpus, source, generation0)"
            raise check.fail("Metric.function", self.function, "it must be callable", remedy)
        name = getattr(self.function, "__name__", None) if self.name is None else self.name
        unnamed = 'pass Metric(function, name="spread")'
        check_name("Metric.name", name, RENAME if name else unnamed)
        _check_signature(str(name), self.function)
        for field in ("dims", "reads"):
            value = getattr(self, field)
            is_listed = isinstance(value, Sequence) and not isinstance(value, str)
            if not (is_listed and all(isinstance(item, str) for item in value)):
                remedy = 'pass a tuple such as ("dim",)'
                raise check.fail(f"Metric.{field}", value, "it must be a tuple of names", remedy)
        reads = tuple(_ALIASES.get(item, item) for item in self.reads)
        for item in reads:
            check.choice("Metric.reads", item, ARGUMENTS)
        check.instance("Metric.unit", self.unit, str, "it must be a string", 'pass unit="1"')
        values = {"name": name, "dims": tuple(self.dims), "reads": reads}
        for field, value in (values | {"long_name": self.long_name or name}).items():
            object.__setattr__(self, field, value)

    @classmethod
    def of(cls, value: Any) -> Self:
        """Return a metric as it is, and a plain function as a metric that reads everything.

        Args:
          value: a `Metric`, or a function of one chain with a `__name__`.

        Returns:
          A metric.

        Raises:
          ValueError: if it is neither.
        """
        return value if isinstance(value, Metric) else cls(value, reads=ARGUMENTS)  # pyright: ignore

    @property
    def quantity(self) -> Quantity:
        """Return name, unit and axes of the variable."""
        return Quantity(str(self.long_name), self.unit, tuple(self.dims))

    @property
    def needs(self) -> Needs:
        """Return what a chain must hold for it."""
        generation0 = "generation0" in self.reads
        return Needs("corpus" in self.reads, generation0, generation0)

    def __call__(
        self, key: Any, family: Any, params: Any, corpus: Any, source: Any, generation0: Any
    ) -> Array:
        """Return the value for one chain; the function gets None for what it does not read."""
        given = (key, family, params, corpus, source, generation0)
        pairs = zip(ARGUMENTS, given, strict=True)
        try:
            value = self.function(*(one if name in self.reads else None for name, one in pairs))
        except Exception as error:
            if "NoneType" not in str(error) or not isinstance(error, (AttributeError, TypeError)):
                error.add_note(
                    f"in the metric {self.name!r}; with jax.disable_jit() it runs as plain Python, "
                    "on arrays with values"
                )
                raise
            unread = ", ".join(name for name in ARGUMENTS if name not in self.reads)
            allowed = f"the metric {self.name!r} uses what it does not read ({error})"
            remedy = f"add what it uses of {unread} to reads"
            raise check.fail("Metric.reads", tuple(self.reads), allowed, remedy) from error
        label = f"result of the metric {self.name!r}"
        return check.convertible(label, value, "it must be a number or an array of numbers")
