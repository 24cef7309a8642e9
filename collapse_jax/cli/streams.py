"""Make standard output and error safe to write to, and end quietly if nobody reads them."""

import codecs
import contextlib
import os
import signal
import sys
import threading
import warnings
from collections.abc import Iterator
from typing import Any

_AGAIN = 0.05  # seconds until a lost interrupt is sent again: the collection has then ended
_ERRORS = "collapse_jax.readable"
_LENIENT = ("replace", "backslashreplace", _ERRORS)


def _readable(error: UnicodeError) -> tuple[bytes, int]:
    """Return the bytes of a file's name that is not text, and "?" for other characters."""
    assert isinstance(error, UnicodeEncodeError)
    codes = map(ord, error.object[error.start : error.end])
    pieces = [bytes([code - 0xDC00]) if 0xDC80 <= code <= 0xDCFF else b"?" for code in codes]
    return b"".join(pieces), error.end


@contextlib.contextmanager
def writable_streams() -> Iterator[None]:
    """Replace closed streams, and make streams write characters that their encoding lacks.

    Yields:
      Nothing; within the block `sys.stdout` and `sys.stderr` can be written to.
    """
    codecs.register_error(_ERRORS, _readable)
    with contextlib.ExitStack() as stack:
        for name in ("stdout", "stderr"):
            stream: Any = getattr(sys, name)
            if stream is None:  # closed by the shell, as in `collapse list >&-`
                null = stack.enter_context(open(os.devnull, "w", encoding="utf-8"))
                stack.callback(setattr, sys, name, None)
                setattr(sys, name, null)
            elif hasattr(stream, "reconfigure") and stream.errors not in _LENIENT:
                stack.callback(_restore, stream, stream.errors)
                stream.reconfigure(errors=_ERRORS)
        stack.callback(setattr, warnings, "formatwarning", warnings.formatwarning)
        warnings.formatwarning = _one_line
        yield


def _one_line(message: Warning | str, *_: object, **__: object) -> str:
    """Format a warning without the line of code that a user of a command does not know."""
    words = " ".join(str(message).split())
    if "persistent compilation cache" in words and ";" not in words:  # jax names no remedy
        words += "; set JAX_COMPILATION_CACHE_DIR to a folder that you may write, or unset it"
    return f"collapse: warning: {words}\n"


def _restore(stream: Any, errors: str) -> None:
    with contextlib.suppress(OSError):  # it flushes, and the reader may have gone
        stream.reconfigure(errors=errors)


def discard_output() -> None:
    """Redirect standard output to nowhere, so that the interpreter's last flush cannot fail."""
    with contextlib.suppress(OSError, ValueError):  # a stream without a descriptor, or closed
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, sys.stdout.fileno())
        os.close(null)


def write_line(text: str) -> None:
    """Write one line to standard error, if anybody reads it.

    Args:
      text: the line; white space of any kind becomes single spaces.
    """
    with contextlib.suppress(OSError, ValueError):
        sys.stderr.write(f"{' '.join(text.split())}\n")
        sys.stderr.flush()


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """Convert SIGTERM, which schedulers send before a kill, into an interrupt, and lose none.

    An interrupt that arrives while Python collects garbage or finalizes an object is only
    reported there, not raised; it is then sent again.

    Yields:
      Nothing; outside of the main thread, which alone gets signals, nothing changes.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    def report(unraisable: Any) -> None:
        if issubclass(unraisable.exc_type, KeyboardInterrupt):
            threading.Timer(_AGAIN, os.kill, (os.getpid(), signal.SIGINT)).start()
        else:
            earlier_hook(unraisable)

    earlier, earlier_hook = signal.signal(signal.SIGTERM, interrupt), sys.unraisablehook
    sys.unraisablehook = report
    try:
        yield
    finally:
        sys.unraisablehook = earlier_hook
        signal.signal(signal.SIGTERM, earlier)
