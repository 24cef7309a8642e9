"""Simulate a chain at every point of a grid of settings."""

import dataclasses
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from collapse_jax.core.chain import Chain
from collapse_jax.engine.check_only import end_if_checking, end_if_collecting, is_checking
from collapse_jax.engine.request import Request
from collapse_jax.engine.run_spec import make_run_spec
from collapse_jax.engine.simulate import simulate
from collapse_jax.random.threefry import key_words
from collapse_jax.results.grid import Grid
from collapse_jax.results.provenance import describe
from collapse_jax.results.records import Records, check_complete
from collapse_jax.store.files import StoreError
from collapse_jax.store.store import Store
from collapse_jax.utils import check
from collapse_jax.utils.counted import counted
from collapse_jax.utils.fork import check_fork
from collapse_jax.utils.jax_settings import own_settings
from collapse_jax.utils.progress import Progress


def sweep(
    chain: Chain,
    axes: Mapping[str, Sequence[Any]],
    *,
    earlier: Records | None = None,
    progress: bool = False,
    store: str | Path | Store | None = None,
    **arguments: Any,
) -> Records:
    """Simulate a chain at every point of a grid; the axes become dimensions.

    >>> import collapse_jax as cj
    >>> chain = cj.Chain(cj.Gaussian(1), cj.Normal(0.0, 1.0), cj.Mixing(100))
    >>> axes = {"policy.num_samples": [10, 100], "policy.gamma": [0.0, 0.1, 0.2]}
    >>> records = cj.sweep(chain, axes, key=0, num_chains=8, num_generations=3)
    >>> records.variables["log_std"].dims
    ('generation', 'chain', 'num_samples', 'gamma')

    Points that differ only in numbers such as shares, biases or means share a compilation;
    sizes are part of a program. Every point uses the same random numbers, so differences
    between points are less noisy than the points.

    A point that fails, for a bad value or too little memory, does not stop the others. Such a
    point holds NaN and status -1; a warning names it, and ``records.config["failures"]`` has
    the reason.

    Args:
      chain: the process; all points share its settings except the axes.
      axes: values by path, such as "policy.gamma", "family.sampling_bias" or "policy".
      earlier: records of this sweep with failures; only the failed points are run.
      progress: whether to show points done and time left on stderr.
      store: a directory for the run of every point, below parts/; an earlier sweep in the
        directory is resumed.
      arguments: arguments of `simulate`, without state.

    Returns:
      `Records` whose last dimensions are the axes, named by the last part of their paths.

    Raises:
      ArgumentError: for a path that does not exist, an argument that `simulate` refuses at
        every point, or `earlier` records of another grid.
      StoreError: if the store cannot be used.
      RuntimeError: in a process that was forked after jax had started.
    """
    check_fork()
    check.instance("chain", chain, Chain, "it must be a Chain", "pass collapse_jax.Chain(...)")
    check.instance("progress", progress, bool, "it must be True or False", "pass a bool")
    if arguments.get("state") is not None:
        remedy = "continue single points with simulate"
        raise check.fail("state", "given", "a sweep has no state of its own", remedy)
    store = Store.of(store)
    described = describe(chain)
    if earlier is not None:
        _check_earlier(earlier, described, arguments.get("key"))
    grid = Grid(axes, earlier)
    _check_grid(chain, grid, arguments)
    incomplete: Records | None = None
    is_shown = progress and any(
        _refusal(chain, grid.values(point), arguments) is None for point in grid.points
    )
    with Progress(len(grid.points), is_shown, "points") as bar:
        for point in grid.points:
            try:
                here = with_settings(chain, grid.values(point))
                part = store and store.part("point-" + "-".join(map(str, point)))
                records = simulate(here, store=part, **arguments)
                incomplete = records if records.missing else incomplete
                grid.add(point, records)
            except StoreError:
                raise
            except Exception as error:
                grid.fail(point, error)
            bar.advance(1)
    if incomplete is not None:
        check_complete([incomplete])
    records = grid.records()
    records.config["chain"] = described  # of the first point it has the axes' values
    _warn_of(records.config["failures"])
    return records


@own_settings()
def _refusal(
    chain: Chain, values: Mapping[str, Any], arguments: Mapping[str, Any]
) -> Exception | None:
    """Return the error with which `simulate` would refuse a point; nothing is compiled."""
    try:
        make_run_spec(Request(chain=with_settings(chain, values), **arguments))
    except Exception as error:  # reported when the point is run
        return error
    return None


def _check_grid(chain: Chain, grid: Grid, arguments: Mapping[str, Any]) -> None:
    """Refuse paths that do not exist; if nothing is to run, check the points and end here.

    Raises:
      ArgumentError: naming the path, or the argument that `simulate` refuses at every point.
    """
    for path in grid.axes:
        check_path(chain, path)
    if not is_checking():
        return

    def of_first_point() -> Request:
        values = grid.values(next(iter(grid.points)))
        return Request(chain=with_settings(chain, values), **arguments)

    end_if_collecting(of_first_point)
    for point in grid.points:
        error = _refusal(chain, grid.values(point), arguments)
        if error is None:
            end_if_checking()
        else:
            grid.fail(point, error)
    grid.records()


def _warn_of(failures: Sequence[Mapping[str, Any]]) -> None:
    """Warn the caller of `sweep` of points that failed."""
    if failures:
        message = (
            f"{counted(len(failures), 'point')} of the grid failed, the first at "
            f"{failures[0]['label']} ({failures[0]['error']}); pass earlier=records to run "
            "them again"
        )
        warnings.warn(message, RuntimeWarning, stacklevel=3)


def _check_earlier(earlier: Any, described: Any, key: Any) -> None:
    """Refuse records of a sweep of another chain or key.

    Raises:
      ArgumentError: naming what differs.
    """
    remedy = "pass records that this call of sweep returned"
    check.instance("earlier", earlier, Records, "it must be Records", remedy)
    if earlier.config.get("chain") != described:
        shown = check.Shown("records of another chain")
        raise check.fail("earlier", shown, "points of one grid share their chain", remedy)
    if list(key_words(key)) != list(earlier.provenance.get("key", ())):
        shown = check.Shown("records of another key")
        raise check.fail("earlier", shown, "points of one grid share their key", remedy)


def with_settings(config: Any, values: Mapping[str, Any]) -> Any:
    """Return a copy of nested configs with fields changed and checked again.

    Paths into the same config are changed together, so that shares may be exchanged. A chain
    makes its own choices, such as the corpus, again.

    Args:
      config: a chain, or a config within a chain.
      values: new values by path of the field.

    Raises:
      ArgumentError: if a config refuses the new values.
    """
    fields = {field.name: getattr(config, field.name) for field in _settings(config)}
    if isinstance(config, Chain):
        fields = config.given
    fields |= {path: value for path, value in values.items() if "." not in path}
    nested: dict[str, dict[str, Any]] = {}
    for path, value in values.items():
        head, _, rest = path.partition(".")
        if rest:
            nested.setdefault(head, {})[rest] = value
    for head, changes in nested.items():
        fields[head] = with_settings(fields[head], changes)
    return type(config)(**fields)


def _settings(config: Any) -> list[dataclasses.Field]:
    return [field for field in dataclasses.fields(config) if field.init]


def check_path(config: Any, path: str, name: str = "path in axes") -> None:
    """Check that every part of a path is a setting."""
    done = type(config).__name__
    for part in path.split("."):
        names = [field.name for field in _settings(config)]
        if part not in names:
            allowed = f"{done} has no setting {part!r}, only {', '.join(names)}"
            raise check.fail(name, path, allowed, "name one of these")
        config, done = getattr(config, part), f"{done}.{part}"
        if not dataclasses.is_dataclass(config):
            break
