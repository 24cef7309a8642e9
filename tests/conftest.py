"""Eight CPU devices for every test, and how many examples a property is tried on.

Runs on several devices are tested anywhere. What one worker has compiled is read by the
other, and by the processes that tests start. Properties are tried on the same few examples
unless `--hypothesis-profile=random` asks for as many random ones, or `nightly` for 20,000,
with failures kept in a database.
"""

import atexit
import importlib.util
import os
import shutil
import tempfile

collect_ignore = ["crash"]  # scripts
if importlib.util.find_spec("torch") is None:
    collect_ignore += ["parity"]  # `make parity` installs it

os.environ.setdefault("HF_HUB_OFFLINE", "1")
for name in ("COLLAPSE_JAX_CACHE", "JAX_COMPILATION_CACHE_DIR"):
    if name not in os.environ:  # workers, and what tests run, share those of the first process
        os.environ[name] = tempfile.mkdtemp()
        atexit.register(shutil.rmtree, os.environ[name], ignore_errors=True)
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.1")
_FLAG = "--xla_force_host_platform_device_count=8"
if "xla_force_host_platform_device_count" not in os.environ.get("XLA_FLAGS", ""):
    os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {_FLAG}".strip()

from hypothesis import HealthCheck, settings  # noqa: E402

_COMMON = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}
settings.register_profile("pull-request", derandomize=True, max_examples=25, **_COMMON)
settings.register_profile("random", max_examples=25, database=None, print_blob=True, **_COMMON)
settings.register_profile("nightly", max_examples=20_000, print_blob=True, **_COMMON)
settings.load_profile("pull-request")
