"""Know accelerators: their memory and rates, and how to describe them to their compilers.

The figures are those that their makers publish. A compiler needs no device: it asks for a
description, and translates the program as if the device were there.
"""

import contextlib
import os
import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import jax

from collapse_jax.utils import check

_INSTALL = "pip install 'collapse-jax[accelerators]'"


class Gpu(NamedTuple):
    """What the compiler for CUDA asks for, of one GPU.

    Attributes:
      capability: CUDA compute capability, major and minor.
      multiprocessors: streaming multiprocessors of the GPU.
      float_units: float32 units of a multiprocessor.
      shared_bytes: shared memory of a multiprocessor; a block has 1 KiB less.
      l2_bytes: second-level cache of the GPU.
      clock: GHz.
    """

    capability: tuple[int, int]
    multiprocessors: int
    float_units: int
    shared_bytes: int
    l2_bytes: int
    clock: float


class Accelerator(NamedTuple):
    """A kind of accelerator.

    Attributes:
      platform: tpu or cuda.
      device_kind: what a device of this kind calls itself.
      memory: bytes of one device.
      bandwidth: bytes a second between a device and its memory.
      flops: operations a second in bfloat16, dense.
      clock: cycles a second that the compiler's estimates are in; None where it gives none.
      gpu: what the compiler for CUDA asks for.
    """

    platform: str
    device_kind: str
    memory: int
    bandwidth: float
    flops: float
    clock: float | None = None
    gpu: Gpu | None = None


_H100 = Gpu((9, 0), 132, 128, 228 * 1024, 50 * 2**20, 1.98)
_A100 = Gpu((8, 0), 108, 64, 164 * 1024, 40 * 2**20, 1.41)

KINDS: Mapping[str, Accelerator] = MappingProxyType(
    {
        "v5e": Accelerator("tpu", "TPU v5 lite", 16 * 2**30, 819e9, 197e12, 1.5e9),
        "v5p": Accelerator("tpu", "TPU v5", 95 * 2**30, 2765e9, 459e12, 1.75e9),
        "v6e": Accelerator("tpu", "TPU v6 lite", 32 * 2**30, 1640e9, 918e12, 1.75e9),
        "h100": Accelerator(
            "cuda", "NVIDIA H100 80GB HBM3", 80 * 10**9, 3350e9, 989e12, None, _H100
        ),
        "a100": Accelerator(
            "cuda", "NVIDIA A100-SXM4-80GB", 80 * 10**9, 2039e9, 312e12, None, _A100
        ),
    }
)
"""Kinds by the first part of the name of a topology.

Sources: Google Cloud's pages on TPU v5e, v5p and v6e; NVIDIA's data sheets and white papers of the
H100 (SXM5) and the A100 (SXM4).
"""


class DescribedSlice(NamedTuple):
    """Accelerators that a compiler can compile for, although they are not here.

    Attributes:
      topology: the name, such as "v5e:2x2".
      kind: of its devices.
      devices: all of them.
    """

    topology: str
    kind: Accelerator
    devices: tuple[Any, ...]


def describe(topology: str, argument: str = "topology") -> DescribedSlice:
    """Return accelerators by the name of their topology.

    Args:
      topology: a kind of TPU and the shape of a slice, "v5e:2x2"; or a kind of GPU, "h100".
      argument: name of the argument in messages.

    Raises:
      ArgumentError: for an unknown name, or if the compiler is not installed.
    """
    names = ", ".join(KINDS)
    remedy = "pass a topology such as 'v5e:2x2' or 'h100'"
    check.instance(argument, topology, str, "it must be a text", remedy)
    name, _, shape = topology.partition(":")
    if name not in KINDS:
        raise check.fail(argument, topology, f"the kinds are {names}", remedy)
    kind = KINDS[name]
    if kind.gpu is not None and shape:
        raise check.fail(argument, topology, "a GPU has no shape", f"pass {name!r}")
    if kind.gpu is None and not re.fullmatch(r"[1-9]\d*(x[1-9]\d*){1,2}", shape):
        raise check.fail(argument, topology, "a TPU has a shape such as 2x2", remedy)
    return DescribedSlice(topology, kind, _devices(topology, kind, argument))


def _devices(topology: str, kind: Accelerator, argument: str) -> tuple[Any, ...]:
    """Return the devices of a topology, described by the plugin for their platform."""
    from jax.experimental import topologies

    try:
        if kind.gpu is not None:
            config = _target_config(kind, kind.gpu)
            found = topologies.get_topology_desc(
                topology, platform="cuda", topology="1x1x1", target_config=config
            )
        else:
            with _compiling_only():
                found = topologies.get_topology_desc(topology_name=topology, platform="tpu")
    except jax.errors.JaxRuntimeError as error:
        reason = f"the compiler for {kind.platform.upper()} refuses it: {first_line(error)}"
        raise check.fail(argument, topology, reason, "pass another shape") from None
    except (NotImplementedError, RuntimeError):
        allowed = f"jax finds no compiler for {kind.platform.upper()}"
        raise check.fail(argument, topology, allowed, _INSTALL) from None
    return tuple(found.devices)


@contextlib.contextmanager
def _compiling_only():
    """Keep libtpu from asking Google Cloud which machine this is, and from locking its chips."""
    given = {
        "ALLOW_MULTIPLE_LIBTPU_LOAD": "1",
        "TPU_SKIP_MDS_QUERY": "1",
        "TPU_WORKER_HOSTNAMES": "localhost",
        "TPU_ACCELERATOR_TYPE": "v5litepod-4",
    }
    absent = {name: value for name, value in given.items() if name not in os.environ}
    os.environ.update(absent)
    try:
        yield
    finally:
        for name in absent:
            del os.environ[name]


def first_line(error: Exception) -> str:
    """Return the first line of a compiler's message, of a length that can be read.

    Args:
      error: what the compiler raised.
    """
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0][:300]


def _target_config(kind: Accelerator, gpu: Gpu) -> str:
    """Return a GPU as XLA's compiler reads it, a `GpuTargetConfigProto` in text form."""
    major, minor = gpu.capability
    return f"""gpu_device_info {{
  threads_per_block_limit: 1024
  threads_per_warp: 32
  shared_memory_per_block: 49152
  shared_memory_per_core: {gpu.shared_bytes}
  shared_memory_per_block_optin: {gpu.shared_bytes - 1024}
  threads_per_core_limit: 2048
  core_count: {gpu.multiprocessors}
  fpus_per_core: {gpu.float_units}
  block_dim_limit_x: 2147483647
  block_dim_limit_y: 65535
  block_dim_limit_z: 65535
  thread_dim_limit_x: 1024
  thread_dim_limit_y: 1024
  thread_dim_limit_z: 64
  registers_per_core_limit: 65536
  registers_per_block_limit: 65536
  memory_bandwidth: {int(kind.bandwidth)}
  device_memory_size: {kind.memory}
  l2_cache_size: {gpu.l2_bytes}
  clock_rate_ghz: {gpu.clock}
  device_address_bits: 64
  ecc_enabled: true
  cuda_compute_capability {{
    major: {major}
    minor: {minor}
  }}
  device_vendor: "NVIDIA Corporation"
  name: "{kind.device_kind}"
  platform_version: "Compute Capability {major}.{minor}"
  driver_version: "12.8.0"
  runtime_version: "12.8.0"
  compile_time_toolkit_version: "12.8.0"
}}
platform_name: "CUDA"
device_description_str: "{kind.device_kind}"
"""


def memory_of(device: Any) -> int | None:
    """Return the memory of an accelerator in bytes, real or described; None if it is unknown.

    Args:
      device: a device of jax.
    """
    with contextlib.suppress(Exception):  # described devices have no statistics
        if (stats := device.memory_stats()) and "bytes_limit" in stats:
            return int(stats["bytes_limit"])
    found = [one.memory for one in KINDS.values() if one.device_kind == device.device_kind]
    return found[0] if found else None
