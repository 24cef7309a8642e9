"""Train only on what the newest model made."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from collapse_jax.config import config, static
from collapse_jax.core.corpus import AbstractCorpus
from collapse_jax.core.policy import AbstractPolicy, FreshShare, Step, Verifier
from collapse_jax.core.selection import AbstractSelection
from collapse_jax.policies.checks import check_length, check_selection, check_sizes


@config
class Replace(AbstractPolicy):
    """D_{g+1} is num_samples rows drawn from model g, and nothing else.

    The setting of the collapse theorem (Shumailov et al. 2024, Theorem 3.1 with the
    Author Correction: beta = gamma = 0).

    Args:
      num_samples: M >= 1, one number or M_0 .. M_G; None for the size of the
        original data.
      verifier: verifier(rows) or, for Discrete, verifier(states) returns a bool for each.
        The model is drawn from until num_samples rows are accepted, and the share that
        passes is recorded as `acceptance`. Short for `selection=Accept(verifier)`.
      selection: what makes the corpus from the model's rows: `Accept`, `Top`, `BestOf`, `Edit`,
        or None for all rows.

    Raises:
      ValueError: for sizes that are not integers in [1, 2^31).

    >>> import collapse_jax as cj
    >>> cj.Replace(100).sizes(3).tolist()
    [100, 100, 100, 100]
    >>> cj.Replace([100, 200, 400]).sizes(2).tolist()
    [100, 200, 400]
    """

    num_samples: int | Sequence[int] | None = static(default=None)
    verifier: Verifier | None = static(default=None)
    selection: AbstractSelection | None = static(default=None)

    def __post_init__(self) -> None:
        sizes = check_sizes("Replace.num_samples", self.num_samples)
        object.__setattr__(self, "num_samples", sizes)
        check_selection(self, self.num_samples)

    def capacity(self, num_generations: int) -> int:
        """Return the slots of the largest corpus."""
        return self.largest_size

    def validate(self, num_generations: int) -> None:
        """Refuse a schedule without G + 1 sizes."""
        check_length("Replace.num_samples", self.num_samples, num_generations)

    @property
    def has_fixed_size(self) -> bool:
        """Tell whether the schedule is constant and no row can be refused."""
        return isinstance(self.size(0), int) and not self.can_refuse

    @property
    def uses_model_only(self) -> bool:
        """Return True: nothing else is trained on."""
        return True

    @property
    def is_elementwise(self) -> bool:
        """Return True: rows are passed on as they are."""
        return True

    @property
    def reads_values(self) -> bool:
        """Return False: rows are passed on as they are."""
        return False

    def init(self, corpus: AbstractCorpus, num_generations: int) -> Any:
        """Return None: nothing is remembered."""
        return None

    def fresh_share(self, num_generations: int) -> FreshShare | None:
        """Return zero shares: no row is original after D_0."""
        if type(self) is not Replace:
            return None
        return FreshShare(np.zeros(num_generations), "multinomial")

    def next(self, step: Step) -> tuple[AbstractCorpus, Any]:
        """Return M_g rows from the model."""
        return step.model(self.size(step.generation), self.largest_size), step.memory
