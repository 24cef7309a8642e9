"""Whether a run directory holds the run that is asked for."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from collapse_jax.store.files import StoreError

_MACHINE = ("key", "dtype", "backend", "versions.jax", "versions.jaxlib")
_GROWS = ("num_chains", "num_generations")
_SHOWN = 3
_LONGEST = 60  # characters of a value


def check_same(
    path: Path, config: Mapping[str, Any], provenance: Mapping[str, Any], *, may_grow: bool
) -> dict[str, Any] | None:
    """Compare what decides every bit of a run with what lies in a run directory.

    Args:
      path: the run directory.
      config: of the run that is asked for.
      provenance: of this process.
      may_grow: whether there may be more chains or generations than before.

    Returns:
      The stored config, if there are.

    Raises:
      StoreError: naming what differs.
    """
    stored = json.loads((path / "config.json").read_text())
    made = json.loads((path / "provenance.json").read_text())
    config, provenance = json.loads(json.dumps([config, provenance]))
    differ = dict(_differences({name: stored.get(name) for name in config}, config))
    machine = dict(_differences(made, provenance))
    differ |= {name: machine[name] for name in _MACHINE if name in machine}
    grows = {name: pair for name, pair in differ.items() if name in _GROWS and pair[0] < pair[1]}
    if not differ or (may_grow and grows.keys() == differ.keys()):
        return stored if grows else None
    listed = [
        f"{name} is {_shown(one)} there and {_shown(two)} now"
        for name, (one, two) in differ.items()
    ]
    more = "" if len(listed) <= _SHOWN else f" and {len(listed) - _SHOWN} more"
    remedy = "go on with what it was made with, or pass another path"
    if grows.keys() == differ.keys():
        remedy = "use `collapse extend`, or Store(path, extend=True), for more of the same run"
    raise StoreError(
        f"store={str(path)!r} is not allowed: it holds another run: "
        f"{', '.join(listed[:_SHOWN])}{more}; {remedy}"
    )


def _differences(one: Any, other: Any, name: str = "") -> Iterator[tuple[str, tuple[Any, Any]]]:
    """Where two JSON values differ: dotted name, and both."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        same = one.get("type") == other.get("type")
        for key in [*one, *(other.keys() - one.keys())] if same else ["type"]:
            dotted = f"{name}.{key}" if name else key
            yield from _differences(one.get(key), other.get(key), dotted)
    elif one != other:
        yield name, (one, other)


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
