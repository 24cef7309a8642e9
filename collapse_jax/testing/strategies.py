"""Provide Hypothesis strategies for laws, sources, families, policies, corpora and chains.

Sizes come from short lists, since every new shape is compiled; values vary freely. All values
are dyadic and of order one, so that sums of a few of them are exact and failing examples are
readable.

>>> from hypothesis import given
>>> from collapse_jax.testing import strategies
>>> @given(strategies.policies(num_generations=3))
... def has_a_size_for_each_generation(policy):
...     assert len(policy.sizes(3)) == 4
>>> has_a_size_for_each_generation()
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from collapse_jax.core.chain import Chain
from collapse_jax.core.corpus import Counts, Moments
from collapse_jax.core.policy import AbstractPolicy
from collapse_jax.core.samples import Samples, moments_of
from collapse_jax.core.selection import AbstractSelection
from collapse_jax.core.source import AbstractSource
from collapse_jax.families import Discrete, Gaussian
from collapse_jax.families.bernoulli import Bernoulli
from collapse_jax.families.exponential import Exponential
from collapse_jax.families.kernel_density import KernelDensity
from collapse_jax.families.poisson import Poisson
from collapse_jax.families.regression import LinearRegression
from collapse_jax.families.series_density import SeriesDensity
from collapse_jax.policies import (
    Accumulate,
    AccumulateSubsample,
    Detector,
    Fresh,
    Mixing,
    Replace,
)
from collapse_jax.policies.selections import Accept, BestOf, Edit, Top
from collapse_jax.sources import Categorical, Empirical, Normal
from collapse_jax.sources.rate_laws import ExponentialLaw, PoissonLaw
from collapse_jax.sources.regression import LinearModel

STATES = (2, 3, 5)
"""Numbers of states."""
SHAPES = ((5, 1), (6, 3))
"""Shapes [row, dim] of tables of rows."""
SIZES = (2, 7)
"""Rows of a corpus of `Fresh`."""

_moments_of = jax.jit(moments_of)


def seeds() -> st.SearchStrategy[int]:
    """Draw keys of `simulate`.

    Do not combine drawn keys with statistical tolerances: Hypothesis searches for failures.

    Returns:
      A strategy of ints in [0, 2^31).
    """
    return st.integers(0, 2**31 - 1)


def numbers(largest: float = 8.0) -> st.SearchStrategy[float]:
    """Draw multiples of 1/64 in [-largest, largest].

    Args:
      largest: bound of the absolute value.

    Returns:
      A strategy of floats.
    """
    most = int(64 * largest)
    return st.integers(-most, most).map(lambda n: n / 64)


def tables(shapes: tuple[tuple[int, ...], ...] = SHAPES) -> st.SearchStrategy[np.ndarray]:
    """Draw float32 tables [row, dim] of `numbers`.

    Args:
      shapes: to choose from.

    Returns:
      A strategy of arrays.
    """
    return st.sampled_from(shapes).flatmap(
        lambda shape: arrays.arrays(np.float32, shape, elements=numbers())
    )


def laws(num_states: int | None = None, *, positive: bool = False) -> st.SearchStrategy[np.ndarray]:
    """Draw probability vectors [state] in float64.

    Args:
      num_states: number of states; None for 2, 3 or 5.
      positive: whether all probabilities are positive.

    Returns:
      A strategy of arrays, each with sum 1.
    """
    states = st.sampled_from(STATES) if num_states is None else st.just(num_states)
    weights = st.integers(1 if positive else 0, 64)
    return (
        states.flatmap(lambda k: st.lists(weights, min_size=k, max_size=k))
        .filter(any)
        .map(lambda w: np.array(w) / sum(w))
    )


def shares(num: int) -> st.SearchStrategy[tuple[float, ...]]:
    """Draw shares that are multiples of 1/16 and sum to 1.

    Args:
      num: number of shares.

    Returns:
      A strategy of tuples of floats.
    """
    cuts = st.lists(st.integers(0, 16), min_size=num - 1, max_size=num - 1).map(sorted)
    return cuts.map(lambda c: tuple(np.diff([0, *c, 16]) / 16))


def schedules(
    num_generations: int, sizes: tuple[int, ...] = (2, 3, 8)
) -> st.SearchStrategy[int | tuple[int, ...]]:
    """Draw sizes of corpora: one number, or M_0 .. M_G.

    Args:
      num_generations: last generation G.
      sizes: rows of a corpus, to choose from.

    Returns:
      A strategy of ints and tuples of G + 1 ints.
    """
    length = num_generations + 1
    size = st.sampled_from(sizes)
    return size | st.lists(size, min_size=length, max_size=length).map(tuple)


def categoricals(num_states: int | None = None) -> st.SearchStrategy[Categorical]:
    """Draw sources of labels.

    Args:
      num_states: number of states; None for 2, 3 or 5.

    Returns:
      A strategy of `Categorical`.
    """
    return laws(num_states).map(Categorical)


def normals(dim: int | None = None) -> st.SearchStrategy[Normal]:
    """Draw normal sources, with covariances of any rank including 0.

    Args:
      dim: number of dimensions; None for 1 or 2.

    Returns:
      A strategy of `Normal`.
    """
    dims = st.sampled_from((1, 2)) if dim is None else st.just(dim)

    def covariance(root: np.ndarray) -> Any:
        return float(root[0, 0] ** 2) if len(root) == 1 else root @ root.T

    def source(d: int) -> st.SearchStrategy[Normal]:
        roots = arrays.arrays(np.float64, (d, d), elements=numbers(2))
        return st.builds(
            Normal,
            arrays.arrays(np.float64, (d,), elements=numbers()),
            roots.map(covariance),
        )

    return dims.flatmap(source)


def empirical_labels(num_rows: int = 7, num_states: int = 3) -> st.SearchStrategy[Any]:
    """Draw sources of finite labels.

    Args:
      num_rows: number of labels.
      num_states: number of states, at most 10.

    Returns:
      A strategy of `Empirical`.
    """
    rows = arrays.arrays(np.int32, num_rows, elements=st.integers(0, num_states - 1))
    names = tuple("abcdefghij"[:num_states])
    return rows.map(lambda labels: Empirical(labels, names=names))


def empirical_rows(shape: tuple[int, int] = (7, 1)) -> st.SearchStrategy[Any]:
    """Draw sources of finite real rows.

    Args:
      shape: [row, dim].

    Returns:
      A strategy of `Empirical`.
    """
    return arrays.arrays(np.float64, shape, elements=numbers()).map(Empirical)


def sources() -> st.SearchStrategy[AbstractSource]:
    """Draw sources of any kind above.

    Returns:
      A strategy of sources.
    """
    return st.one_of(categoricals(), normals(), empirical_labels(), empirical_rows())


def discretes() -> st.SearchStrategy[Discrete]:
    """Draw `Discrete`: smoothed, tempered or truncated, for any labels.

    Returns:
      A strategy of `Discrete`.
    """
    return st.builds(
        Discrete,
        smoothing=st.sampled_from((0.0, 0.5, 1.0)),
        temperature=st.sampled_from((0.5, 1.0, 2.0)),
        top_p=st.sampled_from((0.5, 0.9, 1.0)),
        min_probability=st.sampled_from((0.0, 0.125)),
        corpus=st.sampled_from(("auto", "counts", "samples")),
    )


def gaussians(dim: int | None = None) -> st.SearchStrategy[Gaussian]:
    """Draw `Gaussian`, both estimators, with and without sampling bias.

    Args:
      dim: number of dimensions; None for 1 or 2.

    Returns:
      A strategy of `Gaussian`.
    """
    return st.builds(
        Gaussian,
        st.sampled_from((1, 2)) if dim is None else st.just(dim),
        st.sampled_from(("unbiased", "mle")),
        sampling_bias=st.sampled_from((0.75, 1.0, 1.25)),
    )


def families() -> st.SearchStrategy[Discrete | Gaussian]:
    """Draw `Discrete` and `Gaussian` families.

    Returns:
      A strategy of families.
    """
    return st.one_of(discretes(), gaussians())


def mixings(num_samples: int = 8) -> st.SearchStrategy[Mixing]:
    """Draw `Mixing` of every kind, with constant shares.

    Args:
      num_samples: rows of a corpus.

    Returns:
      A strategy of `Mixing`.
    """
    return st.builds(
        lambda share, **given: Mixing(num_samples, *share, **given),
        shares(3),
        previous=st.sampled_from(("data", "distribution")),
        original=st.sampled_from(("data", "distribution")),
        allocation=st.sampled_from(("multinomial", "fixed")),
    )


def tables_of_states(num_states: int = 3) -> st.SearchStrategy[np.ndarray]:
    """Draw scores of states, with ties.

    Args:
      num_states: number of states.

    Returns:
      A strategy of float32 arrays [state].
    """
    scores = st.sampled_from((-1.0, 0.0, 0.5, 2.0))
    return st.lists(scores, min_size=num_states, max_size=num_states).map(
        lambda s: np.array(s, np.float32)
    )


def selections(num_states: int = 3, most: int = 8) -> st.SearchStrategy[AbstractSelection]:
    """Draw selections of states, of every kind.

    Args:
      num_states: number of states.
      most: the largest number of rows that a policy asks for.

    Returns:
      A strategy of `Accept`, `Top`, `BestOf` and `Edit`.
    """

    def of(table: Any) -> Any:
        return lambda states: jnp.asarray(table)[states]

    functions = tables_of_states(num_states).map(of)
    targets = st.lists(st.integers(0, num_states - 1), min_size=num_states, max_size=num_states)
    heat = st.sampled_from((0.0, 0.5, 1.0))
    return st.one_of(
        laws(num_states, positive=True).map(np.float32).map(of).map(Accept),
        st.builds(Top, st.sampled_from((most, 2 * most)), functions, heat),
        st.builds(BestOf, st.sampled_from((1, 2, 5)), functions, temperature=heat),
        st.builds(
            lambda one, other, share: BestOf(2, [one, other], share),
            functions,
            functions,
            shares(2),
        ),
        targets.map(lambda t: np.array(t, np.int32)).map(of).map(Edit),
    )


def detectors() -> st.SearchStrategy[Detector]:
    """Draw detectors that pass rows of both kinds.

    Returns:
      A strategy of `Detector`.
    """
    passes = st.integers(1, 16).map(lambda n: n / 16)
    return st.builds(Detector, passes, passes)


def policies(num_generations: int = 3) -> st.SearchStrategy[AbstractPolicy]:
    """Draw policies, with one size or a schedule.

    Args:
      num_generations: last generation of a run.

    Returns:
      A strategy of policies.
    """
    sizes, original = schedules(num_generations), st.sampled_from((0, 3))
    return st.one_of(
        sizes.map(Replace),
        st.builds(
            lambda gamma, detector: Mixing(8, gamma=gamma, detector=detector),
            st.sampled_from((0.25, 1.0)),
            detectors(),
        ),
        st.builds(Accumulate, sizes, original),
        st.builds(AccumulateSubsample, sizes, original),
        st.builds(Fresh, st.sampled_from(SIZES), st.sampled_from((0, 3))),
        mixings(),
    )


def counts(num_states: int | None = None, largest: int = 1000) -> st.SearchStrategy[Counts]:
    """Draw corpora of counts, none of them empty.

    Args:
      num_states: number of states; None for 2, 3 or 5.
      largest: largest count of a state.

    Returns:
      A strategy of `Counts`.
    """
    states = st.sampled_from(STATES) if num_states is None else st.just(num_states)
    return (
        states.flatmap(lambda k: arrays.arrays(np.int32, k, elements=st.integers(0, largest)))
        .filter(lambda values: values.sum() > 0)
        .map(lambda values: Counts(jnp.asarray(values)))
    )


def samples(shapes: tuple[tuple[int, ...], ...] = SHAPES) -> st.SearchStrategy[Samples]:
    """Draw corpora of real rows, with every slot in use.

    Args:
      shapes: [row, dim], to choose from.

    Returns:
      A strategy of `Samples`.
    """
    return tables(shapes).map(lambda rows: Samples.of_rows(jnp.asarray(rows), len(rows)))


def moments(dim: int = 1) -> st.SearchStrategy[Moments]:
    """Draw corpora of moments, computed from rows.

    Args:
      dim: number of dimensions.

    Returns:
      A strategy of `Moments`.
    """
    return samples(((5, dim),)).map(_moments_of)


def corpora() -> st.SearchStrategy[Counts | Samples | Moments]:
    """Draw corpora of any kind above.

    Returns:
      A strategy of corpora.
    """
    return st.one_of(counts(), samples(), moments())


def chains(num_generations: int = 3) -> st.SearchStrategy[Chain]:
    """Draw chains of a family, source and policy that fit each other.

    Args:
      num_generations: last generation of a run.

    Returns:
      A strategy of `Chain`.
    """
    discrete = st.builds(Chain, discretes(), categoricals(), policies(num_generations))
    weighted = st.sampled_from((0.25, 0.5, 1.0)).map(lambda w: Fresh(SIZES[1], 3, weight=w))
    rules = policies(num_generations) | weighted
    normal = st.sampled_from((1, 2)).flatmap(
        lambda d: st.builds(Chain, gaussians(d), normals(d), rules)
    )
    return st.one_of(discrete, normal)


def rate_chains(num_generations: int = 3) -> st.SearchStrategy[Chain]:
    """Draw chains of `Poisson`, `Exponential` and `Bernoulli`, under any policy.

    Args:
      num_generations: last generation of a run.

    Returns:
      A strategy of `Chain`.
    """
    rate, policy = st.integers(1, 64).map(lambda n: n / 8), policies(num_generations)
    corpus = st.sampled_from(("auto", "samples"))
    return st.one_of(
        st.builds(Chain, st.builds(Poisson, corpus), rate.map(PoissonLaw), policy),
        st.builds(Chain, st.builds(Exponential, corpus), rate.map(ExponentialLaw), policy),
        st.builds(Chain, st.just(Bernoulli()), categoricals(2), policy),
    )


def kernel_chains(num_generations: int = 3) -> st.SearchStrategy[Chain]:
    """Draw chains of `KernelDensity`, of any width, under any policy.

    Args:
      num_generations: last generation of a run.

    Returns:
      A strategy of `Chain`.
    """
    width = st.sampled_from(("scott", "silverman", 0.0, 0.5, 4.0))
    return st.sampled_from((1, 2)).flatmap(
        lambda dim: st.builds(
            Chain,
            st.builds(KernelDensity, st.just(dim), width),
            normals(dim),
            policies(num_generations),
        )
    )


def series_chains(num_generations: int = 3) -> st.SearchStrategy[Chain]:
    """Draw chains of `SeriesDensity`, with and without penalty, under any policy.

    Args:
      num_generations: last generation of a run.

    Returns:
      A strategy of `Chain`.
    """
    family = st.builds(SeriesDensity, st.sampled_from((1, 4)), st.sampled_from((0.0, 0.5)))
    return st.builds(Chain, family, normals(1), policies(num_generations))


def regression_chains(num_generations: int = 3) -> st.SearchStrategy[Chain]:
    """Draw chains of `LinearRegression`, with and without penalty, under any policy.

    Args:
      num_generations: last generation of a run.

    Returns:
      A strategy of `Chain`.
    """

    def chain(dim: int) -> st.SearchStrategy[Chain]:
        family = st.builds(LinearRegression, st.just(dim), st.sampled_from((0.0, 0.5)))
        truth = st.lists(numbers(), min_size=dim, max_size=dim)
        source = st.builds(LinearModel, truth, st.integers(0, 64).map(lambda n: n / 64))
        return st.builds(Chain, family, source, policies(num_generations))

    return st.sampled_from((1, 3)).flatmap(chain)
