"""What becomes of odd data: the values that are read, or the message."""

import re

import numpy as np
import pytest

import collapse_jax as cj
from collapse_jax.sources import tables


def outcome(data, column):
    """Read data by `Empirical`, and return the values, or the message."""
    try:
        source = cj.Empirical(data, column=column)
    except cj.ArgumentError as error:
        return str(error)
    values = tables.read(data, column)[0]
    assert source.num_rows == len(values)
    return values


def _assert_outcome(data, column, expected):
    found = outcome(data, column)
    if isinstance(expected, str):
        assert isinstance(found, str), found
        assert "\n" not in found
        assert "; " in found
        assert len(found) < 400
        assert re.search(expected, found), found
        return
    assert not isinstance(found, str), found
    wanted = np.array(expected, dtype=object if isinstance(expected[0], str) else None)
    assert found.dtype.kind.replace("u", "i") == wanted.dtype.kind
    assert found.tolist() == wanted.tolist()


@pytest.fixture(scope="session")
def assert_outcome():
    """Return a check that data are read to the expected values, or refused by one line."""
    return _assert_outcome
