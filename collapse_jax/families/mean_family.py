"""Define the base of families whose maximum likelihood fit is the mean of the rows."""

import abc
from collections.abc import Mapping
from typing import Any, Self

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from collapse_jax.config import replace_fields
from collapse_jax.core.corpus import AbstractCorpus, Size, Totals
from collapse_jax.core.family import AbstractFamily, Fit
from collapse_jax.core.metric import Metric
from collapse_jax.core.policy import AbstractPolicy
from collapse_jax.core.samples import Labels, Rows
from collapse_jax.core.source import AbstractSource, CountsSource, TotalsSource
from collapse_jax.random.keys import Keys
from collapse_jax.utils import check
from collapse_jax.utils.row_sums import row_sums
from collapse_jax.utils.status import Status

_ROUNDING = 1e-6  # of the largest row: what a frame of float64 rows may lose


class AbstractMeanFamily(AbstractFamily):
    """A family of laws on numbers >= 0 that is fitted by the mean of its rows.

    Attributes:
      corpus: "moments" (number and mean of the rows, no row is drawn), "samples" or "auto".
    """

    corpus: str

    def __post_init__(self) -> None:
        name = f"{type(self).__name__}.corpus"
        check.choice(name, self.corpus, ("auto", "moments", "samples"))

    @property
    @abc.abstractmethod
    def takes_whole_numbers(self) -> bool:
        """Tell whether rows must be whole numbers."""

    @abc.abstractmethod
    def params_of(self, corpus: Totals) -> Array:
        """Return the model whose mean is that of the rows.

        Args:
          corpus: number and mean of the rows.
        """

    @abc.abstractmethod
    def draw_totals(self, keys: Keys, params: Any, size: Size) -> Totals:
        """Draw number and mean of rows of a model.

        Args:
          keys: random numbers of the generation that the rows are for.
          params: the model.
          size: number of rows, may be traced.

        Returns:
          Totals of the rows.
        """

    @abc.abstractmethod
    def draw_rows(self, keys: Keys, params: Any, size: Size, capacity: int) -> Rows:
        """Draw rows of a model, see `AbstractFamily.draw`."""

    def resolve(self, source: AbstractSource, policy: AbstractPolicy) -> Self:
        """Check the source's rows, and choose totals unless the policy needs rows."""
        check_numbers(source, type(self).__name__, self.takes_whole_numbers)
        needs_rows = policy.reuses_rows or policy.selected_by is not None
        if needs_rows and self.corpus == "moments":
            name = type(policy).__name__
            reason = "a selection reads rows" if policy.selected_by else "rows are trained on again"
            allowed = f"totals do not suffice for {name}: {reason}"
            label = f"{type(self).__name__}.corpus"
            raise check.fail(label, "moments", allowed, "use corpus='auto'")
        if self.corpus != "auto":
            return self
        return replace_fields(self, corpus="samples" if needs_rows else "moments")

    def original(
        self, keys: Keys, source: AbstractSource, size: Size, capacity: int
    ) -> AbstractCorpus:
        """Return exact totals if the source knows them."""
        if self.corpus == "samples":
            return self.summarize(source.draw(keys, size, capacity))
        if isinstance(source, TotalsSource):
            return source.draw_totals(keys, size)
        if isinstance(source, CountsSource):
            counts = source.draw_counts(keys, size).counts.astype(jnp.result_type(float))
            total = row_sums([counts * jnp.arange(len(counts), dtype=counts.dtype)])[0]
            return _totals(jnp.asarray(size, jnp.int32), total, jnp.zeros_like(total))
        return self.summarize(source.draw(keys, size, capacity))

    def summarize(self, samples: Any) -> AbstractCorpus:
        """Return the totals of rows, or the rows if the corpus holds rows; labels are numbers."""
        if isinstance(samples, Labels):
            values = samples.rows.astype(jnp.result_type(float))[:, None]
            samples = Rows(values, samples.weights, jnp.zeros(1, values.dtype), jnp.zeros(()))
        if self.takes_whole_numbers:
            rows = jnp.round(samples.absolute_rows)  # a frame may have rounded them
            origin = jnp.zeros(1, rows.dtype)
            samples = Rows(rows, samples.weights, origin, jnp.zeros((), rows.dtype))
        return samples if self.corpus == "samples" else totals_of(samples)

    def fit(self, keys: Keys, corpus: Any, previous: Any, generation0: Any) -> Fit:
        """Return the model with the mean of the rows."""
        totals = totals_of(corpus) if isinstance(corpus, Rows) else corpus
        mean = totals.relative_mean
        status = jnp.where(totals.size > 0, Status.OK, Status.DEGENERATE)
        finite = jnp.isfinite(mean) & (totals.log_scale < jnp.inf) & (mean >= 0)
        return Fit(
            self.params_of(totals),
            jnp.where(finite, status, Status.NON_FINITE).astype(jnp.int32),
        )

    def draw(
        self, keys: Keys, params: Any, size: Size, capacity: int, generation0: Any
    ) -> AbstractCorpus:
        """Draw the totals of M rows, or the rows."""
        if self.corpus == "samples":
            return self.draw_rows(keys, params, size, capacity)
        return self.draw_totals(keys, params, size)

    @property
    def optional_metrics(self) -> Mapping[str, Metric]:
        """Return the variables on request, by name."""
        return {"samples": SAMPLES}


def samples_of(key, family, params, corpus, source, generation0) -> Array:
    """Return the rows of a corpus, [slot, dim]; NaN in empty slots.

    Raises:
      ArgumentError: if the corpus holds no rows.
    """
    if not isinstance(corpus, Rows):
        allowed = f"no rows are held with corpus={family.corpus!r}"
        raise check.fail("metrics", "samples", allowed, "force them with corpus='samples'")
    return jnp.where(corpus.full_weights()[:, None] > 0, corpus.absolute_rows, jnp.nan)


SAMPLES = Metric(
    samples_of,
    "samples",
    ("slot", "dim"),
    unit="data units",
    reads=("family", "corpus"),
    long_name="rows of the corpus",
)
"""Rows of D_g, NaN in empty slots."""


def check_numbers(source: AbstractSource, family: str, whole: bool) -> None:
    """Refuse a source whose rows are no numbers >= 0, as far as they are known.

    Labels are the whole numbers that they are stored as. The rows of a `Sampler` are not known.

    Args:
      source: of a chain.
      family: name of the family.
      whole: whether rows must be whole numbers.

    Raises:
      ArgumentError: naming what the rows are.
    """
    from collapse_jax.sources import Normal, NormalMixture
    from collapse_jax.sources.empirical import EmpiricalRows
    from collapse_jax.sources.rate_laws import ExponentialLaw

    kind = "whole numbers >= 0" if whole else "numbers >= 0"
    own = "PoissonLaw(rate)" if whole else "ExponentialLaw(rate)"
    remedy, name = f"pass {own}, or Empirical of such numbers", type(source).__name__
    if isinstance(source, CountsSource):
        return
    if source.row_dim != 1:
        rows = "are no numbers" if source.row_dim is None else f"have length {source.row_dim}"
        allowed = f"its rows {rows}, and {family} needs {kind}"
        raise check.fail("Chain.source", name, allowed, remedy)
    if isinstance(source, (Normal, NormalMixture)) or (
        whole and isinstance(source, ExponentialLaw)
    ):
        allowed = f"its rows are real numbers, and {family} needs {kind}"
        raise check.fail("Chain.source", name, allowed, remedy)
    if isinstance(source, EmpiricalRows):
        rows = source.centre + np.exp(source.top) * np.asarray(source.rows)
        slack = _ROUNDING * max(float(np.max(np.abs(rows))), 1e-300)
        bad = rows < -slack
        if whole:
            bad |= np.abs(rows - np.round(rows)) > min(slack, 0.25)
        if np.any(bad):
            shown = check.Shown(f"a row of {float(rows[bad][0]):.6g}")
            raise check.fail("Empirical.data", shown, f"{family} needs {kind}", remedy)


def totals_of(samples: Rows) -> Totals:
    """Return number and mean of weighted rows of length 1, in their own frame.

    Args:
      samples: rows with weights, [slot, 1].
    """
    unit = jnp.exp(-samples.log_scale)
    rows = samples.rows[:, 0] + samples.location[0] * unit
    weights = samples.full_weights()
    total = row_sums([jnp.where(weights > 0, weights * rows, 0)])[0]
    return _totals(samples.size, total, samples.log_scale)


def _totals(size: Any, total: Float[Array, ""], log_scale: Float[Array, ""]) -> Totals:
    rows = jnp.maximum(jnp.asarray(size), 1).astype(total.dtype)
    return Totals(size, total / rows, jnp.asarray(log_scale, total.dtype))
