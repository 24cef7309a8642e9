"""Measure the errors of Gaussian models, in one dimension and in several."""

from typing import Any

from collapse_jax.core.metric import Metric
from collapse_jax.core.source import AbstractSource
from collapse_jax.experiments.sources import make_rows
from collapse_jax.results.setting import Setting
from collapse_jax.sources import Normal
from collapse_jax.utils import check

NORMAL = "normal"
_READS = ("params", "source")
_RELATIVE = "units of the truth's std"


def _mean_error(key, family, params, corpus, source, generation0):
    return abs(params.mean[0] - source.truth.mean[0])


def _std_error(key, family, params, corpus, source, generation0):
    import jax.numpy as jnp

    return abs(jnp.exp(params.log_scale[0]) - jnp.exp(source.truth.log_scale[0]))


mean_error = Metric(
    _mean_error,
    "mean_error",
    unit="data units",
    reads=_READS,
    long_name="|mu_hat - mu|",
    is_relative=True,
)
std_error = Metric(
    _std_error, "std_error", unit="data units", reads=_READS, long_name="|sigma_hat - sigma|"
)


def _log_spreads(log_scale: Any, factor: Any) -> Any:
    """Return ln of the standard deviation along each axis, [dim]."""
    import jax
    import jax.numpy as jnp

    logs = log_scale + jnp.log(jnp.abs(factor))  # ln 0 = -inf above the diagonal
    return jax.nn.logsumexp(2 * logs, axis=1) / 2


def _root_mean_square(errors: Any) -> Any:
    """Return the root mean square over axes; axes without spread, whose ratio is NaN, count 0."""
    import jax.numpy as jnp

    return jnp.sqrt(jnp.mean(jnp.where(jnp.isnan(errors), 0, errors) ** 2))


def _mean_errors(key, family, params, corpus, source, generation0):
    import jax.numpy as jnp

    truth = source.truth
    gap = params.mean - truth.mean
    return _root_mean_square(gap * jnp.exp(-_log_spreads(truth.log_scale, truth.factor)))


def _std_errors(key, family, params, corpus, source, generation0):
    import jax.numpy as jnp

    truth = source.truth
    spreads = _log_spreads(params.log_scale, params.factor)
    return _root_mean_square(jnp.expm1(spreads - _log_spreads(truth.log_scale, truth.factor)))


def _log_std(key, family, params, corpus, source, generation0):
    import jax.numpy as jnp

    return jnp.mean(params.log_scale)


_SEVERAL = (
    Metric(
        _mean_errors,
        "mean_error",
        unit=_RELATIVE,
        reads=_READS,
        long_name="root mean square over axes of mu_hat - mu",
        is_relative=True,
    ),
    Metric(
        _std_errors,
        "std_error",
        unit=_RELATIVE,
        reads=_READS,
        long_name="root mean square over axes of sigma_hat - sigma",
    ),
    Metric(
        _log_std,
        "log_std",
        reads=("params",),
        long_name="ln of the determinant of the fitted covariance, divided by 2 dim",
    ),
)


def error_metrics(dim: int) -> tuple[Metric, ...]:
    """Return the metrics `mean_error` and `std_error`, and `log_std` where no family has it.

    In several dimensions errors are root mean squares over axes, in units of the truth's standard
    deviations, and `log_std` is ln of the determinant of the covariance, divided by 2 dim.

    Args:
      dim: length of a row.
    """
    return (mean_error, std_error) if dim == 1 else _SEVERAL


def spread_metrics(dim: int) -> tuple[Metric | str, ...]:
    """Return what has to be recorded for `log_std` and the distance from the truth.

    Args:
      dim: length of a row.
    """
    return () if dim == 1 else (_SEVERAL[-1], "wasserstein2_squared")


def gaussian_source(name: str) -> tuple[AbstractSource, int]:
    """Return a source of rows for Gaussian chains, and the length of its rows.

    Args:
      name: normal, or rows of a file.

    Raises:
      ArgumentError: for another name, or a file that cannot be read.
    """
    source = make_rows(name, {NORMAL: Normal(0.0, 1.0)}, 1)
    assert source.row_dim is not None
    return source, source.row_dim


def check_rows(name: str, size: int, dim: int) -> None:
    """Refuse corpora of so few rows that their covariance is singular.

    Args:
      name: of the argument that is the size.
      size: rows of a corpus.
      dim: length of a row.

    Raises:
      ArgumentError: naming the least size.
    """
    if size <= dim:
        allowed = f"rows of {dim} numbers need at least {dim + 1} for a covariance"
        raise check.fail(name, size, allowed, f"pass {dim + 1} or more")


def several_axes(setting: Setting) -> list[str]:
    """Return the sentence about rows of several numbers; nothing for numbers.

    Args:
      setting: of Gaussian chains.
    """
    dim = setting.family.get("dim", 1)
    if dim == 1:
        return []
    return [
        f"Rows have {dim} numbers: ln sigma is ln of the determinant of the covariance, divided by "
        f"{2 * dim}, and errors are root mean squares over axes, in units of the truth's std."
    ]
