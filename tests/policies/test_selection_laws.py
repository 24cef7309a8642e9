"""Selections on counts against exact enumeration of every candidate row, and planted faults.

False-fail rate of an assertion 1e-9. What is drawn are counts of a fixed law; cells are all
vectors of counts.
"""

import importlib.util
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import collapse_jax as cj
from collapse_jax.core import selection as accept_module
from collapse_jax.core.selection import SelectedCounts
from collapse_jax.policies.selections import best_of as best_of_module
from collapse_jax.policies.selections import edit as edit_module
from collapse_jax.policies.selections import top as top_module
from collapse_jax.policies.selections.best_of_law import levels_of, preference
from collapse_jax.random.keys import Keys, Purpose
from collapse_jax.testing import FALSE_FAIL, frequency_evidence

_SPEC = importlib.util.spec_from_file_location("oracles", Path(__file__).with_name("oracles.py"))
oracles = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(oracles)

DRAWS, SIZE, CANDIDATES = 200_000, 3, 5
LAW = np.array([0.4, 0.3, 0.1, 0.2])
TIED = np.array([1.0, 2.0, 2.0, 0.5])
DISTINCT = np.array([0.3, -1.0, 2.0, 0.9])
OTHER = np.array([0.0, 1.5, -1.0, 0.2])
PASSES = np.array([1.0, 0.25, 0.0, 0.6])
TARGET = np.array([1, 1, 0, 2])
MODULES = (accept_module, best_of_module, edit_module, top_module)


def of(table):
    """A user's function of states."""
    return lambda states: jnp.asarray(table)[states]


def by_labels(keys, purpose, n, law):
    """Multinomial counts of few rows, one label each: it compiles ten times faster."""
    most = 8
    high, _ = keys.bits(purpose, (most,))
    uniform = (high.astype(jnp.float32) + 0.5) * 2.0**-32
    edges = jnp.cumsum(law) / jnp.sum(law)
    labels = jnp.searchsorted(edges[:-1], uniform, side="right")
    labels = jnp.where(jnp.arange(most) < n, labels, len(law))
    return jnp.zeros(len(law), jnp.int32).at[labels].add(1, mode="drop")


@pytest.fixture
def quick(monkeypatch):
    """Replace the exact multinomial sampler, which has tests of its own."""
    for module in MODULES:
        monkeypatch.setattr(module, "multinomial", by_labels)


def drawn(selection, size=SIZE, law=LAW, draws=DRAWS):
    """Counts [draw, state] of a selection."""

    def one(index):
        keys = Keys(jax.random.fold_in(jax.random.key(3), index), jnp.int32(1))
        return selection.counts(keys, jnp.asarray(law, jnp.float32), size).counts

    return np.asarray(jax.jit(jax.vmap(one))(jnp.arange(draws)))


def drawn_rows(selection, size=SIZE, law=LAW, draws=DRAWS):
    """Counts [draw, state] of a selection that works on labels, drawn one by one."""

    def candidates(keys, number):
        high, _ = keys.bits(Purpose.DRAW, (number,))
        uniform = (high >> 8).astype(jnp.float32) * 2.0**-24
        edges = jnp.cumsum(jnp.asarray(law, jnp.float32))[:-1]
        return cj.Labels(jnp.searchsorted(edges, uniform, side="right").astype(jnp.int32))

    def one(index):
        keys = Keys(jax.random.fold_in(jax.random.key(4), index), jnp.int32(1))
        rows = selection.rows(keys, candidates, size, size + 1)
        used = jnp.where(rows.full_weights() > 0, rows.rows, len(law))
        return jnp.zeros(len(law), jnp.int32).at[used].add(1, mode="drop")

    return np.asarray(jax.jit(jax.vmap(one))(jnp.arange(draws)))


def evidence(selection, law, draw=drawn):
    """The evidence of drawn counts about an exact law; impossible outcomes are a cell."""
    found = draw(selection)
    assert found.dtype == np.int32
    cells = [one for one, probability in law.items() if probability > 0]
    code = (found * (CANDIDATES + 1) ** np.arange(len(LAW))).sum(axis=1)
    numbers = [np.sum(code == np.dot(one, (CANDIDATES + 1) ** np.arange(4))) for one in cells]
    rare = [k for k, one in enumerate(cells) if law[one] * DRAWS < 20]
    often = [k for k in range(len(cells)) if k not in rare]
    observed = [*(numbers[k] for k in often), DRAWS - sum(numbers[k] for k in often)]
    expected = [law[cells[k]] for k in often]
    return frequency_evidence(observed, [*expected, max(0.0, 1 - sum(expected))])


EXACT = {
    "accept": (cj.Accept(of(PASSES > 0.5)), oracles.accept(LAW, PASSES > 0.5, SIZE)),
    "accept, noisy": (cj.Accept(of(PASSES)), oracles.accept(LAW, PASSES, SIZE)),
    "top, ties": (cj.Top(CANDIDATES, of(TIED)), oracles.top(LAW, TIED, CANDIDATES, SIZE)),
    "top": (cj.Top(CANDIDATES, of(DISTINCT)), oracles.top(LAW, DISTINCT, CANDIDATES, SIZE)),
    "top, all tied": (
        cj.Top(CANDIDATES, of(np.zeros(4, np.int32))),
        oracles.top(LAW, np.zeros(4), CANDIDATES, SIZE),
    ),
    "top, last choices": (
        cj.Top(CANDIDATES, of(np.array([-np.inf, 0.0, -np.inf, np.inf]))),
        oracles.top(LAW, [-9.0, 0.0, -9.0, 9.0], CANDIDATES, SIZE),
    ),
    "top, temperature": (
        cj.Top(CANDIDATES, of(DISTINCT), 0.7),
        oracles.top(LAW, DISTINCT, CANDIDATES, SIZE, 0.7),
    ),
    "best of two": (
        cj.BestOf(2, of(DISTINCT)),
        oracles.best_of(LAW, [DISTINCT], 2, SIZE, [1.0]),
    ),
    "best of four": (
        cj.BestOf(4, of(TIED), temperature=0.3),
        oracles.best_of(LAW, [TIED], 4, SIZE, [1.0], 0.3),
    ),
    "best of three, no temperature": (
        cj.BestOf(3, of(TIED), temperature=0.0),
        oracles.best_of(LAW, [TIED], 3, SIZE, [1.0], 0),
    ),
    "two populations": (
        cj.BestOf(2, [of(DISTINCT), of(OTHER)], shares=[0.3, 0.7], temperature=0.5),
        oracles.best_of(LAW, [DISTINCT, OTHER], 2, SIZE, [0.3, 0.7], 0.5),
    ),
    "edit": (cj.Edit(of(TARGET)), oracles.edit(LAW, TARGET, SIZE)),
}


@pytest.mark.parametrize("name", EXACT)
def test_counts_have_the_law_of_all_rows(name, quick):
    assert np.isclose(sum(EXACT[name][1].values()), 1)
    evidence(*EXACT[name]).check(FALSE_FAIL)


THOROUGH_ROWS = ("accept", "top", "top, all tied", "best of two", "best of four")


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[pytest.mark.thorough] * (name in THOROUGH_ROWS)) for name in EXACT],
)
def test_rows_have_the_law_of_all_rows(name):
    evidence(*EXACT[name], drawn_rows).check(FALSE_FAIL)


@pytest.mark.thorough
@pytest.mark.parametrize("name", EXACT)
def test_counts_have_the_law_of_all_rows_with_exact_multinomials(name):
    evidence(*EXACT[name]).check(FALSE_FAIL)


# Planted faults: each selection is wrong in one point, and its law is told from the right one.


def counts_of(change):
    """A method `counts` from change(selection, keys, law, size) -> counts."""

    def counts(self, keys, law, size):
        return SelectedCounts(change(self, keys, law, size), {})

    return counts


def chosen_by(weights):
    """Counts of independent draws with weights(law), for a wrong law of chosen rows."""

    def change(self, keys, law, size):
        return by_labels(keys, Purpose.DRAW, size, jnp.asarray(weights(law), jnp.float32))

    return counts_of(change)


def in_order(sign):
    def change(self, keys, law, size):
        counts = by_labels(keys, Purpose.DRAW, CANDIDATES, law)
        order = np.argsort(np.round(-TIED, 3) + sign * 1e-4 * np.arange(4))
        before = jnp.cumsum(counts[order]) - counts[order]
        return jnp.clip(size - before, 0, counts[order])[np.argsort(order)]

    return counts_of(change)


def tie_by_law(self, keys, law, size):
    """Ties are split by the law of all states, not by that of the tied ones."""
    right = cj.Top.counts(self, keys, law, size).counts
    tied = right[1] + right[2]
    first = jnp.sum(jax.random.uniform(keys.key(Purpose.POLICY), (8,)) < 0.4)
    return right.at[1].set(jnp.minimum(first, tied)).at[2].set(tied - jnp.minimum(first, tied))


def with_replacement(law):
    return law * np.exp(DISTINCT / 0.7)


def pair(law, rewards, rows=True):
    weights = np.exp(rewards)
    return law * (2 * weights[:, None] / (weights[:, None] + weights) * law).sum(axis=int(rows))


def wrong_axis(law):
    """Softmax over the states of one candidate instead of the candidates of one row."""
    return law * np.exp(DISTINCT) / np.sum(law * np.exp(DISTINCT))


def loser(law):
    weights = np.exp(DISTINCT)
    return law * (2 * weights / (weights[:, None] + weights) * law).sum(axis=1)


def first_of_the_best(law):
    """The best of three; of tied states the first one always."""
    order = np.array([3, 0, 2, 1])  # by score, state 1 before state 2
    upto = jnp.cumsum(law[order]) ** 3
    return jnp.diff(upto, prepend=0)[np.argsort(order)]


def mixed_rewards(law):
    """The reward of a row is the mean of both populations'."""
    return pair(law, (0.3 * DISTINCT + 0.7 * OTHER) / 0.5)


def of_two(shares, temperature=0.5):
    def weights(law):
        parts = [pair(law, rewards / temperature) for rewards in (DISTINCT, OTHER)]
        return shares[0] * parts[0] + shares[1] * parts[1]

    return weights


def without_redraw(self, keys, law, size):
    """Refused rows are not drawn again, and their places go to rows that nobody looked at."""
    counts = by_labels(keys, Purpose.DRAW, size, law)
    word = jax.random.uniform(keys.key(Purpose.POLICY), (4, 4))
    passed = jnp.sum((word < PASSES[:, None]) & (jnp.arange(4) < counts[:, None]), axis=1)
    return passed + by_labels(keys, Purpose.FIT, size - jnp.sum(passed), law)


def inverse_edit(self, keys, law, size):
    return by_labels(keys, Purpose.DRAW, size, law)[TARGET]


def edited_twice(self, keys, law, size):
    counts = by_labels(keys, Purpose.DRAW, size, law)
    return jnp.zeros_like(counts).at[TARGET[TARGET]].add(counts)


FAULTS = {
    "ties in the order of states": ("top, ties", in_order(1)),
    "ties in the reverse order": ("top, ties", in_order(-1)),
    "ties split by the law of all states": ("top, ties", counts_of(tie_by_law)),
    "tied states share one score more": (
        "top, ties",
        lambda self, keys, law, size: cj.Top(CANDIDATES, of(DISTINCT)).counts(keys, law, size),
    ),
    "the worst instead of the best": (
        "top",
        lambda self, keys, law, size: cj.Top(CANDIDATES, of(-DISTINCT)).counts(keys, law, size),
    ),
    "one candidate fewer": (
        "top",
        lambda self, keys, law, size: cj.Top(4, of(DISTINCT)).counts(keys, law, size),
    ),
    "candidates with replacement": ("top, temperature", chosen_by(with_replacement)),
    "temperature inverted": (
        "top, temperature",
        lambda self, keys, law, size: cj.Top(CANDIDATES, of(DISTINCT), 1 / 0.7).counts(
            keys, law, size
        ),
    ),
    "the best where a temperature is given": (
        "top, temperature",
        lambda self, keys, law, size: cj.Top(CANDIDATES, of(DISTINCT)).counts(keys, law, size),
    ),
    "weights normalised over the states": ("best of two", chosen_by(wrong_axis)),
    "the loser is taken": ("best of two", chosen_by(loser)),
    "one candidate more": (
        "best of two",
        lambda self, keys, law, size: cj.BestOf(3, of(DISTINCT)).counts(keys, law, size),
    ),
    "the limit of many candidates": (
        "best of four",
        chosen_by(lambda law: law * np.exp(TIED / 0.3)),
    ),
    "one of the best states always": (
        "best of three, no temperature",
        chosen_by(first_of_the_best),
    ),
    "shares are ignored": ("two populations", chosen_by(of_two([0.5, 0.5]))),
    "shares are exchanged": ("two populations", chosen_by(of_two([0.7, 0.3]))),
    "one rater with the mean reward": ("two populations", chosen_by(mixed_rewards)),
    "temperature multiplies": ("two populations", chosen_by(of_two([0.3, 0.7], 2.0))),
    "a noisy verifier rounds": ("accept, noisy", chosen_by(lambda law: law * (PASSES > 0.5))),
    "a noisy verifier asked twice": ("accept, noisy", chosen_by(lambda law: law * PASSES**2)),
    "refused rows are not drawn again": ("accept, noisy", counts_of(without_redraw)),
    "the edit runs backwards": ("edit", counts_of(inverse_edit)),
    "the edit runs twice": ("edit", counts_of(edited_twice)),
}


@pytest.mark.thorough
@pytest.mark.parametrize("name", FAULTS)
def test_planted_faults_are_caught(name, quick):
    base, counts = FAULTS[name]
    selection, law = EXACT[base]
    wrong = type(type(selection).__name__, (type(selection),), {"counts": counts})
    broken = object.__new__(wrong)
    broken.__dict__.update(selection.__dict__)
    assert evidence(broken, law).p_value < FALSE_FAIL


def each_candidate_rated(self, keys, rewards):
    """A rater for each candidate of a row, instead of one for all of them."""
    word, _ = keys.bits(Purpose.COMPONENT_COUNTS, rewards.shape[1:])
    return jnp.where(word < np.uint32(0.3 * 2**32), rewards[0], rewards[1])


def one_rater_for_all(self, keys, rewards):
    word, _ = keys.bits(Purpose.COMPONENT_COUNTS, (1,))
    return jnp.where(word < np.uint32(0.3 * 2**32), rewards[0], rewards[1])


def no_noise(keys, scores, temperature, shape):
    return scores.astype(jnp.float32), lambda _: keys.bits(Purpose.SELECT, shape)[0]


def shared_noise(keys, scores, temperature, shape):
    """One Gumbel number for all candidates of a row."""
    noise = jax.random.gumbel(keys.key(Purpose.SELECT), shape[-1:])
    return scores + temperature * noise, lambda _: keys.bits(Purpose.POLICY, shape)[0]


def first_ones(values, size, ties):
    return jnp.arange(len(values)) < size


def smallest(values, size, ties):
    order = jnp.argsort(values)
    return jnp.zeros(len(values), bool).at[order].set(jnp.arange(len(values)) < size)


ROW_FAULTS = {
    "every candidate has its own rater": (
        "two populations",
        cj.BestOf,
        "_by_rater",
        each_candidate_rated,
    ),
    "all rows have one rater": ("two populations", cj.BestOf, "_by_rater", one_rater_for_all),
    "the best whatever the temperature": ("best of two", best_of_module, "perturbed", no_noise),
    "one noise for all candidates": ("best of two", best_of_module, "perturbed", shared_noise),
    "top without noise": ("top, temperature", top_module, "perturbed", no_noise),
    "rows nobody looked at": ("top", top_module, "largest", first_ones),
    "the worst rows": ("top, ties", top_module, "largest", smallest),
    "a verifier of rows that rounds": (
        "accept, noisy",
        accept_module,
        "_happens",
        lambda word, probability: probability > 0.5,
    ),
    "a verifier of rows asked twice": (
        "accept, noisy",
        accept_module,
        "_happens",
        lambda word, probability: word < (probability**2 * 2.0**32 - 1).astype(jnp.uint32),
    ),
}


@pytest.mark.thorough
@pytest.mark.parametrize("name", ROW_FAULTS)
def test_planted_faults_of_rows_are_caught(name, monkeypatch):
    base, where, attribute, wrong = ROW_FAULTS[name]
    monkeypatch.setattr(where, attribute, wrong)
    assert evidence(*EXACT[base], drawn_rows).p_value < FALSE_FAIL


def test_a_planted_fault_is_caught(quick):
    test_planted_faults_are_caught("ties in the order of states", None)


# The law of the best of K, where enumeration is too long.


def test_two_candidates_have_the_closed_form():
    rng = np.random.default_rng(0)
    law, rewards = rng.dirichlet(np.ones(40)), 3 * rng.normal(size=40)
    weights = np.exp(rewards)
    expected = (2 * weights[:, None] / (weights[:, None] + weights) * law).sum(axis=1)
    found = preference(jnp.asarray(law, jnp.float32), levels_of(rewards), 2, 1.0)
    np.testing.assert_allclose(found, expected, rtol=2e-6)


def test_many_candidates_have_the_limit_of_softmax():
    law, rewards = np.array([0.6, 0.3, 0.1]), np.array([0.0, 1.0, 0.5])
    found = preference(jnp.asarray(law, jnp.float32), levels_of(rewards), 2**20, 1.0)
    expected = np.exp(rewards) / (law @ np.exp(rewards))
    np.testing.assert_allclose(found, expected, rtol=5e-5)


@pytest.mark.parametrize("candidates", [1, 2, 7, 1000])
@pytest.mark.parametrize("scale", [1e-20, 1.0, 1e3, 1e20])
def test_the_law_of_the_best_sums_to_one(candidates, scale):
    law = np.array([0.5, 0.2, 0.2, 0.1, 0.0])
    for rewards in (np.array([0.0, 1.0, 1.0, -2.0, 3.0]), np.array([-np.inf, 1.0, 0, 0, 5.0])):
        for temperature in (0.0, 1.0):
            table = levels_of(rewards * scale)
            found = preference(jnp.asarray(law, jnp.float32), table, candidates, temperature)
            assert np.all(np.isfinite(found))
            assert np.all(np.asarray(found) >= 0)
            np.testing.assert_allclose(np.dot(law, found), 1, rtol=1e-5)
