"""Train on a mixture of new, previous and original data: the general process of the paper."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int

from collapse_jax.config import config, static
from collapse_jax.core.corpus import AbstractCorpus, Size, join
from collapse_jax.core.policy import (
    AbstractPolicy,
    Verifier,
    check_length,
    check_sizes,
    check_verifier,
)
from collapse_jax.random.binomial import binomial
from collapse_jax.random.keys import Keys, Purpose
from collapse_jax.utils import check

_NEVER = 1e-12  # a chance that is as good as none
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
      previous: where those of beta come from: "data", a random subset of the rows of D_i, or
        "distribution", drawn anew from the law p_i, a mixture of all earlier models and p_0.
      original: where those of gamma come from: "distribution", drawn anew and independently
        from p_0, or "data", a random subset of the rows of D_0.
      allocation: "multinomial", each row's origin drawn by itself, or "fixed", exact numbers
        of rows by largest remainder.
      verifier: a verifier of the newest model's rows, see `Replace`.

    Raises:
      ValueError: for shares outside [0, 1] or that do not sum to 1 to within 1e-6, schedules
        that disagree, or a subset larger than what it is chosen from.

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
    fixed_counts: Any = dataclasses.field(init=False, repr=False, default=None)
    uses_previous: bool = static(init=False, repr=False, default=False)
    chooses_first: bool = static(init=False, repr=False, default=False)
    num_shares: tuple[int, ...] = static(init=False, repr=False, default=())

    def __post_init__(self) -> None:
        sizes = check_sizes("Mixing.num_samples", self.num_samples)
        check.choice("Mixing.previous", self.previous, ("data", "distribution"))
        check.choice("Mixing.original", self.original, ("distribution", "data"))
        check.choice("Mixing.allocation", self.allocation, ("multinomial", "fixed"))
        check_verifier("Mixing.verifier", self.verifier)
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
        if (
            self.verifier is not None
            and self.previous == "distribution"
            and np.any(given["beta"] > 0)
        ):
            allowed = "rows of earlier models are drawn anew, without the verifier"
            raise check.fail("Mixing.previous", self.previous, allowed, "use previous='data'")
        values = {
            "num_samples": sizes,
            "uses_previous": bool(np.any(given["beta"] > 0)),
            "chooses_first": self.original == "data" and bool(np.any(given["gamma"] > 0)),
            "num_shares": tuple(share.size for share in given.values() if share.ndim),
            **{name: _constant(share) for name, share in given.items()},
        }
        for name, value in values.items():
            object.__setattr__(self, name, value)
        if sizes is not None:
            if self.allocation == "fixed":
                object.__setattr__(self, "fixed_counts", self._fixed_counts())
            self._check_subsets()

    @property
    def uses_first(self) -> bool:
        """Whether rows of D_0 are chosen."""
        return self.chooses_first

    @property
    def keeps_corpus(self) -> bool:
        """Whether rows of the previous corpus are chosen."""
        return self.uses_previous and self.previous == "data"

    @property
    def history(self) -> str | None:
        """The law p_g, where rows are drawn from it again."""
        return "law" if self.uses_previous and self.previous == "distribution" else None

    @property
    def is_growing(self) -> bool:
        """The law of a continuous corpus is a mixture of all earlier models."""
        return self.history == "law"

    @property
    def reuses_rows(self) -> bool:
        """Whether subsets of earlier rows are chosen."""
        return self.keeps_corpus or self.uses_first

    @property
    def is_elementwise(self) -> bool:
        """Only the weights of an earlier law are summed."""
        return self.history is None

    @property
    def has_fixed_size(self) -> bool:
        """Whether the schedule is constant and no row can be refused."""
        return isinstance(self.size(0), int) and self.verifier is None

    def capacity(self, num_generations: int) -> int:
        """The largest corpus."""
        return self.largest_size

    def validate(self, num_generations: int) -> None:
        """Schedules must have G + 1 sizes and G shares."""
        check_length("Mixing.num_samples", self.num_samples, num_generations)
        for length in self.num_shares:
            if length != num_generations:
                allowed = f"num_generations={num_generations} needs {num_generations} shares"
                remedy = "pass one number, or one share for each of D_1 .. D_G"
                name = "length of Mixing's alpha, beta or gamma"
                raise check.fail(name, length, allowed, remedy)

    def init(self, corpus: AbstractCorpus, num_generations: int) -> Any:
        """Nothing to remember but the law, which the family does."""
        return None

    def shares(self, generation: Int[Array, ""]) -> Shares:
        """alpha, beta and gamma of the corpus of `generation`."""

        def at(share: Any) -> Array:
            values = jnp.asarray(share, jnp.result_type(float))
            return values[generation - 1] if values.ndim else values

        beta, gamma = at(self.beta), at(self.gamma)
        alpha = jnp.maximum(1 - beta - gamma, 0) if self.alpha is None else at(self.alpha)
        return alpha, beta, gamma

    def next(
        self,
        keys: Keys,
        generation: Int[Array, ""],
        model_draw: Any,
        original_draw: Any,
        corpus: AbstractCorpus | None,
        memory: Any,
        first: Any,
    ) -> tuple[AbstractCorpus, Any]:
        """Rows from the mixture, or each part's rows one after the other."""
        size, room = self.size(generation), self.largest_size
        shares = self.shares(generation)
        num_previous = self._num_previous(keys, generation, size, shares)
        law = memory
        if self.history:
            law = model_draw.mix(memory, shares)
        if self._is_independent and (self.history or model_draw.has_explicit_law):
            # New and original rows are draws from one law; so are previous ones under "law".
            mixed = law if self.history else model_draw.mix(None, shares)
            sizes = [size - num_previous if self.keeps_corpus else size]
            parts = [model_draw.from_law(mixed, sizes[0], room)]
        else:
            num_original = self._num_original(keys, generation, size - num_previous, shares)
            sizes = [size - num_previous - num_original, num_original]
            parts = [model_draw(sizes[0], room), None]
            if self.uses_first:
                there = self.initial_size
                parts[1] = first[1].subsample(keys, Purpose.FIRST, num_original, room, there)
            else:
                parts[1] = original_draw.independent(num_original, room)
            if self.history:
                sizes.append(num_previous)
                parts.append(model_draw.from_law(memory, num_previous, room))
        if self.keeps_corpus:
            assert corpus is not None
            there = self.size(generation - 1)
            sizes.append(num_previous)
            parts.append(corpus.subsample(keys, Purpose.REUSE, num_previous, room, there))
        return join(parts, sizes, room, self.has_fixed_size), law

    @property
    def _is_independent(self) -> bool:
        """Whether rows that are not chosen from earlier ones are independent draws from one law."""
        return (
            self.allocation == "multinomial"
            and self.original == "distribution"
            and self.verifier is None
        )

    def _num_previous(
        self, keys: Keys, generation: Int[Array, ""], size: Size, shares: Shares
    ) -> Array:
        """How many rows come from the previous corpus or its law."""
        if self.allocation == "fixed":
            return self._fixed_at(generation)[0]
        if not self.uses_previous:
            return jnp.zeros((), jnp.int32)
        alpha, beta, gamma = shares
        number = binomial(keys, Purpose.POLICY, size, beta, alpha + gamma)
        return jnp.minimum(number, self.size(generation - 1)) if self.keeps_corpus else number

    def _num_original(
        self, keys: Keys, generation: Int[Array, ""], rest: Size, shares: Shares
    ) -> Array:
        """How many of the rows that are not previous are original."""
        if self.allocation == "fixed":
            return self._fixed_at(generation)[1]
        alpha, _, gamma = shares
        is_none = alpha + gamma <= 0
        number = binomial(keys, Purpose.POLICY, rest, gamma, jnp.where(is_none, 1, alpha), round=1)
        return jnp.minimum(number, self.initial_size) if self.uses_first else number

    def _fixed_at(self, generation: Int[Array, ""]) -> Array:
        counts = jnp.asarray(self.fixed_counts)
        return counts[generation - 1] if counts.ndim > 1 else counts

    def _schedule(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Sizes M_1 .. M_G and the shares that make them, [G, 3]; G = 1 if all are constant."""
        sizes = np.atleast_1d(np.array(self.total_sizes, np.int64))
        previous, following = sizes[: max(len(sizes) - 1, 1)], sizes[min(len(sizes) - 1, 1) :]
        beta, gamma = np.asarray(self.beta, np.float64), np.asarray(self.gamma, np.float64)
        alpha = 1 - beta - gamma if self.alpha is None else np.asarray(self.alpha, np.float64)
        shares = np.stack(np.broadcast_arrays(alpha, beta, gamma), axis=-1).reshape(-1, 3)
        length = max(len(shares), len(following))
        shares = np.broadcast_to(np.clip(shares, 0, 1), (length, 3))
        return np.broadcast_to(previous, length), np.broadcast_to(following, length), shares

    def _fixed_counts(self) -> np.ndarray:
        """Previous and original rows by largest remainder, [2] or [G, 2]."""
        _, sizes, shares = self._schedule()
        quotas = np.round(sizes[:, None] * shares / shares.sum(axis=1, keepdims=True), 9)
        counts = np.floor(quotas).astype(np.int64)
        missing = sizes - counts.sum(axis=1)
        order = np.argsort(counts - quotas, axis=1, kind="stable")
        ranks = np.argsort(order, axis=1, kind="stable")
        counts = (counts + (ranks < missing[:, None])).astype(np.int32)[:, 1:]
        return counts[0] if len(counts) == 1 else counts

    def _check_subsets(self) -> None:
        """Rows chosen without replacement may not exceed what exists."""
        before, sizes, shares = self._schedule()
        exists = {}
        if self.keeps_corpus:
            exists["beta"] = (before, 1, "the previous corpus")
        if self.uses_first:
            exists["gamma"] = (np.full(len(sizes), self.initial_size), 2, "D_0")
        for name, (rows, place, what) in exists.items():
            if self.allocation == "fixed":
                too_many = np.atleast_2d(self.fixed_counts)[:, place - 1] > rows
            else:
                too_many = _chance_above(sizes, shares[:, place], rows) > _NEVER
            if np.any(too_many):
                entry = int(np.argmax(too_many))
                allowed = (
                    f"{sizes[entry]} rows of D_{entry + 1} at this share are more than the "
                    f"{rows[entry]} rows of {what}, a subset without replacement"
                )
                remedy = f"lower {name}, or draw anew from the law with 'distribution'"
                raise check.fail(f"Mixing.{name}", float(shares[entry, place]), allowed, remedy)


def _check_share(name: str, value: Any) -> np.ndarray:
    """A share or a schedule of shares, as float64."""
    remedy = "pass a share in [0, 1], or one for each of D_1 .. D_G"
    share = check.array(name, value, (0, 1), remedy)
    bad = np.flatnonzero((share < 0) | (share > 1))
    if bad.size:
        place = f"[{bad[0]}]" if share.ndim else ""
        raise check.fail(
            f"{name}{place}", float(share.flat[bad[0]]), "it must lie in [0, 1]", remedy
        )
    return share


def _check_sum(shares: dict[str, np.ndarray]) -> None:
    total = np.atleast_1d(np.asarray(sum(shares.values())))
    has_alpha = "alpha" in shares
    wrong = np.abs(total - 1) > 1e-6 if has_alpha else total > 1 + 1e-6
    if np.any(wrong):
        place = int(np.argmax(wrong))
        name = "alpha + beta + gamma" if has_alpha else "beta + gamma"
        allowed = "they must sum to 1 to within 1e-6" if has_alpha else "it must be at most 1"
        remedy = "leave alpha out for 1 - beta - gamma"
        raise check.fail(f"Mixing.{name}", float(total[place]), allowed, remedy)


def _constant(share: np.ndarray) -> np.ndarray:
    """A schedule whose entries are equal is that number."""
    return share.reshape(-1)[0] if np.all(share == share.reshape(-1)[0]) else share


def _chance_above(n: np.ndarray, share: np.ndarray, limit: np.ndarray) -> np.ndarray:
    """P(Binomial(n, share) > limit)."""
    from scipy import special

    inside = limit < n
    chance = special.bdtrc(np.where(inside, limit, 0), n, share)
    return np.where(inside, chance, 0.0)
