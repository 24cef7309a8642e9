"""A few random inputs of each kind; ``make fuzz`` tries many."""

import csv

import numpy as np
import odd_tables
import pytest
from hypothesis import settings
from inputs import KINDS, property_of

PLAIN = odd_tables.TextTable(
    ["x", "word"],
    [["1.5", "-2.0", "3e5"], ["a;b", 'say "é"', "c\nd"]],
    ",",
    csv.QUOTE_MINIMAL,
    "utf-8",
    "\n",
    ".csv",
    "word",
)


@pytest.mark.parametrize("kind", sorted(KINDS.keys() - {"commands", "images"}))
def test_random_inputs_are_accepted_or_refused(kind):
    property_of(kind)[0]()


@pytest.mark.thorough
def test_random_commands_succeed_or_print_one_line():
    settings(max_examples=5)(property_of("commands")[0])()


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
@pytest.mark.parametrize("separator", odd_tables.SEPARATORS)
@pytest.mark.parametrize("column", ["x", "word"])
def test_plain_tables_are_read_in_every_form(column, separator, encoding, tmp_path):
    from dataclasses import replace

    table = replace(PLAIN, separator=separator, encoding=encoding, column=column)
    assert odd_tables.check_text_table(table, tmp_path)


@pytest.mark.parametrize("form", ["parquet", "npz", "npy", "arrow", "pandas", "list"])
@pytest.mark.parametrize("values", [[1, 0], [1.5, 0.5], ["b", "a"], [True, False]], ids=str)
def test_plain_values_are_read_in_every_form(values, form, tmp_path):
    assert odd_tables.check_typed_table((values, form), tmp_path)


FAULTS = {
    "a value is changed": lambda values: values[::-1],
    "a row is dropped": lambda values: values[:-1],
    "a cell is stripped": lambda values: np.array([text.strip("a") for text in values], object),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_planted_fault_is_found(name, monkeypatch, tmp_path):
    read = odd_tables.tables.read
    wrong = FAULTS[name]
    monkeypatch.setattr(odd_tables, "read", lambda *arguments: wrong(read(*arguments)[0]))
    with pytest.raises(AssertionError):
        odd_tables.check_text_table(PLAIN, tmp_path)
