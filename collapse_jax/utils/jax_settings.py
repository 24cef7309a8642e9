"""Run the library under its own settings of jax, so that those of a user change no number.

Some settings forbid what the library does (implicit transfers, promotions), others give other
random numbers. The library enters its own where users call it, in that thread only, and leaves
the configuration of jax as it was. It follows the user's float type, precision and device.
"""

import contextlib
from collections.abc import Iterator
from typing import Any

import jax

_OWN = {
    # What may be written in an expression, and moved without an explicit call.
    "numpy_rank_promotion": "allow",
    "numpy_dtype_promotion": "standard",
    "transfer_guard_host_to_device": "allow",
    "transfer_guard_device_to_host": "allow",
    "transfer_guard_device_to_device": "allow",
    "array_garbage_collection_guard": "allow",
    # What is checked while it runs: chains that froze hold NaN on purpose.
    "debug_nans": False,
    "debug_infs": False,
    "debug_key_reuse": False,
    "enable_checks": False,
    "check_tracer_leaks": False,
    "thread_guard": False,
    "disable_jit": False,
    # Random numbers and arithmetic.
    "default_prng_impl": "threefry2x32",
    "threefry_partitionable": True,
    "enable_custom_prng": False,
    "legacy_prng_key": "allow",
    "softmax_custom_jvp": False,
    "allow_f16_reductions": True,
}
_FOLLOWED = ("enable_x64", "default_matmul_precision", "default_device")


@contextlib.contextmanager
def own_settings(**followed: Any) -> Iterator[None]:
    """Enter the library's settings of jax in this thread; also a decorator of functions.

    A generator must not be decorated: between two items, its caller would have the settings.

    Args:
      followed: other settings, by name without "jax_"; those of `followed_settings` in another
        thread, which inherits none.
    """
    with contextlib.ExitStack() as stack:
        for name, value in _OWN.items():
            # Releases of jax differ in the settings that they have; None is jax's own default.
            if hasattr(jax, name) and _value(name) not in (value, None):
                stack.enter_context(getattr(jax, name)(value))
        for name, value in followed.items():
            if _value(name) != value:
                stack.enter_context(getattr(jax, name)(value))
        yield


def followed_settings() -> dict[str, Any]:
    """Return the settings of this thread that the library follows, for `own_settings`."""
    return {name: _value(name) for name in _FOLLOWED}


def default_device() -> Any:
    """Return the device that `jax.default_device` or jax_default_device names; None for none."""
    device = _value("default_device")
    return jax.local_devices(backend=device)[0] if isinstance(device, str) else device


def matmul_precision() -> str | None:
    """Return the precision of products of matrices that the user asks for; None for jax's own."""
    return _value("default_matmul_precision")


def compilation_cache() -> str | None:
    """Return the folder in which jax keeps compiled programs; None for none."""
    return _value("compilation_cache_dir")


def is_jit_disabled() -> bool:
    """Tell whether the user has disabled `jax.jit`, usually to debug a function."""
    return _value("disable_jit")


def _value(name: str) -> Any:
    return getattr(jax.config, f"jax_{name}")
