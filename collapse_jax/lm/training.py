"""Train networks: one compiled step of AdamW on the causal loss, on one or more devices."""

import dataclasses
import functools
import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from jax.sharding import Mesh
from jaxtyping import Array, Float, Int

from collapse_jax.lm import lora
from collapse_jax.lm.causal_lm import CausalLM
from collapse_jax.lm.checks import check_labels, check_tokens, make_key
from collapse_jax.lm.gradients import network_of, summed_gradients
from collapse_jax.lm.loss import IGNORED, Sum
from collapse_jax.lm.sharding import distributed
from collapse_jax.utils import check
from collapse_jax.utils.adam import scale_by_adam
from collapse_jax.utils.jax_settings import default_device, own_settings

SCHEDULES = ("constant", "epoch", "step")
_LEAST_MEMORY = {"xla_cpu_scheduler_type": "CPU_SCHEDULER_TYPE_MEMORY_OPTIMIZED"}


class TrainingState(NamedTuple):
    """State of training; a step reuses its memory.

    Attributes:
      params: parameters that are trained: those of the network, or adapters.
      optimizer: first and second moments of the gradients, as in optax.
      step: number of steps taken.
      frozen: parameters of the network that adapters change; None where all are trained.
    """

    params: Any
    optimizer: Any
    step: Int[Array, ""]
    frozen: Any = None


class TrainingBatch(NamedTuple):
    """Checked texts of one step.

    Attributes:
      input_ids: tokens [batch, length].
      mask: truth values [batch, length], False for padding.
      labels: tokens [batch, length], -100 at excluded positions.
    """

    input_ids: Any
    mask: Any
    labels: Any


@dataclasses.dataclass(frozen=True)
class Training:
    """Settings of training with AdamW (Loshchilov and Hutter 2019, arXiv 1711.05101).

    With g the gradient of the mean loss per label, clipped to clip_norm, a step is

        theta <- theta - rate(step) (m / (sqrt(v) + 1e-8) + weight_decay theta)

    where m and v are the bias-corrected means of g and g^2 with decay 0.9 and 0.999. Weight
    decay acts on all parameters, biases and layer norms included. The cosine schedule is

        rate = final + (initial - final) (1 + cos(pi t)) / 2

    with t = epoch / num_epochs for "epoch", as in Shumailov et al. (2024), and
    t = step / (num_epochs steps_per_epoch) for "step". After the last epoch the rate is final.

    Args:
      learning_rate: initial rate, dimensionless, in [0, 1000].
      final_learning_rate: rate at the end of a cosine, dimensionless, in [0, learning_rate]:
        there is no schedule that warms up. "constant" ignores it.
      schedule: "constant", or a cosine by "epoch" or by "step".
      num_epochs: number of passes over the corpus, >= 1.
      steps_per_epoch: number of steps of a pass, >= 1.
      weight_decay: coefficient, dimensionless, in [0, 1000].
      clip_norm: largest norm of the gradient of all parameters together, in (0, 1e9], nats
        per label and unit of parameters; None for no limit.
      accumulate: number of parts in which a batch is computed, >= 1. More parts need less
        memory; the result is equal up to rounding.
      has_dropout: whether the dropout probabilities of the model's config apply.
      dtype: "float32" or "bfloat16", of the computation; parameters preserve their type.
      trainable: "all" parameters, or "lora": low-rank changes of projections, with a
        learning rate of about ten times that of all (Hu et al. 2021, arXiv 2106.09685).
      rank: rank of a change, >= 1, at most the sizes of the projections to be of use.
      alpha: a change is multiplied by alpha / rank, dimensionless, in (0, 1e6].
      targets: last parts of the names of changed projections, such as ("q_proj", "v_proj");
        None for all projections.

    Raises:
      ValueError: if a setting is out of range, or the rate would rise.

    >>> from collapse_jax import lm
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
    trainable: str = "all"
    rank: int = 8
    alpha: float = 16.0
    targets: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        for name in ("num_epochs", "steps_per_epoch", "accumulate", "rank"):
            check.integer(f"Training.{name}", getattr(self, name), 1)
        check.choice("Training.schedule", self.schedule, SCHEDULES)
        check.choice("Training.dtype", self.dtype, ("float32", "bfloat16"))
        check.choice("Training.trainable", self.trainable, ("all", "lora"))
        remedy = "pass alpha=16.0, for example"
        check.number("Training.alpha", self.alpha, 0, 1e6, remedy, open_low=True)
        self._check_targets()
        for name in ("learning_rate", "final_learning_rate", "weight_decay"):
            remedy = f"pass for example {name}=1e-5"
            check.number(f"Training.{name}", getattr(self, name), 0, 1e3, remedy)
        first, last = self.learning_rate, self.final_learning_rate
        if self.schedule != "constant" and last > first:
            allowed = f"a cosine falls from learning_rate={first}, it does not warm up"
            remedy = f"pass final_learning_rate={first} or less, or schedule='constant'"
            raise check.fail("Training.final_learning_rate", last, allowed, remedy)
        if self.clip_norm is not None:
            remedy = "pass clip_norm=1.0, or None for no limit"
            check.number("Training.clip_norm", self.clip_norm, 0, 1e9, remedy, open_low=True)

    def _check_targets(self) -> None:
        """Refuse targets that are no names; a list becomes a tuple."""
        if self.targets is None:
            return
        allowed, remedy = "it must be a list of names", 'pass targets=("q_proj", "v_proj") or None'
        check.instance("Training.targets", self.targets, (list, tuple), allowed, remedy)
        names = tuple(self.targets)
        if not names or not all(isinstance(name, str) and name for name in names):
            raise check.fail("Training.targets", self.targets, allowed, remedy)
        object.__setattr__(self, "targets", names)

    @own_settings()
    def rate(self, step: Any, steps_per_epoch: Any = None) -> Float[Array, ""]:
        """Compute the learning rate of a step.

        Args:
          step: number of earlier steps, an integer >= 0.
          steps_per_epoch: number of steps of a pass; None for that of the settings.

        Returns:
          Learning rate [], dimensionless, between initial and final rate.
        """
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
        """Return the optax transformation of gradients up to the dimensionless factor -`rate`."""
        return optax.chain(
            optax.identity()
            if self.clip_norm is None
            else optax.clip_by_global_norm(self.clip_norm),
            scale_by_adam(),
            optax.add_decayed_weights(self.weight_decay),
        )


class Trainer:
    """Training loop for networks of one architecture.

    `start` copies a model's parameters into a state, `step` applies one step of AdamW (see
    `Training`) to a batch and returns the next state, and `model` returns the trained network.
    A state holds the parameters and two arrays of moments in their type, so that its memory is
    three times that of the parameters; a step needs gradients and activations in addition,
    which `create(remat=True)` and `Training.accumulate` reduce.

    The dropout of a text depends on the key, the step and its row. The number of devices and of
    parts therefore changes a step only by the order of sums. On a mesh of `data_mesh` every device
    has all parameters; on one of `mesh` with fsdp > 1 it has a share of parameters, moments and
    gradients. `step` compiles once for each shape of batches, and reuses the memory of the state
    that it is given.

    Args:
      model: network with the architecture to train; its parameters are not retained.
      training: settings of training.
      mesh: devices that share each batch, see `data_mesh` and `mesh`; None for the default device.

    >>> from collapse_jax import lm
    >>> config = lm.OPTConfig(vocab_size=64, hidden_size=16, num_hidden_layers=1, ffn_dim=32,
    ...                    num_attention_heads=2, max_position_embeddings=32)
    >>> model = lm.create(config, key=0)
    >>> trainer = lm.Trainer(model, lm.Training(1e-2))
    >>> state, losses = trainer.start(model), []
    >>> for _ in range(5):
    ...     state, loss = trainer.step(state, [[2, 5, 6, 7]], key=0)
    ...     losses.append(float(loss))
    >>> losses[-1] < losses[0]
    True
    """

    def __init__(self, model: CausalLM, training: Training, mesh: Mesh | None = None) -> None:
        self.config, self.training, self.mesh = model.config, training, mesh
        self.structure = nnx.graphdef(model)

    def __getattr__(self, name: str) -> Any:
        """Name the successor of a method of version 0.1."""
        former = {"go_on": "Trainer.go_on is now Trainer.resume"}
        raise AttributeError(former.get(name, f"a Trainer has no attribute {name!r}"))

    @own_settings()
    def start(self, model: CausalLM, *, key: Any = None) -> TrainingState:
        """Make the state before step 0.

        Args:
          model: network whose parameters are copied.
          key: seed or key for the first numbers of adapters; None for seed 0.

        Returns:
          State with the number of steps 0.

        Raises:
          ValueError: if a target of adapters names no projection of the network.
        """
        return self.resume(self.initial(nnx.state(model), 0 if key is None else key))

    def initial(self, params: Any, key: Any = 0) -> TrainingState:
        """Make the state before step 0, where the arrays lie.

        Args:
          params: parameters of the network.
          key: seed or key of `jax.random` for adapters.

        Returns:
          State with copies of the parameters and the number of steps 0.
        """
        params, frozen = jax.tree.map(jnp.array, params), None
        if self.training.trainable == "lora":
            settings, frozen = self.training, params
            model = nnx.merge(self.structure, params)
            params = lora.create_adapters(model, settings.rank, settings.targets, key)
        return TrainingState(params, self.training.optimizer.init(params), jnp.int32(0), frozen)

    @own_settings()
    def resume(self, state: TrainingState) -> TrainingState:
        """Copy a state, for example one read from disk, to the devices that train.

        Args:
          state: state after any number of steps, of NumPy or on any other devices.

        Returns:
          The state on all devices of the mesh, divided among them as the mesh says.
        """
        return distributed(state, self.mesh)

    @own_settings()
    def step(
        self,
        state: TrainingState,
        input_ids: Any,
        attention_mask: Any = None,
        labels: Any = None,
        *,
        key: Any = None,
    ) -> tuple[TrainingState, Float[Array, ""]]:
        """Apply one step of AdamW.

        Args:
          state: state from `start` or the previous step; invalid afterwards.
          input_ids: tokens, integers [batch, length].
          attention_mask: [batch, length], 1 for tokens and 0 for padding; None for no
            padding.
          labels: tokens [batch, length], -100 to exclude a position, see `loss`; None for all
            tokens except padding.
          key: seed or key for dropout, one for all steps; None for seed 0.

        Returns:
          The next state, and the mean loss before the step, nats per token.

        Raises:
          ValueError: for tokens, mask or labels that `loss` refuses.
        """
        batch = self.batch(input_ids, attention_mask, labels)
        steps = np.int32(self.training.steps_per_epoch)
        return self.program(state, batch, self._key(key), steps)

    @property
    def program(self) -> Any:
        """Return the compiled step, of state, batch, key and the number of steps of an epoch."""
        same = dataclasses.replace(self.training, steps_per_epoch=1)
        return _program(self.structure, same, self.mesh, self._is_on_cpu())

    @own_settings()
    def batch(
        self, input_ids: Any, attention_mask: Any = None, labels: Any = None
    ) -> TrainingBatch:
        """Check a batch, and append rows without labels until it can be divided.

        Args:
          input_ids: tokens, integers [batch, length].
          attention_mask: [batch, length], 1 for tokens and 0 for padding; None for no
            padding.
          labels: tokens [batch, length], -100 to exclude a position; None for all tokens
            except padding.

        Returns:
          Batch whose number of rows is a multiple of parts times devices.

        Raises:
          ValueError: for tokens, mask or labels that `loss` refuses.
        """
        input_ids, mask = check_tokens(self.config, input_ids, attention_mask)
        labels = check_labels(self.config, labels, input_ids, mask)
        shares = self.training.accumulate * (1 if self.mesh is None else self.mesh.size)
        rows = ((0, -len(input_ids) % shares), (0, 0))
        return TrainingBatch(
            np.pad(input_ids, rows),
            np.pad(mask, rows, constant_values=True),
            np.pad(labels, rows, constant_values=IGNORED),
        )

    @own_settings()
    def gradients(
        self, state: TrainingState, batch: TrainingBatch, *, key: Any = None
    ) -> tuple[Sum, Any]:
        """Compute the summed loss of a batch and its gradients, as a step does.

        Args:
          state: state whose parameters are used; it stays valid.
          batch: result of `batch`.
          key: seed or key for dropout; None for seed 0.

        Returns:
          The sum of the loss, nats, with its number of labels; and the gradients of the sum,
          nats per unit of each trained parameter.
        """
        program = _gradient_program(self.structure, self.training, self.mesh, self._is_on_cpu())
        return program((state.params, state.frozen), batch, self._key(key))

    def _is_on_cpu(self) -> bool:
        """Tell whether training is on CPU devices."""
        if self.mesh is not None:
            return self.mesh.devices.flat[0].platform == "cpu"
        return (default_device() or jax.devices()[0]).platform == "cpu"

    def _key(self, key: Any) -> Any:
        """Return the key on all devices."""
        return distributed(make_key(0 if key is None else key), self.mesh)

    def model(self, state: TrainingState) -> CausalLM:
        """Make the network of a state.

        Args:
          state: state after any number of steps.

        Returns:
          Network that shares the arrays of the state, which the next step invalidates. Adapters
          are added to the weights that they change.
        """
        return network_of(self.structure, self.training, (state.params, state.frozen))

    def save_adapters(self, state: TrainingState, path: Any, *, base: str = "") -> None:
        """Write the adapters of a state as PEFT reads them.

        Args:
          state: state of training with trainable="lora".
          path: folder for adapter_config.json and adapter_model.safetensors.
          base: name or folder of the pretrained model, for PEFT; "" for none.

        Raises:
          ValueError: if all parameters are trained.
        """
        if state.frozen is None:
            allowed, remedy = "all parameters are trained", "write the network by lm.save"
            raise check.fail("Training.trainable", self.training.trainable, allowed, remedy)
        model = nnx.merge(self.structure, state.frozen)
        lora.save_adapters(path, state.params, model, self.training.alpha, base)


@functools.lru_cache(maxsize=64)
def _gradient_program(
    structure: Any, training: Training, mesh: Mesh | None, is_on_cpu: bool
) -> Any:
    """Return the compiled loss and gradients."""
    return _compiled(functools.partial(summed_gradients, structure, training, mesh), is_on_cpu)


@functools.lru_cache(maxsize=64)
def _program(structure: Any, training: Training, mesh: Mesh | None, is_on_cpu: bool) -> Any:
    """Return the compiled step; the length of an epoch is an argument."""

    def step(
        state: TrainingState, batch: TrainingBatch, key: Any, steps_per_epoch: Array
    ) -> tuple[TrainingState, Array]:
        key = jax.random.fold_in(key, state.step)
        weights = state.params, state.frozen
        found, gradients = summed_gradients(structure, training, mesh, weights, batch, key)
        number = jnp.maximum(found.number, 1)
        gradients = jax.tree.map(lambda gradient: gradient / number, gradients)
        updates, optimizer = training.optimizer.update(gradients, state.optimizer, state.params)
        rate = training.rate(state.step, steps_per_epoch)
        updates = jax.tree.map(lambda update: -rate * update, updates)
        params = optax.apply_updates(state.params, updates)
        return TrainingState(params, optimizer, state.step + 1, state.frozen), found.mean

    return _compiled(step, is_on_cpu, donate_argnums=0)


def _compiled(function: Any, is_on_cpu: bool, **options: Any) -> Any:
    """Return the compiled function, with operations in the order of least memory on CPU.

    By default XLA's CPU scheduler recomputes activations for gradients (`remat`) as early as
    possible, so that they are all in memory together.
    """
    return jax.jit(function, compiler_options=_LEAST_MEMORY if is_on_cpu else None, **options)
