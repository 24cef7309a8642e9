"""Name what Bayesian learners take of their posterior."""

from typing import Any

from collapse_jax.utils import check

LEARNERS = ("posterior_mean", "posterior_sample")
"""What a family with a prior takes of its posterior."""


def check_learner(family: str, learner: Any, prior: Any) -> None:
    """Refuse an unknown learner, or one that needs a prior and has none.

    Args:
      family: name of the family, for the message.
      learner: as it was given.
      prior: of the family, None for none.

    Raises:
      ArgumentError: naming what is allowed.
    """
    check.choice(f"{family}.learner", learner, LEARNERS)
    if prior is None and learner != LEARNERS[0]:
        allowed, remedy = "a posterior needs a prior", "pass prior="
        raise check.fail(f"{family}.learner", learner, allowed, remedy)
