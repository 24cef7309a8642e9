"""Filter rows by a detector of synthetic ones, which errs."""

from typing import Any

import numpy as np

from collapse_jax.config import config
from collapse_jax.utils import check


@config
class Detector:
    """The filter that original and synthetic rows pass with given probabilities.

    Rows are drawn until enough have passed. A share gamma of original rows among all rows becomes
    gamma s / (gamma s + (1 - gamma) f) among those that pass.

    Args:
      true_pass: s, probability that an original row passes, in [0, 1].
      false_pass: f, probability that a row of the model passes, in [0, 1].

    Raises:
      ValueError: for a probability outside [0, 1], or if no row passes.

    >>> import collapse_jax as cj
    >>> round(cj.Detector(true_pass=0.9, false_pass=0.1).effective_share(0.1), 4)
    0.5
    >>> policy = cj.Mixing(100, gamma=0.1, detector=cj.Detector(0.9, 0.1))
    >>> policy.fresh_share(num_generations=2).shares.round(4).tolist()
    [0.5, 0.5]
    """

    true_pass: float
    false_pass: float

    def __post_init__(self) -> None:
        remedy = "pass the probability that a row passes"
        for name in ("true_pass", "false_pass"):
            value = check.number(f"Detector.{name}", getattr(self, name), 0, 1, remedy)
            object.__setattr__(self, name, value)
        if self.true_pass == self.false_pass == 0:
            raise check.fail("Detector.true_pass", 0.0, "with false_pass=0 no row passes", remedy)

    def effective_share(self, gamma: Any) -> Any:
        """Return the share of original rows among those that pass.

        Args:
          gamma: share among all rows, a number or an array, in [0, 1], dimensionless.
        """
        original = gamma * self.true_pass
        return original / (original + (1 - gamma) * self.false_pass)


def check_detector(detector: Any, shares: dict[str, np.ndarray], allocation: str) -> None:
    """Refuse a detector that the shares of `Mixing` do not allow.

    Args:
      detector: as given.
      shares: alpha (if given), beta and gamma.
      allocation: of `Mixing`.

    Raises:
      ValueError: if it is no detector, origins are not drawn, rows of the previous corpus are
        used, or no row passes.
    """
    if detector is None:
        return
    remedy = "pass Detector(true_pass, false_pass), or None"
    check.instance("Mixing.detector", detector, Detector, "it must be a Detector", remedy)
    if allocation != "multinomial":
        allowed = "with a detector the origin of each row is drawn"
        raise check.fail("Mixing.allocation", allocation, allowed, "use allocation='multinomial'")
    if np.any(shares["beta"] > 0):
        allowed = "a detector tells original rows from those of the newest model only"
        raise check.fail("Mixing.beta", float(np.max(shares["beta"])), allowed, "use beta=0")
    gamma = np.atleast_1d(shares["gamma"])
    passing = gamma * detector.true_pass + (1 - gamma) * detector.false_pass
    if not np.all(passing > 0):
        share = float(gamma[np.argmin(passing)])
        shown, allowed = check.Shown(f"{detector}"), f"with gamma={share:g} no row passes"
        raise check.fail("Mixing.detector", shown, allowed, "let some rows pass")
