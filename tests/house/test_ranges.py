"""Ranges of settings: code, docstring and the table of the family's page have the same ends."""

import inspect
import math
import pathlib
import re

import pytest

import collapse_jax as cj

ROOT = pathlib.Path(__file__).parents[2]
PAGES = {"discrete": "Discrete", "gaussian": "Gaussian", "gaussian_mixture": "GaussianMixture"}
NEEDED = {"GaussianMixture": {"num_components": 2, "dim": 1}}
INTERVAL = r"([\[(])([\d.e+-]+), ([\d.e+-]+)([\])])"


def in_tables():
    """Yield family, setting and interval of every row that has one in the column of ranges."""
    for page, family in PAGES.items():
        text = (ROOT / "docs" / "families" / f"{page}.md").read_text()
        for found in re.finditer(rf"^\| `(\w+)` \| ({INTERVAL}) \|", text, re.M):
            yield family, found[1], found[2]


def in_docstrings():
    """Yield family, setting and interval of every argument of a family that has one."""
    for family in (*PAGES.values(), "VAE"):
        words = inspect.getdoc(getattr(cj, family)) or ""
        for setting, meaning in re.findall(r"^  (\w+): (.*(?:\n {4}.*)*)", words, re.M):
            if found := re.search(rf"\bin\s+({INTERVAL})", meaning):
                yield family, setting, found[1]


def test_tables_and_docstrings_have_the_same_ranges():
    stated = {(family, setting): interval for family, setting, interval in in_docstrings()}
    for family, setting, interval in in_tables():
        assert stated[family, setting] == interval, (family, setting)


@pytest.mark.parametrize("case", sorted({*in_tables(), *in_docstrings()}), ids=" ".join)
def test_ends_of_a_range_are_those_of_the_code(case):
    family, setting, interval = case
    ((left, low, high, right),) = re.findall(INTERVAL, interval)
    kind = int if setting in ("num_components", "dim") else float

    def make(value):
        settings = NEEDED.get(family, {}) | {setting: kind(value)}
        return getattr(cj, family)(**settings)

    step = 1 if kind is int else 0
    for bracket, end, away in ((left, low, -math.inf), (right, high, math.inf)):
        if bracket in "[]":
            make(float(end))
            end = (
                float(end) + math.copysign(step, away) if step else math.nextafter(float(end), away)
            )
        with pytest.raises(cj.ArgumentError, match=rf"{family}\.{setting}="):
            make(end)
