"""Hypothesis strategies: laws, sources, families, policies, schedules, corpora, whole chains.

Sizes come from short menus, since every new shape is a new compilation; numbers are drawn
freely. All values are dyadic and of order one, so that sums of a few of them carry no
rounding and a failing example prints well.

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
from collapse_jax.core.corpus import Counts, Moments, Samples, moments_of
from collapse_jax.core.policy import AbstractPolicy
from collapse_jax.core.source import AbstractSource
from collapse_jax.families import Discrete, Gaussian
from collapse_jax.policies import Accumulate, AccumulateSubsample, Fresh, Mixing, Replace
from collapse_jax.sources import Categorical, Empirical, Normal

STATES = (2, 3, 5)
SHAPES = ((5, 1), (6, 3))
SIZES = (2, 7)

_moments_of = jax.jit(moments_of)


def seeds() -> st.SearchStrategy[int]:
    """Keys for `simulate`. Never put a statistical tolerance behind a drawn seed."""
    return st.integers(0, 2**31 - 1)


def numbers(largest: float = 8.0) -> st.SearchStrategy[float]:
    """Multiples of 1/64 in [-largest, largest]."""
    most = int(64 * largest)
    return st.integers(-most, most).map(lambda n: n / 64)


def tables(shapes: tuple[tuple[int, ...], ...] = SHAPES) -> st.SearchStrategy[np.ndarray]:
    """float32 rows [row, dim] of `numbers`."""
    return st.sampled_from(shapes).flatmap(
        lambda shape: arrays.arrays(np.float32, shape, elements=numbers())
    )


def laws(num_states: int | None = None, *, positive: bool = False) -> st.SearchStrategy[np.ndarray]:
    """Probability vectors [state] in float64, with zeros unless `positive`."""
    states = st.sampled_from(STATES) if num_states is None else st.just(num_states)
    weights = st.integers(1 if positive else 0, 64)
    return (
        states.flatmap(lambda k: st.lists(weights, min_size=k, max_size=k))
        .filter(any)
        .map(lambda w: np.array(w) / sum(w))
    )


def shares(num: int) -> st.SearchStrategy[tuple[float, ...]]:
    """`num` shares that sum to 1, each a multiple of 1/16 of it."""
    cuts = st.lists(st.integers(0, 16), min_size=num - 1, max_size=num - 1).map(sorted)
    return cuts.map(lambda c: tuple(np.diff([0, *c, 16]) / 16))


def schedules(
    num_generations: int, sizes: tuple[int, ...] = (2, 3, 8)
) -> st.SearchStrategy[int | tuple[int, ...]]:
    """Sizes of corpora: one number, or M_0 .. M_G."""
    length = num_generations + 1
    size = st.sampled_from(sizes)
    return size | st.lists(size, min_size=length, max_size=length).map(tuple)


def categoricals(num_states: int | None = None) -> st.SearchStrategy[Categorical]:
    """Sources of labels."""
    return laws(num_states).map(Categorical)


def normals(dim: int | None = None) -> st.SearchStrategy[Normal]:
    """Normal sources, their covariance of any rank, the zero matrix included."""
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
    """Finite data of labels."""
    rows = arrays.arrays(np.int32, num_rows, elements=st.integers(0, num_states - 1))
    names = tuple("abcdefghij"[:num_states])
    return rows.map(lambda labels: Empirical(labels, names=names))


def empirical_rows(shape: tuple[int, int] = (7, 1)) -> st.SearchStrategy[Any]:
    """Finite data of real rows."""
    return arrays.arrays(np.float64, shape, elements=numbers()).map(Empirical)


def sources() -> st.SearchStrategy[AbstractSource]:
    """Any source."""
    return st.one_of(categoricals(), normals(), empirical_labels(), empirical_rows())


def discretes() -> st.SearchStrategy[Discrete]:
    """Discrete families, smoothed, tempered or cut, that resolve any source of labels."""
    return st.builds(
        Discrete,
        smoothing=st.sampled_from((0.0, 0.5, 1.0)),
        temperature=st.sampled_from((0.5, 1.0, 2.0)),
        top_p=st.sampled_from((0.5, 0.9, 1.0)),
        min_probability=st.sampled_from((0.0, 0.125)),
        corpus=st.sampled_from(("auto", "counts", "samples")),
    )


def gaussians(dim: int | None = None) -> st.SearchStrategy[Gaussian]:
    """Gaussian families."""
    return st.builds(
        Gaussian,
        st.sampled_from((1, 2)) if dim is None else st.just(dim),
        st.sampled_from(("unbiased", "mle")),
        sampling_bias=st.sampled_from((0.75, 1.0, 1.25)),
    )


def families() -> st.SearchStrategy[Discrete | Gaussian]:
    """Any family of the library."""
    return st.one_of(discretes(), gaussians())


def mixings(num_samples: int = 8) -> st.SearchStrategy[Mixing]:
    """Every kind of mixing policy, with constant shares."""
    return st.builds(
        lambda share, **given: Mixing(num_samples, *share, **given),
        shares(3),
        previous=st.sampled_from(("data", "distribution")),
        original=st.sampled_from(("data", "distribution")),
        allocation=st.sampled_from(("multinomial", "fixed")),
    )


def policies(num_generations: int = 3) -> st.SearchStrategy[AbstractPolicy]:
    """Any policy of the library, with one size or a schedule."""
    sizes = schedules(num_generations)
    return st.one_of(
        sizes.map(Replace),
        sizes.map(Accumulate),
        sizes.map(AccumulateSubsample),
        st.builds(Fresh, st.sampled_from(SIZES), st.sampled_from((0, 3))),
        mixings(),
    )


def counts(num_states: int | None = None, largest: int = 1000) -> st.SearchStrategy[Counts]:
    """Corpora of counts, none of them empty."""
    states = st.sampled_from(STATES) if num_states is None else st.just(num_states)
    return (
        states.flatmap(lambda k: arrays.arrays(np.int32, k, elements=st.integers(0, largest)))
        .filter(lambda values: values.sum() > 0)
        .map(lambda values: Counts(jnp.asarray(values)))
    )


def samples(shapes: tuple[tuple[int, ...], ...] = SHAPES) -> st.SearchStrategy[Samples]:
    """Corpora of real rows, every slot full."""
    return tables(shapes).map(lambda rows: Samples.of_rows(jnp.asarray(rows), len(rows)))


def moments(dim: int = 1) -> st.SearchStrategy[Moments]:
    """Corpora of moments, each that of some rows."""
    return samples(((5, dim),)).map(_moments_of)


def corpora() -> st.SearchStrategy[Counts | Samples | Moments]:
    """Any corpus."""
    return st.one_of(counts(), samples(), moments())


def chains(num_generations: int = 3) -> st.SearchStrategy[Chain]:
    """Families, sources and policies that fit each other."""
    discrete = st.builds(Chain, discretes(), categoricals(), policies(num_generations))
    normal = st.sampled_from((1, 2)).flatmap(
        lambda d: st.builds(Chain, gaussians(d), normals(d), policies(num_generations))
    )
    return st.one_of(discrete, normal)
