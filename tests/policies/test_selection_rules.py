"""check_selection: ours pass, planted defects are named; chains with selections as properties."""

import dataclasses

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings

import collapse_jax as cj
from collapse_jax.config import config, replace_fields
from collapse_jax.random.keys import Keys
from collapse_jax.testing import BrokenRuleError, check_selection, strategies


def near(rows):
    return -jnp.abs(rows.reshape(len(rows), -1)[:, 0] - 1.0)


OURS = {
    "accept": (cj.Accept(lambda rows: near(rows) > -1.5), {"dim": 2, "num_states": 3}),
    "top": (cj.Top(12, near), {"dim": 2, "num_states": 3}),
    "top, temperature": (cj.Top(12, near, 0.5), {"dim": 1, "num_states": 3}),
    "best of": (cj.BestOf(3, [near, lambda rows: -near(rows)]), {"dim": 1, "num_states": 3}),
    "edit": (cj.Edit(abs), {"dim": 1, "num_states": 2}),
}


@pytest.mark.thorough
@pytest.mark.parametrize("name", OURS)
def test_our_selections_keep_the_rules(name):
    selection, kinds = OURS[name]
    assert check_selection(selection, **kinds)[-2:] == ["moved", "laws"]


@config
class Forgets(cj.Top):
    def rows(self, keys, draw, size, capacity):
        return super().rows(keys, draw, size - 1, capacity)


@config
class Unnamed(cj.Top):
    @property
    def variables(self):
        return ("acceptance",)


@config
class StaysPut(cj.Top):
    def translated(self, shift):
        return self


@config
class OtherLaw(cj.Top):
    def counts(self, keys, law, size):
        return cj.Top(7, self.score).counts(keys, law, size)


@pytest.mark.parametrize(
    ("kind", "rule"),
    [
        (Forgets, "sizes"),
        (Unnamed, "variables"),
        (StaysPut, "moved"),
        pytest.param(OtherLaw, "laws", marks=pytest.mark.thorough),
    ],
)
def test_planted_defects_are_named(kind, rule):
    kinds = {"num_states": 3} if rule == "laws" else {"dim": 1}
    with pytest.raises(BrokenRuleError) as caught:
        check_selection(kind(12, near), **kinds)
    assert caught.value.rule == rule


def test_what_is_no_selection_is_refused():
    with pytest.raises(cj.ArgumentError, match="selection=3 is not allowed"):
        check_selection(3, dim=1)
    with pytest.raises(cj.ArgumentError, match="rows or states must be selected"):
        check_selection(cj.Edit(abs))


@pytest.mark.thorough
@settings(max_examples=15, deadline=None)
@given(strategies.selections(num_states=3, most=8), strategies.laws(3, positive=True))
def test_counts_are_of_size_and_within_range(selection, law):
    import jax

    keys = Keys(jax.random.key(0), jnp.int32(1))
    counts, info = selection.counts(keys, jnp.asarray(law, jnp.float32), 8)
    assert int(counts.sum()) == 8
    assert np.all(np.asarray(counts) >= 0)
    assert set(info) == set(selection.variables)
    assert all(np.isfinite(value) for value in info.values())


def run(policy, family=None, source=None, **more):
    chain = cj.Chain(family or cj.Gaussian(1), source or cj.Normal(0.0, 1.0), policy)
    return cj.simulate(chain, key=0, num_chains=16, num_generations=2, **more)


def test_a_score_that_is_no_number_ends_the_chain():
    records = run(cj.Replace(10, selection=cj.Top(20, lambda rows: jnp.log(-abs(rows[:, 0])))))
    assert np.all(records["status"][0] == cj.Status.OK)
    assert np.all(records["status"][1:] == cj.Status.NON_FINITE)
    assert np.all(np.isnan(records["log_std"][1:]))


@pytest.mark.thorough
def test_functions_get_absolute_rows_and_an_edit_of_none_changes_no_bit():
    source = cj.Normal(1e6, 1.0)
    best = cj.Top(40, lambda rows: jnp.where(rows[:, 0] > 9e5, rows[:, 0], jnp.nan))
    records = run(cj.Replace(10, selection=best), source=source)
    assert np.all(records["status"] == 0)
    assert np.all(records["chosen_score"][1:] > records["candidate_score"][1:])
    plain = run(cj.Replace(10), cj.Gaussian(1, corpus="samples"), source)
    edited = run(cj.Replace(10, selection=cj.Edit(lambda rows: rows + 0)), source=source)
    np.testing.assert_array_equal(plain["log_std"], edited["log_std"])
    assert np.all(edited["edited_share"][1:] == 0)


@pytest.mark.thorough
def test_only_rows_of_the_newest_model_are_selected():
    """D_0 and new original rows are not: it may be larger than the number of candidates."""
    seven = cj.Edit(lambda rows: jnp.full_like(rows, 7.0))
    records = run(cj.Fresh(4, 6, selection=seven), metrics=["samples"])
    rows = records["samples"][..., 0]
    assert not np.any(np.isclose(rows[0], 7))
    assert np.all(np.isclose(rows[1:], 7).sum(axis=-1) == 4)
    records = run(cj.Accumulate([50, 5, 5], selection=cj.Top(9, near)))
    assert np.all(records["status"] == 0)
    records = run(cj.Fresh([50, 8, 9], [50, 1, 2], selection=cj.Top(9, near)))
    assert np.all(records["status"] == 0)
    with pytest.raises(cj.ArgumentError, match=r"Mixing.num_samples=10 .*Top has 9 candidates"):
        cj.Mixing([5, 10], gamma=[0.1], selection=cj.Top(9, near))
    assert cj.Mixing([50, 9], gamma=[0.1], selection=cj.Top(9, near)).initial_size == 50
    mixed = cj.Mixing(10, beta=0.3, gamma=0.2, allocation="fixed", selection=seven)
    rows = run(mixed, metrics=["samples"])["samples"][1, ..., 0]
    assert np.all(np.isclose(rows, 7).sum(axis=-1) == 5)


def test_selections_are_compared_by_value():
    assert cj.Top(9, near) == cj.Top(9, near) != cj.Top(9, near, 1.0)
    assert len({cj.Edit(near), cj.Edit(near), cj.Accept(near)}) == 2
    policy = dataclasses.replace(cj.Replace(9, verifier=near), num_samples=8)
    assert replace_fields(policy, num_samples=7).selected_by == cj.Accept(near)
