"""Train on a mixture of new, previous and original data: the general process of the paper."""

import dataclasses
from collections.abc import Sequence
from typing import Any, Self

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int

from collapse_jax.config import config, replace_fields, static
from collapse_jax.core.corpus import AbstractCorpus, Size, join
from collapse_jax.core.policy import AbstractPolicy, FreshShare, Recall, Step, Verifier
from collapse_jax.core.selection import AbstractSelection
from collapse_jax.core.state import Needs
from collapse_jax.policies.checks import check_length, check_selection, check_sizes
from collapse_jax.policies.detector import Detector, check_detector
from collapse_jax.random.alias import AliasTable, binomial_table, draw_from
from collapse_jax.random.binomial import binomial
from collapse_jax.random.keys import Purpose
from collapse_jax.utils import check
from collapse_jax.utils.counted import counted

_CAPACITIES = 8  # numbers of slots for original rows: each is a program of its own
_NEVER = 1e-12  # probability of a run that is refused late: no study repeats so many
Shares = tuple[Array, Array, Array]


@config
class Mixing(AbstractPolicy):
    """D_{i+1} ~ p_{i+1} = alpha_i p_model + beta_i p_i + gamma_i p_0, in num_samples rows.

    The process of Shumailov et al. 2024, equation (1): alpha weighs the newest model,
    beta the previous generation's data, gamma original data.

    Args:
      num_samples: M, one number or M_0 .. M_G; None for the size of the original data.
      alpha: share of rows from the newest model, one number or one for each of D_1 .. D_G;
        None for 1 - beta - gamma.
      beta: share of previous data, likewise.
      gamma: share of original data, likewise.
      previous: source of beta's rows: "data", a random subset of the rows of D_i, or
        "distribution", new draws from the law p_i, a mixture of all earlier models and p_0.
      original: source of gamma's rows: "distribution", new independent draws from p_0, or
        "data", a random subset of the rows of D_0.
      allocation: "multinomial", the origin of each row is drawn, or "fixed", exact numbers
        of rows by largest remainder.
      verifier: a verifier of the newest model's rows, see `Replace`.
      selection: what makes the model's part of the corpus from its rows, see `Replace`.
      detector: a filter of rows from both origins: alpha and gamma are then the shares before it.
        None for no filter.

    Raises:
      ValueError: for shares outside [0, 1] or that do not sum to 1 to within 1e-6, schedules
        that disagree, a subset larger than what it is chosen from, or a detector with beta > 0 or
        allocation "fixed".

    >>> import collapse_jax as cj
    >>> policy = cj.Mixing([100, 200, 400], beta=0.2, gamma=[0.1, 0.3])
    >>> policy.sizes(2).tolist(), policy.gamma.tolist()
    ([100, 200, 400], [0.1, 0.3])
    >>> policy.reuses_rows
    True
    """

    num_samples: int | Sequence[int] | None = static(default=None)
    alpha: float | Sequence[float] | None = None
    beta: float | Sequence[float] = 0.0
    gamma: float | Sequence[float] = 0.0
    previous: str = static(default="data")
    original: str = static(default="distribution")
    allocation: str = static(default="multinomial")
    verifier: Verifier | None = static(default=None)
    selection: AbstractSelection | None = static(default=None)
    detector: Detector | None = None
    fixed_counts: Any = dataclasses.field(init=False, repr=False, default=None)
    table: Any = dataclasses.field(init=False, repr=False, default=None)  # of original rows
    uses_previous: bool = static(init=False, repr=False, default=False)
    reuses_original: bool = static(init=False, repr=False, default=False)
    most_original: int | None = static(init=False, repr=False, default=None)  # rows, if bounded
    num_shares: tuple[tuple[str, int], ...] = static(init=False, repr=False, default=())

    def __post_init__(self) -> None:
        sizes = check_sizes("Mixing.num_samples", self.num_samples)
        check.choice("Mixing.previous", self.previous, ("data", "distribution"))
        check.choice("Mixing.original", self.original, ("distribution", "data"))
        check.choice("Mixing.allocation", self.allocation, ("multinomial", "fixed"))
        check_selection(self, None)
        given = {
            name: _check_share(f"Mixing.{name}", getattr(self, name))
            for name in ("alpha", "beta", "gamma")
            if getattr(self, name) is not None
        }
        lengths = {name: len(share) for name, share in given.items() if share.ndim}
        if isinstance(sizes, tuple):
            lengths["num_samples[1:]"] = len(sizes) - 1
        if len(set(lengths.values())) > 1:
            allowed = "schedules need one entry for each of D_1 .. D_G"
            raise check.fail("lengths in Mixing", lengths, allowed, "give them equal lengths")
        _check_sum(given)
        check_detector(self.detector, given, self.allocation)
        if (
            self.selected_by is not None
            and self.previous == "distribution"
            and np.any(given["beta"] > 0)
        ):
            allowed = "rows of earlier models are drawn anew, without the verifier or selection"
            raise check.fail("Mixing.previous", self.previous, allowed, "use previous='data'")
        values = {
            "num_samples": sizes,
            "uses_previous": bool(np.any(given["beta"] > 0)),
            "reuses_original": self.original == "data" and bool(np.any(given["gamma"] > 0)),
            "num_shares": tuple((name, one.size) for name, one in given.items() if one.ndim),
            **{name: _constant(share) for name, share in given.items()},
        }
        for name, value in values.items():
            object.__setattr__(self, name, value)
        if sizes is not None:
            if self.allocation == "fixed":
                counts = self._fixed_counts()
                object.__setattr__(self, "fixed_counts", counts)
                object.__setattr__(
                    self, "most_original", self._rounded(int(np.max(counts[..., 1])))
                )
            elif (table := self._table()) is not None:
                object.__setattr__(self, "table", table)
                object.__setattr__(self, "most_original", self._rounded(table.largest))
            self._check_subsets()
        check_selection(self, self._most_new)

    @property
    def _most_new(self) -> int | None:
        """Return the most rows that are drawn from a model, None where M is not known yet."""
        if self.num_samples is None:
            return None
        _, sizes, _ = self._schedule()
        if self.fixed_counts is not None:
            sizes = sizes - np.sum(np.atleast_2d(self.fixed_counts), axis=1)
        return int(np.max(sizes))

    @property
    def reuses_previous(self) -> bool:
        """Tell whether rows of the previous corpus are chosen."""
        return self.uses_previous and self.previous == "data"

    @property
    def needs(self) -> Needs:
        """Return the corpora that rows are chosen from."""
        return Needs(self.reuses_previous, self.reuses_original, self.reuses_original)

    @property
    def recalls(self) -> Recall | None:
        """Return LAW if rows are drawn from p_g again."""
        is_law = self.uses_previous and self.previous == "distribution"
        return Recall.LAW if is_law else None

    @property
    def is_growing(self) -> bool:
        """Tell whether a mixture of all earlier models is remembered."""
        return self.recalls is not None

    @property
    def reuses_rows(self) -> bool:
        """Tell whether subsets of earlier rows are chosen."""
        return self.reuses_previous or self.reuses_original

    @property
    def is_elementwise(self) -> bool:
        """Tell whether no law is mixed, whose weights are summed."""
        return self.recalls is None

    @property
    def has_fixed_size(self) -> bool:
        """Tell whether the schedule is constant and no row can be refused."""
        return isinstance(self.size(0), int) and not self.can_refuse

    def capacity(self, num_generations: int) -> int:
        """Return the slots of the largest corpus."""
        return self.largest_size

    def validate(self, num_generations: int) -> None:
        """Refuse schedules without G + 1 sizes or G shares."""
        check_length("Mixing.num_samples", self.num_samples, num_generations)
        for name, length in self.num_shares:
            if length != num_generations:
                allowed = (
                    f"num_generations={num_generations} needs {counted(num_generations, 'share')}"
                )
                remedy = "pass one number, or one share for each of D_1 .. D_G"
                raise check.fail(f"len(Mixing.{name})", length, allowed, remedy)

    @property
    def reads_values(self) -> bool:
        """Return False: rows are passed on as they are."""
        return False

    def resolve(self, family: Any) -> Self:
        """Forget the slots for original rows where the mixed law is drawn from at once.

        They are a static field: all shares then have one program.
        """
        is_one_law = type(self) is Mixing and self._is_independent and family.has_explicit_law
        policy: Any = replace_fields(self, most_original=None) if is_one_law else self
        return policy

    def init(self, corpus: AbstractCorpus, num_generations: int) -> Any:
        """Return None: the law is remembered by the family."""
        return None

    def fresh_share(self, num_generations: int) -> FreshShare | None:
        """Return gamma, if no row is reused or drawn from an earlier law."""
        if type(self) is not Mixing or self.uses_previous or self.reuses_original:
            return None
        if self.allocation == "fixed":
            original = np.atleast_2d(self.fixed_counts)[:, 1]
            sizes = self.sizes(num_generations)[1:]
            return FreshShare(np.broadcast_to(original, num_generations) / sizes, "fixed")
        gamma = self._passed(np.asarray(self.gamma, np.float64))
        return FreshShare(np.broadcast_to(gamma, num_generations), "multinomial")

    def shares(self, generation: Int[Array, ""]) -> Shares:
        """Return alpha, beta and gamma of the corpus of `generation`, after the detector."""

        def at(share: Any) -> Array:
            values = jnp.asarray(share, jnp.result_type(float))
            return values[generation - 1] if values.ndim else values

        beta, gamma = at(self.beta), at(self.gamma)
        alpha = jnp.maximum(1 - beta - gamma, 0) if self.alpha is None else at(self.alpha)
        if self.detector is not None:
            gamma = self._passed(gamma)
            alpha = 1 - gamma
        return alpha, beta, gamma

    def _passed(self, gamma: Any) -> Any:
        """Return the share of original rows among those that pass the detector."""
        return gamma if self.detector is None else self.detector.effective_share(gamma)

    def next(self, step: Step) -> tuple[AbstractCorpus, Any]:
        """Return rows from the mixed law, or the rows of each part joined."""
        size, capacity = self.size(step.generation), self.largest_size
        shares = self.shares(step.generation)
        num_previous = self._num_previous(step, size, shares)
        law = step.model.mix(step.memory, shares) if self.recalls else step.memory
        if self._is_independent and (self.recalls or step.model.has_explicit_law):
            # New and original rows are draws from one law; so are previous ones under LAW.
            mixed = law if self.recalls else step.model.mix(None, shares)
            sizes = [size - num_previous if self.reuses_previous else size]
            parts = [step.model.from_law(mixed, sizes[0], capacity)]
        else:
            num_original = self._num_original(step, size - num_previous, shares)
            sizes = [size - num_previous - num_original, num_original]
            parts = [step.model(sizes[0], capacity), self._original_rows(step, num_original)]
            if self.recalls:
                sizes.append(num_previous)
                parts.append(step.model.from_law(step.memory, num_previous, capacity))
        if self.reuses_previous:
            existing = self.size(step.generation - 1)
            sizes.append(num_previous)
            parts.append(
                step.corpus.subsample(step.keys, Purpose.REUSE, num_previous, capacity, existing)
            )
        return join(parts, sizes, capacity, self.has_fixed_size), law

    def _original_rows(self, step: Step, number: Array) -> AbstractCorpus:
        """Return rows of D_0, or new ones from p_0."""
        most = self.largest_size if self.most_original is None else self.most_original
        if not self.reuses_original:
            return step.original.independent(number, most)
        assert step.generation0 is not None
        original, existing = step.generation0.corpus, self.initial_size
        return original.subsample(step.keys, Purpose.REUSE_ORIGINAL, number, most, existing)

    @property
    def _is_independent(self) -> bool:
        """Tell whether rows that are not reused are independent draws from one law."""
        return (
            self.allocation == "multinomial"
            and self.original == "distribution"
            and self.selected_by is None
        )

    def _num_previous(self, step: Step, size: Size, shares: Shares) -> Array:
        """Draw the number of rows from the previous corpus or its law."""
        if self.allocation == "fixed":
            return self._fixed_at(step.generation)[0]
        if not self.uses_previous:
            return jnp.zeros((), jnp.int32)
        alpha, beta, gamma = shares
        number = binomial(step.keys, Purpose.POLICY, size, beta, alpha + gamma)
        if not self.reuses_previous:
            return number
        return jnp.minimum(number, self.size(step.generation - 1))

    def _num_original(self, step: Step, rest: Size, shares: Shares) -> Array:
        """Draw the number of original rows among those that are not previous."""
        if self.allocation == "fixed":
            return self._fixed_at(step.generation)[1]
        alpha, _, gamma = shares
        if self.table is not None:
            number = draw_from(step.keys, Purpose.POLICY, self.table, round=1)
        else:
            others = jnp.where(alpha + gamma <= 0, 1, alpha)
            number = binomial(step.keys, Purpose.POLICY, rest, gamma, others, round=1)
        return jnp.minimum(number, self.initial_size) if self.reuses_original else number

    def _fixed_at(self, generation: Int[Array, ""]) -> Array:
        counts = jnp.asarray(self.fixed_counts)
        return counts[generation - 1] if counts.ndim > 1 else counts

    def _schedule(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return sizes M_0 .. M_{G-1} and M_1 .. M_G, and shares [G, 3]; G = 1 if all are equal."""
        sizes = np.atleast_1d(np.array(self.total_sizes, np.int64))
        previous, following = sizes[: max(len(sizes) - 1, 1)], sizes[min(len(sizes) - 1, 1) :]
        beta, gamma = np.asarray(self.beta, np.float64), np.asarray(self.gamma, np.float64)
        alpha = 1 - beta - gamma if self.alpha is None else np.asarray(self.alpha, np.float64)
        if self.detector is not None:
            gamma = self._passed(gamma)
            alpha = 1 - gamma
        shares = np.stack(np.broadcast_arrays(alpha, beta, gamma), axis=-1).reshape(-1, 3)
        length = max(len(shares), len(following))
        shares = np.broadcast_to(np.clip(shares, 0, 1), (length, 3))
        return np.broadcast_to(previous, length), np.broadcast_to(following, length), shares

    def _fixed_counts(self) -> np.ndarray:
        """Return numbers of previous and original rows by largest remainder, [2] or [G, 2]."""
        _, sizes, shares = self._schedule()
        quotas = np.round(sizes[:, None] * shares / shares.sum(axis=1, keepdims=True), 9)
        counts = np.floor(quotas).astype(np.int64)
        missing = sizes - counts.sum(axis=1)
        order = np.argsort(counts - quotas, axis=1, kind="stable")
        ranks = np.argsort(order, axis=1, kind="stable")
        counts = (counts + (ranks < missing[:, None])).astype(np.int32)[:, 1:]
        return counts[0] if len(counts) == 1 else counts

    def _table(self) -> AliasTable | None:
        """Return the law of the number of original rows, if it is that of every generation."""
        size, gamma = self.size(0), np.asarray(self.gamma)
        if self.uses_previous or not isinstance(size, int) or gamma.ndim or self.num_shares:
            return None
        alpha = 1 - gamma if self.alpha is None else np.asarray(self.alpha)
        if self.detector is not None:
            gamma = self._passed(gamma)
            alpha = 1 - gamma
        return binomial_table(size, float(gamma), max(0.0, float(alpha)))

    def _rounded(self, rows: int) -> int:
        """Return slots for rows: a multiple of an eighth, so that shares share compilations."""
        most = self.initial_size if self.reuses_original else self.largest_size
        step = max(1, self.largest_size // _CAPACITIES)
        return min(-(-rows // step) * step, max(most, rows))

    def _check_subsets(self) -> None:
        """Refuse subsets without replacement that are larger than what exists."""
        before, sizes, shares = self._schedule()
        exists = {}
        if self.reuses_previous:
            exists["beta"] = (before, 1, "the previous corpus")
        if self.reuses_original:
            exists["gamma"] = (np.full(len(sizes), self.initial_size), 2, "D_0")
        for name, (rows, column, what) in exists.items():
            if self.allocation == "fixed":
                too_many = np.atleast_2d(self.fixed_counts)[:, column - 1] > rows
            else:
                too_many = _chance_above(sizes, shares[:, column], rows) > _NEVER
            if np.any(too_many):
                entry = int(np.argmax(too_many))
                allowed = (
                    f"{counted(sizes[entry], 'row')} of D_{entry + 1} at this share exceed the "
                    f"{counted(rows[entry], 'row')} of {what}, a subset without replacement"
                )
                remedy = f"lower {name}, or draw from the law with 'distribution'"
                raise check.fail(f"Mixing.{name}", float(shares[entry, column]), allowed, remedy)


def _check_share(name: str, value: Any) -> np.ndarray:
    """Return a share or a schedule of shares, as float64."""
    remedy = "pass a share in [0, 1], or one for each of D_1 .. D_G"
    share = check.array(name, value, (0, 1), remedy)
    bad = np.flatnonzero((share < 0) | (share > 1))
    if bad.size:
        entry = f"[{bad[0]}]" if share.ndim else ""
        shown = float(share.flat[bad[0]])
        remedy = check.of_percent(name, shown, remedy)
        raise check.fail(f"{name}{entry}", shown, "it must lie in [0, 1]", remedy)
    return share


def _check_sum(shares: dict[str, np.ndarray]) -> None:
    total = np.atleast_1d(np.asarray(sum(shares.values())))
    has_alpha = "alpha" in shares
    wrong = np.abs(total - 1) > 1e-6 if has_alpha else total > 1 + 1e-6
    if np.any(wrong):
        entry = int(np.argmax(wrong))
        name = "alpha + beta + gamma" if has_alpha else "beta + gamma"
        allowed = "they must sum to 1 to within 1e-6" if has_alpha else "it must be at most 1"
        remedy = "leave alpha out for 1 - beta - gamma"
        raise check.fail(f"Mixing.{name}", float(total[entry]), allowed, remedy)


def _constant(share: np.ndarray) -> np.ndarray:
    """Return the entry of a schedule whose entries are equal, or the schedule."""
    return share.reshape(-1)[0] if np.all(share == share.reshape(-1)[0]) else share


def _chance_above(n: np.ndarray, share: np.ndarray, limit: np.ndarray) -> np.ndarray:
    """Return P(Binomial(n, share) > limit)."""
    from scipy import special

    inside = limit < n
    chance = special.bdtrc(np.where(inside, limit, 0), n, share)
    return np.where(inside, chance, 0.0)
