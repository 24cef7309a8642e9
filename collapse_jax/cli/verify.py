"""Implement `collapse verify`: run checks with known error rates, and write a page."""

import dataclasses
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from collapse_jax.cli.cost import announce
from collapse_jax.cli.options import parse_plain
from collapse_jax.cli.output import check_environment, check_ours, chosen_directory
from collapse_jax.store.files import store_errors
from collapse_jax.utils.counted import counted

if TYPE_CHECKING:
    from collapse_jax.verify.base import Result

_CHECKS = "checks.json"
_HOURS = {"quick": 1 / 30, "full": 0.1}  # on two cores


@dataclasses.dataclass(frozen=True)
class VerifyOptions:
    """Check simulations against enumeration, closed forms and each other.

    The exit code is 0 if every check passes. A correct library fails one run in a million.
    """

    lane: Literal["quick", "full"] = "quick"
    """Set of checks. quick: two minutes on two cores; full: more chains, six minutes."""
    seed: int = 0
    """Seed of every random number."""
    out: str = ""
    """Directory for report.html and checks.json; a directory in runs/ by default."""


def verify_command(arguments: Sequence[str]) -> int:
    """Run the checks of a lane, and write report.html and checks.json.

    Args:
      arguments: of the command line, after `verify`.

    Returns:
      Exit code: 0, or 1 if a check failed.

    Raises:
      ValueError: if an option is not allowed.
    """
    from collapse_jax.verify.suite import SUITE_FALSE_ALARM, verify

    options: Any = parse_plain(VerifyOptions, "collapse verify", arguments)
    out = chosen_directory(options.out, f"verify-{options.lane}")
    check_ours(out, lambda path: (path / _CHECKS).is_file(), "verify")
    check_environment()
    announce(f"lane {options.lane}", _HOURS[options.lane])
    begin = time.perf_counter()
    results = verify(options.lane, options.seed, notify=_print)
    seconds = time.perf_counter() - begin
    failed = [result.check.name for result in results if not result.passed]
    settings = {"lane": options.lane, "seed": options.seed, "false_alarm": SUITE_FALSE_ALARM}
    content = {**settings, "seconds": seconds, "checks": [_described(one) for one in results]}
    with store_errors(out):
        out.mkdir(parents=True, exist_ok=True)
        (out / _CHECKS).write_text(json.dumps(content, indent=1) + "\n")
        _write_page(out, results, settings, seconds)
    verdict = f"{len(failed)} failed: {', '.join(failed)}" if failed else "all passed"
    sys.stdout.write(f"{counted(len(results), 'check')} in {seconds:.0f} s, {verdict}\n")
    sys.stdout.write(f"report: {out / 'report.html'}\n")
    return int(bool(failed))


def _print(result: "Result") -> None:
    from collapse_jax.verify.base import Note

    verdict = "ok    " if result.passed else "FAILED"
    sys.stdout.write(f"{verdict} {result.seconds:5.1f} s  {result.check.name}\n")
    if result.error:
        sys.stdout.write(f"       {result.error}\n")
    for name, finding in result.findings.items():
        if isinstance(finding, Note):
            sys.stdout.write(f"       {name}: {finding.text}\n")
    sys.stdout.flush()


def _described(result: "Result") -> dict[str, Any]:
    findings = {
        name: finding._asdict() if isinstance(finding, tuple) else dataclasses.asdict(finding)
        for name, finding in result.findings.items()
    }
    check = result.check
    return {
        "name": check.name,
        "layer": check.layer,
        "law": check.law,
        "passed": result.passed,
        "seconds": result.seconds,
        "error": result.error,
        "claims": findings,
    }


def _write_page(
    out: Path, results: "list[Result]", settings: dict[str, Any], seconds: float
) -> None:
    from collapse_jax.report import write_report
    from collapse_jax.results.provenance import provenance
    from collapse_jax.verify.suite import false_alarm

    rate = false_alarm([result.check for result in results])
    header = ["", "check", "layer", "law", "claim", "draws", "p or error", "allowed", "detects"]
    table = [header]
    for result in results:
        check = result.check
        start = ["ok" if result.passed else "FAILED", check.name, check.layer, check.law]
        lines = [_cells(name, finding, rate) for name, finding in result.findings.items()]
        if result.error:
            lines.append([result.error, "", "", "", ""])
        for line in lines:
            table.append(start + line)
            start = [""] * 4
    failed = sum(not result.passed for result in results)
    claims = sum(result.check.claims for result in results)
    sentences = [
        f"{counted(len(results), 'check')}, {failed} failed, in {seconds:.0f} s (lane "
        f"{settings['lane']}, seed {settings['seed']}).",
        f"{claims} statistical claims, each refused by chance with probability {rate:.1g}: a "
        f'correct library fails a run with probability {settings["false_alarm"]:g}. "detects" is '
        "the smallest effect that fails with probability 0.99.",
    ]
    write_report(
        out / "report.html",
        title="Verification of collapse_jax",
        sentences=sentences,
        table=table,
        figures={},
        config=settings,
        provenance=provenance((0, settings["seed"]), "float32", []),
    )


def _cells(name: str, finding: Any, rate: float) -> list[str]:
    """Format claim, draws, p or error, allowed value and detectable effect."""
    from collapse_jax.verify.base import Note

    if isinstance(finding, Note):
        return [name, "", finding.text, "", ""]
    if isinstance(finding, tuple):
        evidence: Any = finding
        detects = f"{evidence.detectable:.2g} ({evidence.effect})"
        return [name, f"{evidence.draws:,}", f"p = {evidence.p_value:.3g}", f"{rate:.1g}", detects]
    return [name, "", f"{finding.error:.2g}", f"{finding.allowed:.2g}", ""]
