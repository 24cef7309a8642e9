"""Eight CPU devices for every test, and how many examples a property is tried on.

Runs on several devices are tested anywhere. Properties are tried on the same few examples
unless `--hypothesis-profile=random` asks for as many random ones, or `nightly` for 20,000,
with failures kept in a database.

Compiled programs are dropped before a process has more than Linux lets it map.

Tests that take longest, most of it compilation, have the mark `thorough`, by a decorator or by a
line of thorough.txt; `make test-thorough` runs them.
"""

import atexit
import importlib.util
import os
import shutil
import signal
import tempfile
from pathlib import Path

collect_ignore = ["crash", "packaging"]  # scripts
if importlib.util.find_spec("torch") is None:
    collect_ignore += ["parity"]  # `make parity` installs it

os.environ.setdefault("HF_HUB_OFFLINE", "1")
if "COLLAPSE_JAX_CACHE" not in os.environ:  # workers share that of the first process
    os.environ["COLLAPSE_JAX_CACHE"] = tempfile.mkdtemp()
    atexit.register(shutil.rmtree, os.environ["COLLAPSE_JAX_CACHE"], ignore_errors=True)
_FLAG = "--xla_force_host_platform_device_count=8"
if "xla_force_host_platform_device_count" not in os.environ.get("XLA_FLAGS", ""):
    os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {_FLAG}".strip()

# A shell that starts tests in the background has them ignore Ctrl-C, which some send.
signal.signal(signal.SIGINT, signal.default_int_handler)

import jax  # noqa: E402
import pytest  # noqa: E402
from hypothesis import HealthCheck, settings  # noqa: E402

from collapse_jax.utils import memory  # noqa: E402

_COMMON = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}
settings.register_profile("pull-request", derandomize=True, max_examples=25, **_COMMON)
settings.register_profile("random", max_examples=25, database=None, print_blob=True, **_COMMON)
settings.register_profile("nightly", max_examples=20_000, print_blob=True, **_COMMON)
settings.load_profile("pull-request")


@pytest.hookimpl(tryfirst=True)  # before marks choose what is run
def pytest_collection_modifyitems(items):
    lines = set(Path(__file__).with_name("thorough.txt").read_text().splitlines())
    for item in items:
        if item.nodeid in lines:
            item.add_marker("thorough")


@pytest.fixture(autouse=True, scope="module")
def _room_for_programs():
    yield
    if memory.is_full_of_programs():
        jax.clear_caches()


@pytest.fixture
def refused():
    """Check that a call ends with one line: what is not allowed, what is, what to do."""

    def check(call, expected):
        with pytest.raises(ValueError, match=expected) as caught:
            call()
        message = str(caught.value)
        assert "\n" not in message
        assert len(message) < 400
        assert "; " in message, "what is allowed, then what to do"

    return check
