"""Write down a question: what was asked, a digest of all that decides its trials, and its code."""

import dataclasses
import functools
import hashlib
import math
import re
import sys
import types
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from collapse_jax.core.chain import Chain
from collapse_jax.planning.demand import Demand
from collapse_jax.planning.knob import Knob
from collapse_jax.random.threefry import key_words
from collapse_jax.results.provenance import describe

_PACKAGE = __name__.partition(".")[0]
_FEW = 64  # elements that an expression writes out
_ADDRESS = re.compile(r" at 0x[0-9a-f]+")
_PLAIN = (type(None), bool, int, float, complex, str, bytes)


def question_of(
    chain: Chain, demand: Demand, knob: Knob, effort: Any, key: Any, rare: Any
) -> dict[str, Any]:
    """Return what was asked, JSON-able: equal questions have equal answers.

    Args:
      chain: the process.
      demand: what is demanded.
      knob: what is varied.
      effort: confidence, precision and most chains.
      key: of the run.
      rare: which states are rare, as given.
    """
    asked = {
        "chain": describe(chain),
        "quantity": demand.name,
        "at_least" if demand.is_least else "at_most": demand.limit,
        "generations": "inf" if demand.generations == math.inf else demand.generations,
        "throughout": demand.throughout,
        "probability": demand.probability,
    }
    if demand.name == "tail_survival" and demand.weights is not None:
        names = list(rare) if np.iterable(rare) and not isinstance(rare, str) else float(rare)
        asked |= {"rare": describe(names), "states": int(np.count_nonzero(demand.weights))}
    asked |= {
        "knob": knob.path,
        "bounds": [knob.value(knob.low), knob.value(knob.high)],
        **effort._asdict(),
        "key": list(key_words(key)),
    }
    decided = (chain, knob.path, demand.metrics, demand.weights, demand.unit, demand.limit)
    return asked | {"digest": digest_of(*decided)}


def command_of(question: Mapping[str, Any], chain: Chain, quantity: Any, given: Any) -> str:
    """Return the call that repeats a plan, after `import collapse_jax as cj`.

    Args:
      question: as `question_of` returns it.
      chain: the process; one that a line cannot hold is called chain.
      quantity: as given; a function is named, and has to be defined.
      given: settings as given, which the question does not have, by name.
    """
    parts = [_code(one) for one in chain.given.values()]
    names = ("at_least", "at_most", "throughout", "probability", "knob")
    last = question["generations"]
    asked = {"quantity": quantity, "generations": math.inf if last == "inf" else last}
    asked |= {name: question[name] for name in names if name in question}
    asked |= {name: question[name] for name in ("confidence", "precision", "max_chains")}
    high, low = question["key"]
    asked |= {**given, "key": high * 2**32 + low}
    written = ", ".join(f"{name}={_code(value) or name}" for name, value in asked.items())
    process = "chain" if None in parts else f"cj.Chain({', '.join(map(str, parts))})"
    return f"cj.plan({process}, {written})"


def _code(value: Any) -> str | None:
    """Return an expression with this value; None for what a line cannot hold."""
    if isinstance(value, np.ndarray) or hasattr(value, "__array__"):
        array = np.asarray(value)
        return _code(array.tolist()) if array.size <= _FEW else None
    if isinstance(value, float):
        return repr(value) if math.isfinite(value) else f'float("{value}")'
    if isinstance(value, _PLAIN):
        return repr(value)
    if isinstance(value, (list, tuple)):
        parts = [_code(one) for one in value]
        if None in parts or len(parts) > _FEW:
            return None
        inner = ", ".join(map(str, parts))
        return f"[{inner}]" if isinstance(value, list) else f"({inner}{',' * (len(parts) == 1)})"
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        name = type(value).__name__
        if getattr(sys.modules[_PACKAGE], name, None) is not type(value):  # not public
            return None
        parts = {one.name: _code(getattr(value, one.name)) for one in _changed(value)}
        if None in parts.values():
            return None
        return f"cj.{name}({', '.join(f'{field}={part}' for field, part in parts.items())})"
    name = getattr(value, "__name__", "")
    return name if name.isidentifier() else None


def _changed(value: Any) -> list[dataclasses.Field]:
    """Return the settings of a config that differ from their defaults."""
    fields = [one for one in dataclasses.fields(value) if one.init]
    codes = {one.name: _code(getattr(value, one.name)) for one in fields}
    return [
        one
        for one in fields
        if None in (codes[one.name], _default(one)) or _default(one) != codes[one.name]
    ]


def _default(field: dataclasses.Field) -> str | None:
    """Return the default of a setting as an expression."""
    return None if field.default is dataclasses.MISSING else _code(field.default)


def digest_of(*values: Any) -> str:
    """Return a digest of values: configs, arrays, and functions with all that they refer to.

    Args:
      values: anything; objects of unknown classes count by their attributes.

    Returns:
      64 hexadecimal digits.
    """
    sums = hashlib.sha256()
    for part in _parts(values, {}):
        sums.update(part + b"\0")
    return sums.hexdigest()


def _parts(value: Any, seen: dict[int, Any]) -> Iterator[bytes]:
    """Yield the bytes of a value; objects and functions are followed once."""
    if isinstance(value, _PLAIN):
        yield repr(value).encode()
        return
    yield type(value).__qualname__.encode()
    if isinstance(value, np.ndarray) or hasattr(value, "__array__"):
        array = np.ascontiguousarray(value)
        yield f"{array.shape} {array.dtype}".encode() + array.tobytes()
    elif isinstance(value, Mapping):
        yield from _parts([item for pair in value.items() for item in pair], seen)
    elif isinstance(value, (list, tuple)):
        for one in value:
            yield from _parts(one, seen)
    elif isinstance(value, (set, frozenset)):
        yield repr(sorted(map(repr, value))).encode()
    elif isinstance(value, types.CodeType):
        yield from _parts((value.co_code, value.co_names, value.co_consts), seen)
    elif isinstance(value, (type, types.ModuleType, types.BuiltinFunctionType)):
        yield value.__name__.encode()
    elif id(value) not in seen:
        seen[id(value)] = value
        yield from _parts(_attributes(value), seen)


def _attributes(value: Any) -> Any:
    """Return what an object refers to."""
    if isinstance(value, functools.partial):
        return value.func, value.args, value.keywords
    if isinstance(value, types.MethodType):
        return value.__func__, value.__self__
    if isinstance(value, types.FunctionType):
        name = f"{value.__module__}.{value.__qualname__}"
        held = (value.__defaults__, value.__kwdefaults__, _held(value))
        return (name, *held) if _is_of_library(value) else (*held, value.__code__, _globals(value))
    if hasattr(value, "__wrapped__"):
        return value.__wrapped__
    if dataclasses.is_dataclass(value):
        return [getattr(value, one.name) for one in dataclasses.fields(value)]
    return getattr(value, "__dict__", _ADDRESS.sub("", repr(value)))


def _is_of_library(function: types.FunctionType) -> bool:
    """Tell whether a function is of an installed package, of Python or of this one."""
    top = str(function.__module__).partition(".")[0]
    is_ours = top in (_PACKAGE, *sys.stdlib_module_names) and top != "__main__"
    return is_ours or "site-packages" in function.__code__.co_filename


def _held(function: types.FunctionType) -> list[Any]:
    """Return what the variables of enclosing functions hold, those that are assigned."""
    return [
        cell.cell_contents
        for cell in function.__closure__ or ()
        if cell != types.CellType()  # an empty cell
    ]


def _globals(function: types.FunctionType) -> list[Any]:
    """Return the global values that a function and those within it name."""
    codes, names = [function.__code__], []
    for code in codes:
        names += code.co_names
        codes += [one for one in code.co_consts if isinstance(one, types.CodeType)]
    known = function.__globals__
    return [known[name] for name in dict.fromkeys(names) if name in known]
