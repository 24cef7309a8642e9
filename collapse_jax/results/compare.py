"""Compare simulated means with exact expectations."""

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from collapse_jax.results.records import Records
from collapse_jax.utils import check

_FEW = 6  # generations that are compared by default, so that the table stays short


class Row(NamedTuple):
    """One quantity in one generation.

    Attributes:
      quantity: name of the variable, NAME_variance for its variance over chains, with [index]
        for an entry of an array.
      generation: g.
      simulated: mean over the chains that have a value.
      low: lower end of the 95 % interval of the simulated mean.
      high: upper end of the interval.
      exact: the expectation.
      standardized: (simulated - exact) / standard error.
    """

    quantity: str
    generation: int
    simulated: float
    low: float
    high: float
    exact: float
    standardized: float


class TheoryComparison(tuple[Row, ...]):
    """Rows of a comparison, printed as a table."""

    __slots__ = ()

    @property
    def largest(self) -> float:
        """Return the largest standardized difference, by absolute value."""
        return max(abs(row.standardized) for row in self)

    def __str__(self) -> str:
        titles = ("quantity", "generation", "simulated", "95 % interval", "exact", "standardized")
        cells = [
            (
                row.quantity,
                f"{row.generation:,}",
                f"{row.simulated:.6g}",
                f"{row.low:.6g} .. {row.high:.6g}",
                f"{row.exact:.6g}",
                f"{row.standardized:+.2f}",
            )
            for row in self
        ]
        widths = [max(map(len, column)) for column in zip(titles, *cells, strict=True)]
        return "\n".join(
            "  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True))
            for line in (titles, *cells)
        )


def compare_with_theory(
    records: Records, generations: Sequence[int] | None = None
) -> TheoryComparison:
    """Compare simulated means and variances with `records.theory`.

    >>> import collapse_jax as cj
    >>> chain = cj.Chain(cj.Gaussian(1), cj.Normal(0.0, 1.0), cj.Replace(100))
    >>> records = cj.simulate(chain, key=0, num_chains=1000, num_generations=20)
    >>> cj.compare_with_theory(records).largest < 5
    True

    A standardized difference is nearly standard normal if simulation and theory agree, unless
    the quantity's law is too skewed for the number of chains, such as variances of very late
    generations and rare events. Frozen chains have no value and are left out; the comparison
    is fair only if they are few.

    Args:
      records: records of `simulate`, reduced or not.
      generations: recorded generations; None for at most six, evenly spread.

    Returns:
      A row for every quantity that is both recorded and known.

    Raises:
      ArgumentError: if no recorded variable has a known expectation, or a generation is
        not recorded.
    """
    recorded = records["generation"]
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
    return TheoryComparison(rows)


def _rows(records: Records, name: str, indices: np.ndarray) -> Iterator[Row]:
    exact = records.theory[name].values
    for recorded in indices:
        found = _mean_and_error(records, name, int(recorded))
        if found is None:
            return
        for index in np.ndindex(exact.shape[1:]):
            mean, error = (float(value[index]) for value in found)
            label = f"{name}[{', '.join(map(str, index))}]" if index else name
            expectation = float(exact[(recorded, *index)])
            gap = mean - expectation
            yield Row(
                label,
                int(records["generation"][recorded]),
                mean,
                mean - 1.96 * error,
                mean + 1.96 * error,
                expectation,
                gap / error if error > 0 else math.copysign(math.inf, gap) if gap else 0.0,
            )


def _mean_and_error(
    records: Records, name: str, recorded: int
) -> tuple[np.ndarray, np.ndarray] | None:
    """Return the mean over chains and its standard error, or None if neither is recorded."""
    number = records.config["num_chains"]
    if f"{name}_mean" in records.variables and f"{name}_std" in records.variables:
        mean, std = (records[f"{name}_{part}"][recorded] for part in ("mean", "std"))
        return np.asarray(mean), np.asarray(std) / math.sqrt(number)
    values = _values(records, name, recorded)
    if values is None:
        return None
    values = np.asarray(values)
    present = np.sum(~np.isnan(values), axis=0)
    mean = np.asarray(np.nanmean(values, axis=0, dtype=np.float64))
    # Differences finer than one chain, or than rounding, are not resolved.
    if values.dtype.kind == "f":
        least = np.finfo(np.float32).eps * np.nanmax(np.abs(values), axis=0)
    else:
        least = 1 / present
    spread = np.nanstd(values, axis=0, dtype=np.float64)
    return mean, np.maximum(spread / np.sqrt(present), least)


def _values(records: Records, name: str, recorded: int) -> np.ndarray | None:
    """Return a recorded or derived quantity of every chain, [chain, ...]; None if unknown."""
    variables = records.variables
    if name in variables:
        return records[name][recorded] if "chain" in variables[name].dims else None
    if name == "variance" and "log_std" in variables:
        return np.exp(2 * np.asarray(records["log_std"][recorded], np.float64))
    base = name.removesuffix("_variance")
    if base != name and base in variables and base in records.theory:
        gaps = np.asarray(records[base][recorded], np.float64)
        gaps = gaps - records.theory[base].values[recorded]
        return gaps**2
    return None
