"""`collapse verify`: how it shares false alarms, what it writes, how it fails."""

import json

import pytest

from collapse_jax.cli import main
from collapse_jax.testing import Evidence
from collapse_jax.verify import deterministic, suite
from collapse_jax.verify.base import Draw, Exact, Registry

QUICK = deterministic.CHECKS[:3]


def planted(p_value, error=0.0, claims=1):
    checks = Registry()

    @checks.add("monte carlo", claims=claims)
    def a_planted_check(draw):
        """A law."""
        yield "chance", Evidence(p_value, 1000, 0.1, "bias", "off")
        yield "no chance", Exact(error, 1e-10)

    return checks


def run(monkeypatch, tmp_path, checks):
    monkeypatch.setattr(suite, "CHECKS", tuple(checks))
    return main(["verify", "--out", str(tmp_path)])


def test_all_passed(monkeypatch, tmp_path, capsys):
    assert run(monkeypatch, tmp_path, [*QUICK, *planted(0.5)]) == 0
    assert "4 checks" in capsys.readouterr().out
    content = json.loads((tmp_path / "checks.json").read_text())
    assert content["false_alarm"] == 1e-6
    assert [one["passed"] for one in content["checks"]] == [True] * 4
    assert content["checks"][-1]["claims"]["chance"]["p_value"] == 0.5
    page = (tmp_path / "report.html").read_text()
    assert "A law" in page
    assert "0 failed" in page


@pytest.mark.parametrize(
    ("p_value", "error"), [(1e-9, 0.0), (float("nan"), 0.0), (0.5, 1e-9), (0.5, float("nan"))]
)
def test_a_failure_is_told(monkeypatch, tmp_path, capsys, p_value, error):
    assert run(monkeypatch, tmp_path, [*QUICK, *planted(p_value, error)]) == 1
    assert "1 failed: a planted check" in capsys.readouterr().out


def test_an_exception_is_a_failure(monkeypatch, tmp_path, capsys):
    checks = Registry()

    @checks.add("monte carlo")
    def a_broken_check(draw):
        """A law."""
        raise RuntimeError("out of order")
        yield

    assert run(monkeypatch, tmp_path, checks) == 1
    assert "RuntimeError: out of order" in capsys.readouterr().out


def test_false_alarms_are_shared():
    quick, full = (
        [check for check in suite.CHECKS if lane in check.lanes] for lane in ("quick", "full")
    )
    for lane in (quick, full):
        total = suite.false_alarm(lane) * sum(check.claims for check in lane)
        assert total == pytest.approx(1e-6)
    assert set(quick) < set(full)
    assert len({check.name for check in suite.CHECKS} & {"", None}) == 0
    with pytest.raises(AssertionError, match="declares 2"):
        suite.run_check(planted(0.5, claims=2)[0], Draw(0, "quick", 1e-9))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--lane", "slow"], "lane"),
        (["--seed", "-1"], "seed=-1"),
        (["--out", "FILE"], "it is a file"),
    ],
)
def test_bad_arguments(tmp_path, capsys, arguments, message):
    (tmp_path / "file").write_text("")
    given = [str(tmp_path / "file") if item == "FILE" else item for item in arguments]
    assert main(["verify", *given]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_other_seeds_pass(seed):
    assert all(result.passed for result in suite.verify("quick", seed))
