"""Compare simulated means with exact expectations."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from collapse_jax.results.agreement import ChainMean, chains_needed, judge, threshold
from collapse_jax.results.records import Records
from collapse_jax.utils import check
from collapse_jax.utils.html_table import html_table
from collapse_jax.utils.status import FROZEN, is_frozen

_FEW = 6  # generations that are compared by default, so that the table stays short
_ROUNDING = 1e-6  # relative error of the statistics of reduced records
_FALSE_ALARM = 1e-6  # rate of `threshold`, which the chains must suffice to exceed
_DIGITS = 6  # significant digits of the table, more far from zero
_ALL_DIGITS = 17  # tell every two numbers of float64 apart


class Row(NamedTuple):
    """One quantity in one generation.

    Attributes:
      quantity: name of the variable, NAME_variance for its variance over chains, with [index]
        for an entry of an array.
      generation: g.
      simulated: mean over the chains that have a value.
      low: lower end of the 95 % interval of the simulated mean, NaN if unknown.
      high: upper end of the interval.
      exact: the expectation.
      standardized: difference from the expectation in standard errors; NaN if not tested.
      num_chains: number of chains that have a value.
      note: the reason why nothing was tested, or "".
      most: number that the standardized difference cannot exceed with so many chains.
    """

    quantity: str
    generation: int
    simulated: float
    low: float
    high: float
    exact: float
    standardized: float
    num_chains: int
    note: str
    most: float = math.inf

    def words(self) -> tuple[str, str, str]:
        """Return simulated mean, interval and expectation with digits that tell them apart."""
        gaps = [self.high - self.low, abs(self.simulated - self.exact)]
        gap = next((gap for gap in gaps if 0 < gap < math.inf), 0.0)
        size = max(abs(self.simulated), abs(self.exact))
        digits = _DIGITS
        if gap and 0 < size < math.inf:
            digits = max(_DIGITS, min(_ALL_DIGITS, math.ceil(math.log10(size / gap)) + 3))
        low, simulated, high, exact = (
            f"{value:.{digits}g}" for value in (self.low, self.simulated, self.high, self.exact)
        )
        return simulated, "-" if math.isnan(self.low) else f"{low} .. {high}", exact


_TITLES = (
    "quantity",
    "generation",
    "chains",
    "simulated",
    "95 % interval",
    "exact",
    "standardized",
)


class TheoryComparison(tuple[Row, ...]):
    """Rows of a comparison, printed as a table."""

    __slots__ = ()

    @property
    def tested(self) -> "TheoryComparison":
        """Return the rows with a standardized difference."""
        return TheoryComparison(row for row in self if not math.isnan(row.standardized))

    @property
    def largest(self) -> float:
        """Return the largest standardized difference, by absolute value.

        NaN, which is below no number, if nothing was tested.
        """
        return max((abs(row.standardized) for row in self.tested), default=math.nan)

    def threshold(self, false_alarm: float = _FALSE_ALARM) -> float:
        """Return the number that `largest` exceeds by chance with a given probability at most.

        Args:
          false_alarm: the probability, in (0, 1].

        Returns:
          sqrt(2 ln(2 m / false_alarm)) for m tested rows.

        Raises:
          ArgumentError: for a probability outside (0, 1], or so small that no tested row has
            chains enough to exceed the number.
        """
        remedy = "pass a probability such as false_alarm=1e-6"
        rate = check.number("false_alarm", false_alarm, 0, 1, remedy, open_low=True)
        tested = self.tested
        limit = threshold(len(tested), rate)
        best = max(tested, key=lambda row: row.most, default=None)
        if best is not None and best.most <= limit:
            allowed = f"{best.num_chains:,} chains cannot differ by {limit:.3g} standard errors"
            remedy = f"simulate {chains_needed(best.num_chains, best.most, limit):,} chains"
            raise check.fail("false_alarm", false_alarm, allowed, f"{remedy}, or pass 1e-6")
        return limit

    def _cells(self) -> list[tuple[str, ...]]:
        """Return the table, with its header first."""
        cells = [
            (
                row.quantity,
                f"{row.generation:,}",
                f"{row.num_chains:,}",
                *row.words(),
                "not tested" if row.note else f"{row.standardized:+.2f}",
            )
            for row in self
        ]
        return [_TITLES, *cells]

    def _repr_html_(self) -> str:
        """Return the table for a notebook, with the notes in a last column."""
        notes = ["note", *(row.note for row in self)]
        rows = [[*cells, note] for cells, note in zip(self._cells(), notes, strict=True)]
        return html_table("Simulation and theory", rows)

    def __str__(self) -> str:
        cells = self._cells()
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        lines = [
            "  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True))
            for line in cells
        ]
        notes = ["", *(f"  ({row.note})" if row.note else "" for row in self)]
        return "\n".join(line + note for line, note in zip(lines, notes, strict=True))


def compare_with_theory(
    records: Records, generations: Sequence[int] | None = None
) -> TheoryComparison:
    """Compare simulated means and variances with `records.theory`.

    >>> import collapse_jax as cj
    >>> chain = cj.Chain(cj.Gaussian(1), cj.Normal(0.0, 1.0), cj.Replace(100))
    >>> records = cj.simulate(chain, key=0, num_chains=1000, num_generations=20)
    >>> comparison = cj.compare_with_theory(records)
    >>> comparison.largest < comparison.threshold(false_alarm=1e-6)
    True

    If simulation and theory agree, a standardized difference exceeds t in absolute value with
    probability at most 2 exp(-t^2 / 2), see `collapse_jax.results.agreement`; for rare events
    this is Chernoff's bound. Nothing is tested, and `Row.note` says so, where the chains do not
    suffice: fewer chains than could ever exceed `threshold()` (2 ln(2 m / 1e-6) for m rows, 35
    for 20), frozen chains, and laws that are too skewed for the number of chains, such as
    variances of very late generations. Reduced records say less of a law than single chains do,
    so that some of their quantities need more chains. If nothing is tested, `largest` is NaN.

    Args:
      records: records of `simulate`, reduced or not.
      generations: recorded generations; None for at most six, evenly spread.

    Returns:
      A row for every quantity that is both recorded and known.

    Raises:
      ArgumentError: if no recorded variable has a known expectation, or a generation is
        not recorded.
    """
    remedy = "pass the result of simulate, or Records.load(path)"
    check.instance("records", records, Records, "it must be Records", remedy)
    recorded = records["generation"]
    is_listed = np.iterable(generations) and not isinstance(generations, (str, bytes))
    if generations is not None and not (is_listed and len(generations)):
        allowed = "it must be a sequence of recorded generations, not empty"
        raise check.fail("generations", generations, allowed, "pass [0, 10], or None")
    if generations is None:
        indices = np.unique(np.linspace(0, len(recorded) - 1, _FEW).round().astype(int))
    else:
        missing = sorted(set(generations) - set(recorded.tolist()))
        if missing:
            allowed = f"generation {missing[0]} is not recorded"
            raise check.fail("generations", list(generations), allowed, "pass recorded ones")
        indices = np.searchsorted(recorded, np.asarray(generations))
    rows = [
        row for name in sorted(map(str, records.theory)) for row in _rows(records, name, indices)
    ]
    if not rows:
        known = ", ".join(map(str, records.theory)) or "none"
        allowed = f"no recorded variable has a known expectation (known: {known})"
        shown = check.Shown(f"Records of {', '.join(map(str, records.variables))}")
        raise check.fail("records", shown, allowed, "record a variable of the family's theory")
    limit = threshold(len(rows), _FALSE_ALARM)
    return TheoryComparison(_unless_too_few(row, limit) for row in rows)


def _unless_too_few(row: Row, limit: float) -> Row:
    """Return a row untested if its chains could not exceed the limit, however wrong they were."""
    if row.most > limit:
        return row
    needed = chains_needed(row.num_chains, row.most, limit)
    note = f"too few chains: {row.num_chains:,}, needs {needed:,}"
    return row._replace(standardized=math.nan, note=note)


def _rows(records: Records, name: str, indices: np.ndarray) -> Iterator[Row]:
    curve = records.theory[name]
    limits = curve.attrs
    bounds = (float(limits.get("valid_min", -np.inf)), float(limits.get("valid_max", np.inf)))
    variances = records.theory.get(f"{name}_variance")
    is_derived = name not in records.variables and f"{name}_mean" not in records.variables
    dtype = "float64" if is_derived else str(records.provenance.get("dtype", "float32"))
    for recorded in map(int, indices):
        sample = _sample(records, name, recorded)
        if sample is None:
            return
        for index in np.ndindex(curve.shape[1:]):
            exact = float(curve.values[(recorded, *index)])
            if math.isnan(exact):  # unknown at this point of a grid
                continue
            variance = math.nan if variances is None else variances.values[(recorded, *index)]
            origin = _origin(records, name, index)
            found = sample.at(index, origin, _rounding(records, name, index, exact))
            verdict = judge(found, exact - origin, float(variance), bounds, dtype)
            yield Row(
                f"{name}[{', '.join(map(str, index))}]" if index else name,
                int(records["generation"][recorded]),
                origin + found.mean,
                origin + verdict.low,
                origin + verdict.high,
                exact,
                verdict.standardized,
                found.num_chains,
                verdict.note,
                verdict.most,
            )


def _origin(records: Records, name: str, index: tuple[int, ...]) -> float:
    """Return what a position is precise relative to, 0 for any other quantity."""
    recorded = name if name in records.variables else f"{name}_mean"
    if recorded not in records.variables:
        return 0.0
    location = records.variables[recorded].attrs.get("location")
    dims = records.theory[name].dims[1:]
    if location is None or "dim" not in dims:
        return 0.0
    return float(np.atleast_1d(location)[index[dims.index("dim")]])


def _rounding(records: Records, name: str, index: tuple[int, ...], exact: float) -> float:
    """Return the error of a quantity that float64 makes so far from zero."""
    base = name.removesuffix("_variance")
    base = base if base in records.theory else name
    step = float(np.spacing(abs(_origin(records, base, index))))
    return step if base == name else step * (2 * math.sqrt(max(exact, 0.0)) + step)


class _Values(NamedTuple):
    """A quantity of every chain, and whether the chain is frozen, [chain, ...] each."""

    values: np.ndarray
    frozen: np.ndarray

    def at(self, index: tuple[int, ...], origin: float, rounding: float) -> ChainMean:
        """Return the mean of an entry over chains, relative to an origin."""
        frozen = self.frozen[(slice(None), *index)]
        values = np.asarray(self.values[(slice(None), *index)], np.float64) - origin
        values = np.where(frozen, np.nan, values)
        return ChainMean.of(values, int(np.sum(frozen)), rounding)


class _Statistics(NamedTuple):
    """Statistics of a quantity, [...] each."""

    mean: np.ndarray
    std: np.ndarray
    num_chains: np.ndarray
    frozen: np.ndarray

    def at(self, index: tuple[int, ...], origin: float, rounding: float) -> ChainMean:
        """Return the mean of an entry over chains, relative to an origin."""
        mean, std = float(self.mean[index]) - origin, float(self.std[index])
        number, frozen = int(self.num_chains[index]), int(self.frozen[index])
        rounding = max(_ROUNDING * abs(mean), rounding)
        return ChainMean(number, mean, std, rounding=rounding, frozen=frozen)


def _sample(records: Records, name: str, recorded: int) -> _Values | _Statistics | None:
    """Return what is recorded of a quantity in a generation; None if too little is."""
    if f"{name}_mean" in records.variables and f"{name}_std" in records.variables:
        return _statistics(records, name, recorded)
    found = _values(records, name, recorded)
    if found is None:
        return None
    base, values = found
    frozen = is_frozen(records["status"][recorded])
    return _Values(values, _broadcast(records, "status", frozen, base))


def _statistics(records: Records, name: str, recorded: int) -> _Statistics:
    """Return the statistics of reduced records."""
    base = f"{name}_mean"
    mean, std = (records[f"{name}_{part}"][recorded] for part in ("mean", "std"))
    codes = np.maximum(records["status_count"][recorded], 0)  # -1 at failed points of a grid
    frozen = np.sum(codes[list(FROZEN)], axis=0)
    frozen = _broadcast(records, "status_count", frozen, base)
    if f"{name}_count" in records.variables:
        number = np.maximum(records[f"{name}_count"][recorded], 0)
    else:  # records of version 0.2
        number = np.where(np.isnan(mean), 0, records.config["num_chains"] - frozen)
    return _Statistics(mean, std, number, frozen)


def _broadcast(records: Records, name: str, values: np.ndarray, other: str) -> np.ndarray:
    """Return values along the axes of `name`, in the shape of another variable's records.

    Args:
      records: where both are.
      name: a variable; its axis "code" is no longer among those of `values`.
      values: the variable in one generation.
      other: a variable that has all of these axes, in the same order.
    """
    own = [dim for dim in records.variables[name].dims if dim not in ("generation", "code")]
    whole = records.variables[other]
    shape = [whole.sizes[dim] if dim in own else 1 for dim in whole.dims[1:]]
    return np.broadcast_to(values.reshape(shape), whole.shape[1:])


def _values(records: Records, name: str, recorded: int) -> tuple[str, np.ndarray] | None:
    """Return a recorded or derived quantity of every chain, [chain, ...]; None if unknown.

    The name of the variable that the quantity is recorded as or derived from comes first.
    """
    variables: Mapping[str, Any] = records.variables
    if name in variables:
        return (name, records[name][recorded]) if "chain" in variables[name].dims else None
    if name == "variance" and "log_std" in variables:
        with np.errstate(over="ignore"):
            return "log_std", np.exp(2 * np.asarray(records["log_std"][recorded], np.float64))
    base = name.removesuffix("_variance")
    if base != name and base in variables and base in records.theory:
        if "chain" not in variables[base].dims:
            return None
        gaps = np.asarray(records[base][recorded], np.float64)
        with np.errstate(invalid="ignore", over="ignore"):
            return base, (gaps - records.theory[base].values[recorded]) ** 2
    return None
