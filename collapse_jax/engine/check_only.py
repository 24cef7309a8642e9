"""Check calls of `simulate` and `sweep` without running them."""

import contextlib
import contextvars
from collections.abc import Callable, Iterator

from collapse_jax.engine.request import Request

_requests: contextvars.ContextVar[list[Request] | None] = contextvars.ContextVar(
    "requests", default=None
)
_is_checking: contextvars.ContextVar[bool] = contextvars.ContextVar("is_checking", default=False)


class _Checked(BaseException):
    """The end of a call whose arguments were checked; no `except Exception` catches it."""


@contextlib.contextmanager
def check_only() -> Iterator[None]:
    """End the block at its first call of `simulate` or `sweep`, after the checks of the call.

    Nothing is compiled and no store is opened.

    Yields:
      Nothing.

    Raises:
      ArgumentError: that of the call, or of what precedes it in the block.
    """
    token = _is_checking.set(True)
    try:
        yield
    except _Checked:
        pass
    finally:
        _is_checking.reset(token)


def is_checking() -> bool:
    """Tell whether calls are only checked."""
    return _is_checking.get()


def end_if_checking() -> None:
    """End the call if it is only checked."""
    if is_checking():
        raise _Checked


@contextlib.contextmanager
def collected_requests() -> Iterator[list[Request]]:
    """End checked calls of `simulate` and `sweep` before their checks, and collect their arguments.

    Of a sweep these are the arguments of its first point.

    Yields:
      The arguments of the calls so far.
    """
    found: list[Request] = []
    token = _requests.set(found)
    try:
        yield found
    finally:
        _requests.reset(token)


def end_if_collecting(make_request: Callable[[], Request]) -> None:
    """Collect the arguments of a call and end it, if its arguments are collected.

    Args:
      make_request: function that returns the arguments.
    """
    if (found := _requests.get()) is not None:
        found.append(make_request())
        raise _Checked
