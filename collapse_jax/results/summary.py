"""Summarise a run and its variables in ten lines, as text and for notebooks."""

import html
from collections.abc import Iterator, Mapping
from typing import Any

from collapse_jax.utils.counted import counted
from collapse_jax.utils.status import FROZEN, is_frozen

_MOST = 8  # variables that are listed: with more the summary would not fit ten lines
_MOST_STATUS = 10**7  # values of `status` that are read for the summary, which must be quick
_WIDTH = 110  # characters of a line: the summary has less than 1,500


def text_of(records: Any) -> str:
    """Return the summary as text, of less than 1,500 characters.

    Args:
      records: `Records`.
    """
    return "\n".join(_cut(line) for line in _lines(records))


def html_of(records: Any) -> str:
    """Return the summary as a table for notebooks.

    Args:
      records: `Records`.
    """
    title, *_ = _lines(records)
    rows = "".join(
        "<tr>" + "".join(f"<td style='text-align:left'>{html.escape(cell)}</td>" for cell in cells)
        for cells in _cells(records)
    )
    head = "".join(f"<th style='text-align:left'>{one}</th>" for one in ("", "dims", "unit", ""))
    heading, settings = html.escape(_cut(title)), html.escape(_cut(_settings(records.config)))
    return f"<p><b>{heading}</b><br>{settings}</p><table><tr>{head}</tr>{rows}</table>"


def _lines(records: Any) -> Iterator[str]:
    config = records.config
    sizes = ", ".join(f"{name} {size:,}" for name, size in records.dataset.sizes.items())
    reduced = ", reduced over chains" if config.get("reduce") else ""
    yield f"Records of {_process(config)}{reduced}"
    yield f"  settings: {_settings(config)}"
    yield f"  sizes: {sizes}"
    if records.missing:
        yield f"  missing: {counted(sum(high - low + 1 for low, high in records.missing), 'chain')}"
    if frozen := _num_frozen(records):
        yield f"  frozen: {counted(frozen, 'chain')}, which no mean over chains includes"
    cells = list(_cells(records))
    if not cells:
        return
    widths = [max(len(row[column]) for row in cells) for column in range(3)]
    for row in cells:
        padded = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=False))
        yield f"  {padded}  {row[-1]}".rstrip()


def _num_frozen(records: Any) -> int:
    """Return the number of chains that are frozen in the last generation, 0 if unknown."""
    for name in ("status", "status_count"):
        if name not in records.variables or records.variables[name].size > _MOST_STATUS:
            continue
        last = records[name][-1]
        return int(is_frozen(last).sum() if name == "status" else last[list(FROZEN)].sum())
    return 0


def _cells(records: Any) -> Iterator[tuple[str, str, str, str]]:
    """Yield name, dims, unit and long name of at most eight variables."""
    names = list(records.dataset.data_vars)
    shown = names if len(names) <= _MOST else names[: _MOST - 1]
    for name in shown:
        one = records.dataset[name]
        attributes: Mapping[str, Any] = one.attrs
        dims = f"({', '.join(map(str, one.dims))})"
        unit = str(attributes.get("units", "1"))
        yield str(name), dims, f"[{unit}]", str(attributes.get("long_name", ""))
    if len(names) > len(shown):
        yield f"... {len(names) - len(shown)} more", "", "", "see records.dataset"


def _process(config: Mapping[str, Any]) -> str:
    chain = config.get("chain")
    if not isinstance(chain, Mapping):
        return str(config.get("experiment", {}).get("name", "a study"))
    parts = [str(chain.get(part, {}).get("type", "?")) for part in ("family", "source", "policy")]
    return "{} on {} under {}".format(*parts)


def _settings(config: Mapping[str, Any]) -> str:
    """Return the settings that users most often set, as name=value, sizes of the run first."""
    chain = config.get("chain")
    found = [f"sweep over {', '.join(config['axes'])}"] if config.get("axes") else []
    for name in ("num_chains", "num_generations", "every"):
        if name in config:
            found.append(f"{name}={config[name]:,}")
    parts = chain if isinstance(chain, Mapping) else {}
    for part in ("policy", "family"):
        for name, value in parts.get(part, {}).items():
            if name != "type" and isinstance(value, int | float | str) and value is not False:
                found.append(f"{name}={value}")
    return ", ".join(found)


def _cut(line: str) -> str:
    line = " ".join(line.split("\n"))
    return line if len(line) <= _WIDTH else f"{line[: _WIDTH - 4]} ..."
