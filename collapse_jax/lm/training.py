"""Training: AdamW on the causal loss, one compiled step that shares its batch among devices."""

import dataclasses
import functools
import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from jax.sharding import Mesh, PartitionSpec
from jaxtyping import Array, Float, Int

from collapse_jax.lm.checks import check_labels, check_tokens, make_key
from collapse_jax.lm.loss import IGNORED, Sum, next_token_loss
from collapse_jax.lm.model import OPT
from collapse_jax.lm.sharding import AXIS, on_all
from collapse_jax.utils import check
from collapse_jax.utils.adam import scale_by_adam

SCHEDULES = ("constant", "epoch", "step")
_IN_ORDER = {"xla_cpu_scheduler_type": "CPU_SCHEDULER_TYPE_MEMORY_OPTIMIZED"}


class TrainingState(NamedTuple):
    """What a step changes; a step takes over its memory.

    Attributes:
      params: of the network.
      optimizer: moments of the gradients, by optax.
      step: steps taken.
    """

    params: Any
    optimizer: Any
    step: Int[Array, ""]


class Batch(NamedTuple):
    """Texts of a step, each array [batch, length]."""

    input_ids: Any
    mask: Any
    labels: Any


@dataclasses.dataclass(frozen=True)
class Training:
    """How a network is trained: AdamW with decoupled weight decay on all parameters.

    Args:
      learning_rate: of the first step.
      final_learning_rate: at the end of a cosine.
      schedule: "constant"; or a cosine that falls with every "epoch", as in the paper, or with
        every "step": final + (first - final) (1 + cos(pi t)) / 2, t = epoch / epochs, say.
      num_epochs: passes over the corpus.
      steps_per_epoch: steps of one.
      weight_decay: of AdamW.
      clip_norm: longest gradient, longer ones are shortened; None for no limit.
      accumulate: parts that a batch is computed in, for memory; the result is the same.
      has_dropout: whether the rates of the model's config act.
      dtype: "float32" or "bfloat16", of the computation; parameters keep theirs.

    Raises:
      ValueError: for any other value.

    >>> from collapse_jax.families import language_model as lm
    >>> training = lm.Training(1e-2, final_learning_rate=0.0, num_epochs=2, steps_per_epoch=10)
    >>> [round(float(training.rate(step)), 4) for step in (0, 9, 10, 20)]
    [0.01, 0.01, 0.005, 0.0]
    """

    learning_rate: float = 2e-5
    final_learning_rate: float = 1e-6
    schedule: str = "epoch"
    num_epochs: int = 5
    steps_per_epoch: int = 1
    weight_decay: float = 0.01
    clip_norm: float | None = None
    accumulate: int = 1
    has_dropout: bool = True
    dtype: str = "float32"

    def __post_init__(self) -> None:
        for name in ("num_epochs", "steps_per_epoch", "accumulate"):
            check.integer(f"Training.{name}", getattr(self, name), 1)
        check.choice("Training.schedule", self.schedule, SCHEDULES)
        check.choice("Training.dtype", self.dtype, ("float32", "bfloat16"))
        for name in ("learning_rate", "final_learning_rate", "weight_decay"):
            remedy = f"pass {name}=1e-5, say"
            check.number(f"Training.{name}", getattr(self, name), 0, 1e3, remedy)
        if self.clip_norm is not None:
            remedy = "pass clip_norm=1.0, or None for no limit"
            check.number("Training.clip_norm", self.clip_norm, 0, 1e9, remedy, open_low=True)

    def rate(self, step: Any, steps_per_epoch: Any = None) -> Float[Array, ""]:
        """The learning rate of a step, counted from 0, with other epochs if so given."""
        if self.schedule == "constant":
            return jnp.float32(self.learning_rate)
        steps = self.steps_per_epoch if steps_per_epoch is None else steps_per_epoch
        by_epoch = self.schedule == "epoch"
        done = step // steps if by_epoch else step
        total = self.num_epochs * (1 if by_epoch else steps)
        height = self.learning_rate - self.final_learning_rate
        share = jnp.minimum(done / total, 1)
        return self.final_learning_rate + height * (1 + jnp.cos(math.pi * share)) / 2

    @property
    def optimizer(self) -> Any:
        """What changes gradients before they are multiplied by -`rate`, in optax's terms."""
        return optax.chain(
            optax.identity()
            if self.clip_norm is None
            else optax.clip_by_global_norm(self.clip_norm),
            scale_by_adam(),
            optax.add_decayed_weights(self.weight_decay),
        )


class Trainer:
    """Trains models of one shape.

    Args:
      model: one of them; its parameters are not kept.
      training: how.
      mesh: devices that share each batch, see `data_mesh`; None for one.

    >>> import jax
    >>> from collapse_jax.families import language_model as lm
    >>> config = lm.Config(vocab_size=64, hidden_size=16, num_hidden_layers=1, ffn_dim=32,
    ...                    num_attention_heads=2, max_position_embeddings=32)
    >>> model = lm.OPT(config, key=jax.random.key(0))
    >>> trainer = lm.Trainer(model, lm.Training(1e-2))
    >>> state, losses = trainer.start(model), []
    >>> for _ in range(5):
    ...     state, loss = trainer.step(state, [[2, 5, 6, 7]], key=0)
    ...     losses.append(float(loss))
    >>> losses[-1] < losses[0]
    True
    """

    def __init__(self, model: OPT, training: Training, mesh: Mesh | None = None) -> None:
        self.config, self.training, self.mesh = model.config, training, mesh
        self.structure = nnx.graphdef(model)

    def start(self, model: OPT) -> TrainingState:
        """A model's parameters, copied, before the first step."""
        params = jax.tree.map(jnp.array, nnx.state(model))
        return self.go_on(TrainingState(params, self.training.optimizer.init(params), jnp.int32(0)))

    def go_on(self, state: TrainingState) -> TrainingState:
        """A state, from the disk say, on the devices that train."""
        return on_all(state, self.mesh)

    def step(
        self,
        state: TrainingState,
        input_ids: Any,
        attention_mask: Any = None,
        labels: Any = None,
        *,
        key: Any = None,
    ) -> tuple[TrainingState, Float[Array, ""]]:
        """One step, and the mean loss before it; `state` must not be used again.

        Args:
          state: from `start` or the step before.
          input_ids: integers [batch, length].
          attention_mask: 0 for padding; None for none.
          labels: see `loss`.
          key: int or key, for dropout: the same in all steps.
        """
        batch = self.batch(input_ids, attention_mask, labels)
        same = dataclasses.replace(self.training, steps_per_epoch=1)
        program = _program(self.structure, same, self.mesh)
        steps = np.int32(self.training.steps_per_epoch)
        return program(state, batch, self._key(key), steps)

    def batch(self, input_ids: Any, attention_mask: Any = None, labels: Any = None) -> Batch:
        """A checked batch, with rows that count for nothing added so that it can be divided."""
        input_ids, mask = check_tokens(self.config, input_ids, attention_mask)
        labels = check_labels(self.config, labels, input_ids, mask)
        shares = self.training.accumulate * (1 if self.mesh is None else self.mesh.shape[AXIS])
        rows = ((0, -len(input_ids) % shares), (0, 0))
        return Batch(
            np.pad(input_ids, rows),
            np.pad(mask, rows, constant_values=True),
            np.pad(labels, rows, constant_values=IGNORED),
        )

    def gradients(self, state: TrainingState, batch: Batch, *, key: Any = None) -> tuple[Sum, Any]:
        """The summed loss of a batch and its gradients, as a step computes them."""
        program = _gradient_program(self.structure, self.training, self.mesh)
        return program(state.params, batch, self._key(key))

    def _key(self, key: Any) -> Any:
        return on_all(make_key(0 if key is None else key), self.mesh)

    def model(self, state: TrainingState) -> OPT:
        """The model with a state's parameters."""
        return nnx.merge(self.structure, state.params)


@functools.lru_cache(maxsize=64)
def _gradient_program(structure: Any, training: Training, mesh: Mesh | None) -> Any:
    return _compiled(functools.partial(_gradients, structure, training, mesh), mesh)


@functools.lru_cache(maxsize=64)
def _program(structure: Any, training: Training, mesh: Mesh | None) -> Any:
    """The compiled step, of epochs of any length."""

    def step(
        state: TrainingState, batch: Batch, key: Any, steps_per_epoch: Array
    ) -> tuple[TrainingState, Array]:
        key = jax.random.fold_in(key, state.step)
        found, gradients = _gradients(structure, training, mesh, state.params, batch, key)
        number = jnp.maximum(found.number, 1)
        gradients = jax.tree.map(lambda gradient: gradient / number, gradients)
        updates, optimizer = training.optimizer.update(gradients, state.optimizer, state.params)
        rate = training.rate(state.step, steps_per_epoch)
        updates = jax.tree.map(lambda update: -rate * update, updates)
        params = optax.apply_updates(state.params, updates)
        return TrainingState(params, optimizer, state.step + 1), found.mean

    return _compiled(step, mesh, donate_argnums=0)


def _compiled(function: Any, mesh: Mesh | None, **options: Any) -> Any:
    """On processors operations run in the order that needs least memory.

    The order that XLA takes otherwise computes as early as it can what a gradient would compute
    anew instead of keeping it.
    """
    device = jax.devices()[0] if mesh is None else mesh.devices.flat[0]
    is_processor = device.platform == "cpu"
    return jax.jit(function, compiler_options=_IN_ORDER if is_processor else None, **options)


def _gradients(
    structure: Any, training: Training, mesh: Mesh | None, params: Any, batch: Batch, key: Any
) -> tuple[Sum, Any]:
    """Sums over a batch, over all devices."""
    rows = jnp.arange(len(batch.input_ids), dtype=jnp.uint32)
    keys = jax.vmap(lambda row: jax.random.fold_in(key, row))(rows)
    compute = functools.partial(_local_gradients, structure, training)
    if mesh is None:
        return compute(params, batch, keys)
    shared, whole = PartitionSpec(AXIS), PartitionSpec()
    return jax.shard_map(
        lambda *arguments: jax.lax.psum(compute(*arguments), AXIS),
        mesh=mesh,
        in_specs=(whole, shared, shared),
        out_specs=whole,
        check_vma=False,
    )(params, batch, keys)


def _local_gradients(
    structure: Any, training: Training, params: Any, batch: Batch, keys: Any
) -> tuple[Sum, Any]:
    """Sums over the texts of one device, part after part."""

    def total(params: Any, batch: Batch, keys: Any) -> tuple[Array, Array]:
        params = jax.tree.map(lambda leaf: leaf.astype(training.dtype), params)
        given = keys if training.has_dropout else None
        found = next_token_loss(nnx.merge(structure, params), *batch, given)
        return found.total, found.number

    def of_part(batch: Batch, keys: Any) -> tuple[Sum, Any]:
        (loss, number), gradients = jax.value_and_grad(total, has_aux=True)(params, batch, keys)
        return Sum(loss, number), gradients

    if training.accumulate == 1:
        return of_part(batch, keys)

    def add(sums: Any, part: tuple[Batch, Any]) -> tuple[Any, None]:
        return jax.tree.map(jnp.add, sums, of_part(*part)), None

    parts = jax.tree.map(
        lambda leaf: leaf.reshape(training.accumulate, -1, *leaf.shape[1:]), (batch, keys)
    )
    shapes = jax.eval_shape(of_part, *jax.tree.map(lambda leaf: leaf[0], parts))
    zeros = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes)
    return jax.lax.scan(add, zeros, parts)[0]
