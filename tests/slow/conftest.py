"""The table of planted faults, after the tests that plant them; these share modules."""

import sys
from pathlib import Path

collect_ignore_glob = ["faults*.py"]
sys.path.insert(0, str(Path(__file__).parent))


def pytest_terminal_summary(terminalreporter):
    tests = [
        dict(report.user_properties)
        for outcome in ("passed", "failed")
        for report in terminalreporter.stats.get(outcome, [])
    ]
    rows = sorted((one["fault"], one["caught by"]) for one in tests if "fault" in one)
    if not rows:
        return
    terminalreporter.section("negative controls")
    width = max(len(name) for name, _ in rows)
    for name, caught in rows:
        terminalreporter.write_line(f"{name:{width}}  {caught or 'NOT CAUGHT'}")
    number = sum(bool(caught) for _, caught in rows)
    terminalreporter.write_line(f"{number} of {len(rows)} planted faults caught")
