"""Claims of the literature, each with the conditions under which it is made and its test."""

import dataclasses
from collections.abc import Callable, Sequence

from collapse_jax.results.setting import Setting
from collapse_jax.results.statements import Finding, Statement, failed_points, stopped_chains


@dataclasses.dataclass(frozen=True)
class Claim:
    """A claim of the literature about some of the settings that an experiment accepts.

    Attributes:
      text: the claim, or a function that returns its form for a setting.
      source: paper and section.
      holds_for: tells whether the claim is made for a setting: policy, family, source, sizes.
      test: compares a run with the claim; called only where `holds_for` is true and every chain
        has reached the last generation, at every point of a grid.
    """

    text: str | Callable[[Setting], str]
    source: str
    holds_for: Callable[[Setting], bool]
    test: Callable[[Setting], Finding]


def statements_of(
    claims: Sequence[Claim], setting: Setting, reason: Finding | None = None
) -> list[Statement]:
    """Test the claims that are made for a setting, and leave out all others.

    Nothing is tested on a run in which points of a grid failed, which have no values, or chains
    stopped early: what stopped them may depend on their values, and the rest is no sample of all
    chains.

    Args:
      claims: the claims of an experiment.
      setting: what was run, with its records.
      reason: why the run can test nothing, if that is known already.

    Returns:
      A statement for each claim whose condition holds.
    """
    if setting.num_failed:
        reason = failed_points(setting.num_failed, setting.num_points)
    elif reason is None and setting.num_stopped:
        reason = stopped_chains(setting.num_stopped)
    return [
        Statement(
            claim.text if isinstance(claim.text, str) else claim.text(setting),
            claim.source,
            *(reason or claim.test(setting)),
        )
        for claim in claims
        if claim.holds_for(setting)
    ]
