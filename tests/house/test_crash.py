"""A few runs killed at random instants; ``tests/crash/kill.py --times 200`` kills many."""

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "crash" / "kill.py"


@pytest.mark.thorough
def test_killed_runs_go_on_to_the_same_bits():
    command = [sys.executable, str(SCRIPT), "--times", "2"]
    found = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert found.returncode == 0, found.stderr
    assert found.stdout.startswith("2 of 2 runs ended bit-equal"), found.stdout
