"""Define frozen configuration objects that are also pytrees.

A config is validated once, when a user constructs it. Fields marked `static` are
part of a compiled program; the others are its numeric inputs, so that equal
configs share a compilation and configs that differ only in numbers do too.
"""

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any, TypeVar, cast, dataclass_transform

import jax
import numpy as np

from collapse_jax.utils.jax_settings import own_settings

_Function = TypeVar("_Function", bound=Callable[..., Any])
_Class = TypeVar("_Class", bound=type)
FORMER = {"keep": "verifier", "held_out": "test", "held_out_labels": "test_labels"}
"""Names of settings by their names in version 0.1."""


def static(**kwargs: Any) -> Any:
    """Declare a dataclass field that is fixed when a program is compiled.

    Args:
      kwargs: arguments of `dataclasses.field`, without `metadata`.

    Returns:
      The field, not a pytree leaf.
    """
    return dataclasses.field(metadata={"static": True}, **kwargs)


def _fingerprint(value: Any) -> Any:
    """Return a hashable value that is equal exactly when two values are."""
    if isinstance(value, (np.ndarray, jax.Array)):
        array = np.asarray(value)
        return array.shape, array.dtype.str, array.tobytes()
    return value


def _identity(config: Any) -> tuple:
    leaves, structure = jax.tree.flatten(config)
    return structure, tuple(_fingerprint(leaf) for leaf in leaves)


def _equal(self: Any, other: object) -> bool:
    return type(self) is type(other) and _identity(self) == _identity(other)


def _hash(self: Any) -> int:
    return hash(_identity(self))


@dataclass_transform(frozen_default=True, field_specifiers=(static, dataclasses.field))
def config(cls: _Class) -> _Class:
    """Make `cls` a frozen dataclass, compared by value, whose numbers are pytree leaves.

    When jax rebuilds a config from leaves, `__post_init__` is skipped: the leaves may
    then be tracers, and were checked when the config was made.

    Args:
      cls: a class with annotated fields; those marked `static` are not leaves.

    Returns:
      The class, registered with `jax.tree_util`.
    """
    cls = dataclasses.dataclass(frozen=True, eq=False)(cls)
    _wrap_constructor(cls)
    type.__setattr__(cls, "__eq__", _equal)
    type.__setattr__(cls, "__hash__", _hash)
    type.__setattr__(cls, "__setstate__", _restore)
    _register(cls)
    return cls


_registered: set[type] = set()


def _register_copy(cls: type) -> None:
    """Register a class that came by value from another process, which jax does not know.

    Dask and joblib send the classes of notebooks and scripts by value.
    """
    if cls not in _registered and "__setstate__" in cls.__dict__:
        _register(cls)


def _restore(self: Any, state: dict[str, Any]) -> None:
    """Set the fields of an unpickled config."""
    _register_copy(type(self))
    self.__dict__.update(state)


def _register(cls: Any) -> None:
    """Register a config as a pytree."""
    _registered.add(cls)
    fields = dataclasses.fields(cls)
    fixed = tuple(field.name for field in fields if field.metadata.get("static"))
    leaves = tuple(field.name for field in fields if field.name not in fixed)

    def flatten_with_keys(self):
        children = [(jax.tree_util.GetAttrKey(name), getattr(self, name)) for name in leaves]
        return children, tuple(getattr(self, name) for name in fixed)

    def flatten(self):
        return [getattr(self, name) for name in leaves], tuple(getattr(self, n) for n in fixed)

    def unflatten(auxiliary, children):
        self = object.__new__(cls)
        for name, value in (
            *zip(fixed, auxiliary, strict=True),
            *zip(leaves, children, strict=True),
        ):
            object.__setattr__(self, name, value)
        return self

    jax.tree_util.register_pytree_with_keys(cls, flatten_with_keys, unflatten, flatten)


def _wrap_constructor(cls: Any) -> None:
    """Let the constructor of a config run under the library's settings of jax.

    It also names the successor of an argument of version 0.1, and makes Python's numbers of single
    numbers of NumPy, which would be shown as np.float64(0.1).
    """
    names = {field.name for field in dataclasses.fields(cls)}
    former = {old: new for old, new in FORMER.items() if new in names and old not in names}
    init = names_successors(cls.__name__, former)(cls.__init__) if former else cls.__init__

    @functools.wraps(init)
    def checked(self: Any, *arguments: Any, **settings: Any) -> None:
        _register_copy(type(self))
        with own_settings():
            init(self, *arguments, **settings)
        for name in names:
            value = getattr(self, name, None)
            if isinstance(value, (np.bool_, np.integer, np.floating)):
                object.__setattr__(self, name, value.item())

    type.__setattr__(cls, "__init__", checked)


def names_successors(label: str, former: Mapping[str, str]) -> Callable[[_Function], _Function]:
    """Let a function name the successors of arguments that an earlier version had.

    Args:
      label: name of the function, for the message.
      former: present names by former ones.

    Returns:
      A decorator; the function then raises a TypeError for a former name.
    """

    def decorated(function: _Function) -> _Function:
        @functools.wraps(function)
        def checked(*arguments: Any, **settings: Any) -> Any:
            for old in former.keys() & settings.keys():
                raise TypeError(f"{label}({old}=...) is now {label}({former[old]}=...)")
            return function(*arguments, **settings)

        return cast(_Function, checked)

    return decorated


def replace_fields(config: Any, **changes: Any) -> Any:
    """Return a copy of a checked config with some fields changed and not checked again.

    Args:
      config: an instance of a class made by `config`.
      changes: new values by name of the field.

    Returns:
      A config of the same class.
    """
    copy = object.__new__(type(config))
    for field in dataclasses.fields(config):
        object.__setattr__(copy, field.name, changes.get(field.name, getattr(config, field.name)))
    return copy
