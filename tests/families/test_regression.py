"""Chains of regressions: against closed forms, scikit-learn and drawn rows.

Statistical assertions compare z with 5, planted faults must reach 8; seeds are fixed.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from sklearn import linear_model

import collapse_jax as cj
from collapse_jax.core import gram as gram_module
from collapse_jax.families import regression as module
from collapse_jax.families.regression import LinearRegression, LogisticRegression, gram_of
from collapse_jax.sources.regression import LinearModel
from collapse_jax.testing import assert_same_law, check_family, check_source, strategies
from collapse_jax.theory import regression

CHAINS, G = 10_000, 5
COVARIANCE = np.array([[1.0, 0.3, 0.0], [0.3, 2.0, 0.1], [0.0, 0.1, 0.5]])
TRUTH = cj.LinearModel([1.0, -1.0, 0.5], 0.7, COVARIANCE)
LOGISTIC = cj.LogisticModel([1.0, -1.0, 0.5], COVARIANCE)
POLICIES = {
    "replace": cj.Replace(20),
    "sizes": cj.Replace([20, 30, 12, 16, 40, 25]),
    "accumulate": cj.Accumulate(20),
}


def run(family, source, policy, key=0, chains=CHAINS, generations=G, **options):
    chain = cj.Chain(family, source, policy)
    return cj.simulate(chain, key=key, num_chains=chains, num_generations=generations, **options)


def largest(policy="replace", corpus="auto"):
    records = run(LinearRegression(3, corpus=corpus), TRUTH, POLICIES[policy])
    return cj.compare_with_theory(records, generations=[0, 1, G]).largest


@pytest.mark.parametrize(
    ("policy", "corpus"),
    [
        ("sizes", "auto"),
        *(
            pytest.param(policy, corpus, marks=pytest.mark.thorough)
            for policy in POLICIES
            for corpus in ("auto", "samples")
        ),
    ],
)
def test_chains_have_their_expectations(policy, corpus):
    assert largest(policy, corpus) < 5


def test_closed_forms():
    found = regression.accumulate_expected_error([10**6] * 2000, 3)
    assert found[-1] == pytest.approx(np.pi**2 / 6 * 3 / 10**6, rel=1e-3)
    assert regression.replace_expected_error([5, 3], 3).tolist() == [3.0, np.inf]


def test_published_risks_of_self_training():
    found = regression.self_training_risk(300, 200, 60.0, 1.0, 1.0, 5)
    assert found.round(3).tolist() == [2.012, 1.363, 0.942, 0.676, 0.515, 0.426]
    later = regression.self_training_risk(300, 200, 60.0, 1.0, 1.0, 400)
    assert 5 < np.argmin(later) < 400  # the risk falls, and rises again
    assert later[-1] == pytest.approx(60, rel=0.1)


@pytest.mark.thorough
def test_self_training_is_that_of_a_simulation():
    rng, risks = np.random.default_rng(0), []
    scale = np.ones(300)
    scale[0] = np.sqrt(60.0)
    for _ in range(100):
        teacher, found = np.eye(300)[0], []
        for generation in range(4):
            rows = rng.normal(size=(200, 300)) * scale
            noise = rng.normal(size=200) * (generation == 0)
            # of least norm among those that fit all rows
            teacher = rows.T @ np.linalg.solve(rows @ rows.T, rows @ teacher + noise)
            found.append(np.sum((scale * (teacher - np.eye(300)[0])) ** 2))
        risks.append(found)
    exact = regression.self_training_risk(300, 200, 60.0, 1.0, 1.0, 3)
    errors = np.std(risks, axis=0) / np.sqrt(len(risks))
    assert np.all(np.abs(np.mean(risks, axis=0) - exact) < 4 * errors + 0.03 * exact)  # asymptotic


@pytest.mark.thorough
@pytest.mark.parametrize("rows", [2, 6, 12])
def test_products_and_rows_have_one_law(rows):
    """Also with fewer rows than covariates, where the least norm decides."""
    found = [
        run(LinearRegression(3, corpus=kind), TRUTH, cj.Replace(rows), key=key, generations=2)
        for key, kind in enumerate(("moments", "samples"))
    ]
    assert_same_law(*(np.log(records["error"][-1]) for records in found))


def table(rows, dim, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, dim)) * np.linspace(0.5, 2, dim)
    y = x @ np.linspace(1, -1, dim) + 0.3 * rng.normal(size=rows)
    labels = (rng.random(rows) < 1 / (1 + np.exp(-x @ np.linspace(1, -1, dim)))).astype(float)
    return x, y, labels


def fitted(family, x, y, previous=None):
    dtype = jnp.result_type(float)
    rows = jnp.asarray(np.column_stack([x, y]), dtype)
    fit = jax.jit(lambda r: family.fit(None, cj.Rows.of_rows(r, len(r)), previous, None))(rows)
    assert int(fit.status) == cj.Status.OK
    return np.asarray(fit.params, np.float64)


def few(family, rows):
    """The family as a chain with few rows resolves it."""
    return cj.Chain(family, cj.LinearModel(np.zeros(family.dim)), cj.Replace(rows)).family


@pytest.mark.parametrize(
    ("x64", "bar"), [(False, 1e-5), pytest.param(True, 1e-8, marks=pytest.mark.thorough)]
)
@pytest.mark.parametrize(("rows", "dim", "penalty"), [(60, 4, 0.0), (60, 4, 2.5), (5, 8, 0.0)])
def test_linear_fits_are_those_of_scikit_learn(rows, dim, penalty, x64, bar):
    x, y, _ = table(rows, dim)
    peer = linear_model.Ridge(penalty, fit_intercept=False, solver="svd").fit(x, y).coef_
    if penalty == 0:
        peer = np.linalg.lstsq(x, y, rcond=None)[0]
    with jax.enable_x64(x64):
        ours = fitted(few(LinearRegression(dim, penalty), rows), x, y)
    np.testing.assert_allclose(ours, peer, rtol=bar, atol=bar)


@pytest.mark.parametrize(
    ("x64", "penalty"),
    [
        (False, 0.0),
        *(pytest.param(*one, marks=pytest.mark.thorough) for one in [(True, 0.0), (False, 2.0)]),
    ],
)
def test_logistic_fits_are_those_of_scikit_learn(x64, penalty):
    x, _, y = table(200, 4)
    c = np.inf if penalty == 0 else 1 / penalty
    peer = linear_model.LogisticRegression(C=c, fit_intercept=False, tol=1e-10, max_iter=10_000)
    with jax.enable_x64(x64):
        ours = fitted(LogisticRegression(4, penalty), x, y)
    np.testing.assert_allclose(ours, peer.fit(x, y).coef_[0], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("size", [1e3, 1e6])
def test_an_outlying_covariate_keeps_no_fit_from_its_optimum(size):
    rng = np.random.default_rng(0)
    x = np.vstack([rng.normal(size=(200, 2)), [size, 0]])
    y = np.append(x[:200] @ [1, -1] + rng.logistic(size=200) > 0, [False]).astype(float)
    exact = module._newton_on_host(x, y, 0.0)
    for start in (None, jnp.asarray(3 * exact, jnp.float32), jnp.full(2, 1e9)):
        ours = fitted(LogisticRegression(2), x, y, start)
        np.testing.assert_allclose(ours, exact, rtol=1e-5)


def test_separable_rows_have_a_status():
    x = np.array([[-2.0], [-1.0], [1.0], [3.0]])
    rows = cj.Rows.of_rows(jnp.asarray(np.column_stack([x, x > 0]), jnp.float32), 4)
    fit = LogisticRegression(1).fit(None, rows, None, None)
    assert int(fit.status) == cj.Status.DEGENERATE
    assert int(LogisticRegression(1, 0.1).fit(None, rows, None, None).status) == cj.Status.OK


@pytest.mark.thorough
def test_logistic_labels_have_their_probabilities():
    corpus = jax.jit(lambda key: LOGISTIC.draw(cj.Keys(key, jnp.int32(0)), 200_000, 200_000))(
        jax.random.key(0)
    )
    rows = np.asarray(corpus.absolute_rows, np.float64)
    chance = 1 / (1 + np.exp(-rows[:, :3] @ LOGISTIC.coefficients))
    scores = (rows[:, 3] - chance) / np.sqrt(chance * (1 - chance))
    for weight in (np.ones(len(rows)), rows[:, 0], rows[:, 1] ** 2):
        assert abs((weight * scores).mean()) * np.sqrt(len(rows)) < 5 * (weight * scores).std()


@pytest.mark.thorough
@pytest.mark.parametrize(
    "policy",
    [
        cj.Fresh(30, 10),
        cj.AccumulateSubsample(40),
        cj.Mixing(40, beta=0.25, gamma=0.25, original="data"),
        cj.Mixing(40, beta=0.25, gamma=0.25, previous="distribution"),
        cj.Replace(40, verifier=lambda rows: rows[:, 0] > -9),
    ],
)
@pytest.mark.parametrize("name", ["linear", "logistic"])
def test_every_policy_runs(policy, name):
    """Least squares is unbiased under every policy that does not look at values."""
    is_linear = name == "linear"
    family = LinearRegression(3) if is_linear else LogisticRegression(3, 1.0)
    records = run(
        family,
        TRUTH if is_linear else LOGISTIC,
        policy,
        chains=4000 if is_linear else 200,
        generations=2,
        metrics=["coefficients"],
    )
    assert set(np.unique(records["status"])) == {0}
    if is_linear:
        b = records["coefficients"][-1]
        errors = b.std(axis=0) / np.sqrt(len(b))
        assert np.all(np.abs(b.mean(axis=0) - TRUTH.coefficients) < 5 * errors)


@pytest.mark.thorough
def test_rules():
    check_family(LinearRegression(3), TRUTH)
    check_family(LinearRegression(3, corpus="samples"), TRUTH)
    check_family(LogisticRegression(3), LOGISTIC, num_samples=300)
    check_source(TRUTH)
    check_source(LOGISTIC)


def test_tables_are_truths(tmp_path):
    x, y, labels = table(50, 2)
    path = tmp_path / "data.csv"
    lines = [",".join(map(repr, map(float, row))) for row in np.column_stack([x, y, labels])]
    path.write_text("\n".join(["a,b,y,z", *lines]))
    for source in (
        cj.Table(path, x=["a", "b"], y="y"),
        cj.Table(np.column_stack([x, y]), x=[0, 1], y=2),
    ):
        records = run(LinearRegression(2), source, cj.Replace(50), chains=4, generations=1)
        assert np.all(records["error"][0] < 1e-9)
        assert np.all(records["error"][1] > 1e-6)
    source = cj.Table(path, x=["a", "b"], y="z")
    records = run(LogisticRegression(2), source, cj.Replace(50), chains=4, generations=0)
    assert np.all(records["error"] < 1e-8)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: LinearRegression(0), "LinearRegression.dim=0"),
        (lambda: LinearRegression(1, -1.0), "LinearRegression.penalty=-1"),
        (lambda: LinearRegression(1, corpus="x"), "LinearRegression.corpus='x'"),
        (lambda: LogisticRegression(1, "x"), "LogisticRegression.penalty='x'"),
        (lambda: LinearModel([1.0], -1.0), "LinearModel.noise=-1"),
        (lambda: LinearModel([np.nan]), r"LinearModel.coefficients\[0\]=nan"),
        (lambda: cj.LogisticModel([1.0], 0.0), "LogisticModel.covariance="),
        (lambda: cj.LogisticModel([1.0, 2.0], [[1.0]]), "LogisticModel.covariance="),
        (lambda: cj.Table(np.ones((3, 2)), x=0, y=2), "Table.y=2"),
        (lambda: cj.Table(np.ones((3, 2)), x=None, y=1), "Table.x=None"),
        (lambda: cj.Chain(LinearRegression(2), TRUTH, cj.Replace(9)), "Chain.source='LinearModel'"),
        (lambda: cj.Chain(LinearRegression(3), LOGISTIC, cj.Replace(9)), "needs rows of covar"),
        (
            lambda: cj.Chain(
                LogisticRegression(1), cj.Table(np.ones((3, 2)) * 2, x=0, y=1), cj.Replace(9)
            ),
            "Table.y=2",
        ),
        (
            lambda: cj.Chain(
                LinearRegression(3, corpus="moments"), TRUTH, cj.AccumulateSubsample(9)
            ),
            "LinearRegression.corpus='moments'",
        ),
        (lambda: regression.replace_expected_error([9], 0), "dim=0"),
    ],
)
def test_bad_settings_are_refused(make, message):
    with pytest.raises(cj.ArgumentError, match=message):
        make()


_gram = jax.jit(gram_of)


@given(strategies.tables(((5, 2),)), strategies.tables(((5, 2),)))
def test_pooled_products_are_those_of_all_rows(one, other):
    left, right = (_gram(cj.Rows.of_rows(jnp.asarray(rows), 5)) for rows in (one, other))
    pool = left.merge(right, jnp.int32(5))
    rows = np.concatenate([one, other]).astype(np.float64)
    assert float(pool.xx[0, 0]) == pytest.approx(np.mean(rows[:, 0] ** 2), rel=1e-5)
    assert float(pool.xy[0]) == pytest.approx(np.mean(rows[:, 0] * rows[:, 1]), rel=1e-4, abs=1e-4)


# Planted faults


def changed(where, name, wrong):
    def plant(patch):
        right = getattr(where, name)
        patch.setattr(where, name, lambda *given, **named: wrong(right, *given, **named))

    return plant


FAULTS = {
    "noise of the model only": changed(
        module, "draw_gram", lambda right, k, p, f, b, noise, n: right(k, p, f, b, 0 * noise, n)
    ),
    "variance for deviation": changed(
        module, "draw_gram", lambda right, k, p, f, b, noise, n: right(k, p, f, b, noise**2, n)
    ),
    "degrees of freedom less 1": changed(
        gram_module, "log_chi_square", lambda right, z, dof, n: right(z, dof - 4, n)
    ),
    "labels of the truth": changed(
        module.LinearRegression,
        "_gram",
        lambda right, self, keys, purpose, b, n: right(
            self, keys, purpose, self.truth.coefficients, n
        ),
    ),
    "a penalty unasked for": changed(
        module, "_solve", lambda right, h, side: right(h + 0.1 * jnp.eye(3), side)
    ),
    "covariance for its root": changed(
        module, "draw_gram", lambda right, k, p, f, *rest: right(k, p, f @ f.T, *rest)
    ),
}


@pytest.mark.thorough
@pytest.mark.parametrize("fault", FAULTS)
def test_planted_faults_are_caught(fault, monkeypatch):
    jax.clear_caches()
    FAULTS[fault](monkeypatch)
    try:
        assert largest("replace") > 8
    finally:
        monkeypatch.undo()
        jax.clear_caches()


def logistic_error(rows=400):
    """Standard errors between the first generation's error and its asymptotic expectation."""
    source = cj.LogisticModel([0.5, -0.5], 1.0)
    records = run(LogisticRegression(2), source, cj.Replace(rows), chains=3000, generations=1)
    draws = np.random.default_rng(5).normal(size=(200_000, 2))
    chance = 1 / (1 + np.exp(-draws @ source.coefficients))
    information = (draws.T * (chance * (1 - chance))) @ draws / len(draws)
    exact = np.trace(np.linalg.inv(information)) / rows
    first, second = (records["error"][g].astype(np.float64) for g in (0, 1))
    gap = (second - first).mean() / exact - 1
    return abs(gap), abs(first.mean() / exact - 1)


LOGISTIC_FAULTS = {
    "signs of the coefficients": changed(
        module, "logistic_rows", lambda right, k, p, x, b, n: right(k, p, x, jnp.sign(b), n)
    ),
    "labels of the other class": changed(
        module, "logistic_rows", lambda right, k, p, x, b, n: right(k, p, x, -b, n)
    ),
    "half the coefficients": changed(
        module, "logistic_rows", lambda right, k, p, x, b, n: right(k, p, x, 0.5 * b, n)
    ),
    "covariates doubled": changed(
        module, "logistic_rows", lambda right, k, p, x, b, n: right(k, p, 2 * x, b, n)
    ),
    "labels of the truth": changed(
        module,
        "logistic_rows",
        lambda right, k, p, x, b, n: right(k, p, x, jnp.array([0.5, -0.5]), n),
    ),
}


@pytest.mark.thorough
def test_logistic_errors_are_asymptotic():
    """Twice 1 / M times the inverse information, to second order in 1 / M."""
    gap, first = logistic_error()
    assert first < 0.15
    assert gap < 0.2


@pytest.mark.thorough
@pytest.mark.parametrize("fault", LOGISTIC_FAULTS)
def test_planted_faults_of_logistic_chains_are_caught(fault, monkeypatch):
    jax.clear_caches()
    LOGISTIC_FAULTS[fault](monkeypatch)
    try:
        assert max(logistic_error()) > 0.3
    finally:
        monkeypatch.undo()
        jax.clear_caches()


@pytest.mark.thorough
@given(strategies.regression_chains(), strategies.seeds())
def test_drawn_chains_run(chain, seed):
    records = cj.simulate(chain, key=seed, num_chains=3, num_generations=3)
    assert set(np.unique(records["status"])) <= {0, 2}
    assert not np.any(records["error"] < 0)
