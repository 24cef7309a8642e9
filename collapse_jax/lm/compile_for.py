"""Compile programs of language models for accelerators that are not here."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from collapse_jax.lm import generation, scoring
from collapse_jax.lm.causal_lm import as_config, create
from collapse_jax.lm.checks import make_key
from collapse_jax.lm.generation import Decoding
from collapse_jax.lm.sharding import AXIS, FSDP, mesh, rows_of, specs_of
from collapse_jax.lm.training import Trainer, Training, TrainingBatch
from collapse_jax.lm.weights import check_dtype
from collapse_jax.utils import check
from collapse_jax.utils.accelerators import DescribedSlice, describe
from collapse_jax.utils.compiled import CompileReport, compile_ahead, costs_of
from collapse_jax.utils.jax_settings import own_settings
from collapse_jax.utils.matmul_flops import matmul_flops

STEPS = {"train": "training step", "score": "scoring", "generate": "generation of text"}


def compile_for(
    config: Any,
    topology: str,
    *,
    step: str = "train",
    batch: int,
    length: int,
    mesh: Mapping[str, int] | Mesh | None = None,
    training: Training | None = None,
    decoding: Decoding | None = None,
    dtype: Any = "float32",
    remat: bool = False,
    scan_layers: bool = False,
) -> CompileReport:
    """Compile a step of a language model for accelerators that are not here.

    Nothing runs, and no weights are needed. The compilers come with
    `pip install 'collapse-jax[accelerators]'`; a machine without GPU also needs
    `JAX_PLATFORMS=cpu` in the environment.

    Args:
      config: config of the network, see `create`.
      topology: a TPU slice, "v5e:2x2" (v5e, v5p or v6e), or one GPU, "h100" or "a100".
      step: "train" for a step of AdamW, "score" for the losses of a batch, or "generate" for all
        new tokens of a batch.
      batch: texts of a batch, of all devices together.
      length: tokens of a text, or of a prompt.
      mesh: sizes of the axes "data" and "fsdp", see `mesh`, or a mesh of such sizes; None to divide
        parameters among all devices.
      training: settings of training, for "train".
      decoding: settings of the search, for "generate"; None for five beams and as many new tokens
        as the prompt has.
      dtype: float32 or bfloat16, of parameters; training computes in that of its settings.
      remat: whether blocks are computed twice to save memory, see `create`.
      scan_layers: whether one block is compiled and repeated, see `create`.

    Returns:
      Memory, time and whether the step fits. Operations are those of matrix products, with all
      repetitions; the time of "generate" is that of all new tokens. For GPU, bytes are only those
      of parameters and moments: read and written by a training step, read for every new token.

    Raises:
      ArgumentError: for a bad argument, an unknown topology, a compiler that is not installed, or a
        program that the compiler refuses.

    >>> from collapse_jax import lm
    >>> lm.compile_for(  # doctest: +SKIP
    ...     lm.OPTConfig(), "v5e:2x2", step="train", batch=128, length=64
    ... ).fits
    True
    """
    target = describe(topology)
    return compile_step(
        config,
        target,
        step=step,
        batch=batch,
        length=length,
        mesh=mesh,
        training=training,
        decoding=decoding,
        dtype=dtype,
        remat=remat,
        scan_layers=scan_layers,
    )


@own_settings()
def compile_step(
    config: Any,
    target: DescribedSlice,
    *,
    step: str,
    batch: int,
    length: int,
    mesh: Mapping[str, int] | Mesh | None = None,
    training: Training | None = None,
    decoding: Decoding | None = None,
    dtype: Any = "float32",
    remat: bool = False,
    scan_layers: bool = False,
) -> CompileReport:
    """Compile a step of a language model, see `compile_for`.

    Args:
      config: config of the network.
      target: the accelerators.
      step: "train", "score" or "generate".
      batch: texts of a batch.
      length: tokens of a text.
      mesh: see `compile_for`.
      training: settings of training.
      decoding: settings of the search.
      dtype: of parameters.
      remat: whether blocks are computed twice.
      scan_layers: whether one block is compiled and repeated.

    Returns:
      Memory, time and whether the step fits.

    Raises:
      ArgumentError: as in `compile_for`.
    """
    check.choice("step", step, tuple(STEPS))
    devices, config = _mesh_of(mesh, target), as_config(config)
    rows = -(-check.integer("batch", batch, 1) // devices.size) * devices.size
    most, remedy = config.max_position_embeddings, "pass a length that the model has positions for"
    check.integer("length", length, 2, most, remedy)
    settings = {"dtype": check_dtype(dtype), "remat": remat, "scan_layers": scan_layers}
    model = nnx.eval_shape(lambda: create(config, key=0, **settings))
    trips, reads, texts = 1, 1, _texts(rows, length, devices)
    if step == "train":
        program, reads = _training(model, training or Training(), texts, devices), 2
    elif step == "score":
        program = _scoring(model, texts, devices)
    else:
        decoding = decoding or Decoding(length, num_beams=5, min_new_tokens=length)
        check.integer("length", length, 1, most - decoding.max_new_tokens, remedy)
        program, reads = _generation(model, decoding, texts, devices), decoding.max_new_tokens
        trips = generation.stages(decoding.max_new_tokens - 1, decoding.num_beams)[0][1]
    function, arguments = program
    compiled = compile_ahead(function, arguments, target)
    flops = matmul_flops(function.trace(*arguments).jaxpr, trips)
    moved = reads * _bytes_of_shares(arguments[0])
    before = {"flops": flops, "bytes accessed": moved}
    costs = costs_of(compiled.program, before, target.kind, trips)
    least = max(flops / target.kind.flops, moved / target.kind.bandwidth)
    taken = max(least, costs.seconds)
    return CompileReport(
        topology=target.topology,
        num_devices=len(target.devices),
        step=STEPS[step],
        rows="texts",
        batch=rows,
        seconds=compiled.seconds,
        peak_bytes=compiled.peak_bytes,
        memory_bytes=target.kind.memory,
        fits=compiled.peak_bytes is not None and compiled.peak_bytes <= target.kind.memory,
        flops=flops,
        bytes_accessed=costs.nbytes,
        step_seconds=taken,
        roofline_share=least / taken,
    )


def _mesh_of(given: Mapping[str, int] | Mesh | None, target: DescribedSlice) -> Mesh:
    """Return the mesh of described devices."""
    number = len(target.devices)
    if given is None:
        return mesh(1, number, target.devices)
    sizes = given.shape if isinstance(given, Mesh) else given
    allowed, remedy = "it must have the axes data and fsdp", 'pass {"data": 2, "fsdp": 4}'
    if not isinstance(sizes, Mapping) or not set(sizes) <= {AXIS, FSDP}:
        raise check.fail("mesh", given, allowed, remedy)
    found = mesh(sizes.get(AXIS, 1), sizes.get(FSDP, 1), target.devices)
    if found.size != number:
        allowed = f"{target.topology} has {number} devices"
        raise check.fail("mesh", dict(sizes), allowed, "pass sizes whose product is this")
    return found


def _placed(tree: Any, specs: Any, devices: Mesh) -> Any:
    """Return shapes on described devices."""
    return jax.tree.map(
        lambda spec, leaf: jax.ShapeDtypeStruct(
            leaf.shape, leaf.dtype, sharding=NamedSharding(devices, spec)
        ),
        specs,
        tree,
    )


def _shares(tree: Any, devices: Mesh) -> Any:
    """Return shapes of parameters and moments on described devices."""
    return _placed(tree, specs_of(tree, devices), devices)


def _whole(tree: Any, devices: Mesh) -> Any:
    """Return shapes that every device has."""
    shapes = jax.eval_shape(lambda: jax.tree.map(jnp.asarray, tree))
    return _placed(shapes, jax.tree.map(lambda _: PartitionSpec(), shapes), devices)


def _texts(rows: int, length: int, devices: Mesh) -> tuple[Any, Any]:
    """Return the shapes of tokens and mask."""
    place = NamedSharding(devices, rows_of(devices))
    shape = (rows, length)
    tokens = jax.ShapeDtypeStruct(shape, np.int32, sharding=place)
    return tokens, jax.ShapeDtypeStruct(shape, np.bool_, sharding=place)


def _training(model: Any, training: Training, texts: tuple[Any, Any], devices: Mesh) -> Any:
    """Return a step of AdamW and the shapes of its arguments."""
    trainer = Trainer(model, training, devices)
    state = jax.eval_shape(trainer.initial, nnx.state(model))
    batch = TrainingBatch(*texts, texts[0])
    key, steps = _whole((make_key(0), np.int32(1)), devices)
    return trainer.program, (_shares(state, devices), batch, key, steps)


def _scoring(model: Any, texts: tuple[Any, Any], devices: Mesh) -> Any:
    """Return the losses of a batch and the shapes of their arguments."""
    structure, params = nnx.split(model)
    return scoring.program_on(structure, devices), (_shares(params, devices), *texts)


def _generation(model: Any, decoding: Decoding, texts: tuple[Any, Any], devices: Mesh) -> Any:
    """Return a search and the shapes of its arguments."""
    structure, params = nnx.split(model)
    rows = jax.ShapeDtypeStruct(texts[0].shape[:1], np.uint32, sharding=texts[0].sharding)
    key, numbers = _whole((make_key(0), decoding.numbers), devices)
    program = generation.program_on(structure, decoding.shape, devices)
    return program, (_shares(params, devices), *texts, rows, key, numbers)


def _bytes_of_shares(tree: Any) -> int:
    """Return the bytes of a device's shares."""
    return sum(
        int(np.prod(leaf.sharding.shard_shape(leaf.shape), dtype=np.int64)) * leaf.dtype.itemsize
        for leaf in jax.tree.leaves(tree)
    )
