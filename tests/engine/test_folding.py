"""Chains arranged for accelerators have the numbers of chains in a row."""

import types

import jax
import numpy as np
import pytest

import collapse_jax as cj
from collapse_jax.engine.folding import folded, squeezed, unfolded, unsqueezed
from collapse_jax.engine.program import Batch, advance, empty_carry, empty_records
from collapse_jax.engine.request import Request
from collapse_jax.engine.run_spec import make_run_spec
from collapse_jax.utils.jax_settings import own_settings

LAW = np.arange(1, 5.0) / 10
CHAINS = {
    "one number": cj.Chain(cj.Gaussian(1), cj.Normal(0.5, 2.0), cj.Replace(20)),
    "a matrix": cj.Chain(cj.Gaussian(3), cj.Normal(np.zeros(3), np.eye(3)), cj.Replace(20)),
    "rows": cj.Chain(cj.Gaussian(1, corpus="samples"), cj.Normal(0.5, 2.0), cj.Accumulate(5)),
    "counts": cj.Chain(cj.Discrete(corpus="counts"), cj.Categorical(LAW), cj.Replace(30)),
    "labels": cj.Chain(cj.Discrete(corpus="samples"), cj.Categorical(LAW), cj.Replace(30)),
}


def described(platform):
    return types.SimpleNamespace(platform=platform, device_kind="unknown", process_index=0)


def plan(chain, num_chains, platform="tpu", **more):
    request = Request(chain=chain, key=0, num_chains=num_chains, num_generations=3, **more)
    return make_run_spec(request.checked(), [described(platform)])


@own_settings()
def run(spec, is_folded):
    program = spec.program._replace(folded=is_folded)
    carry = empty_carry(spec.carry_shape, spec.width)
    records = empty_records(program, spec.record_shape, spec.width)
    batch = Batch(np.arange(spec.width, dtype=np.uint32), np.ones(spec.width, bool))
    arguments = (program, spec.chain.centred, np.zeros(2, np.uint32), batch)
    carry, records = advance(*arguments, carry, records, *np.array([-1, 1, 1], np.int32))
    return advance(*arguments, carry, records, *np.array([0, 1, 3], np.int32))


@pytest.mark.parametrize(
    ("name", "reduce"),
    [(name, None) for name in CHAINS] + [("one number", cj.Reduce(quantiles=[0.5]))],
)
def test_folded_chains_have_the_same_numbers(name, reduce):
    spec = plan(CHAINS[name], 256, reduce=reduce)
    assert spec.program.folded
    one, other = (jax.tree.leaves(run(spec, is_folded)) for is_folded in (False, True))
    assert [leaf.shape for leaf in one] == [leaf.shape for leaf in other]
    for left, right in zip(one, other, strict=True):
        np.testing.assert_allclose(left, right, rtol=1e-5, atol=1e-5)


def test_chains_are_folded_on_accelerators_in_whole_rows():
    chain = CHAINS["one number"]
    assert plan(chain, 1000).program.folded
    assert plan(chain, 1000, "gpu").program.folded
    assert not plan(chain, 1000, "cpu").program.folded
    assert not plan(chain, 100).program.folded or plan(chain, 100).width == 128


@pytest.mark.parametrize("shape", [(), (1,), (3,), (3, 1, 2)])
@pytest.mark.parametrize("chains", [128, 384])
def test_folding_is_undone(shape, chains):
    array = np.arange(chains * int(np.prod(shape))).reshape(chains, *shape)
    there = folded(array)
    assert there.shape == (*shape, chains // 128, 128)
    assert there[(*[0] * len(shape), -1, -1)] == array[(-1, *[0] * len(shape))]
    np.testing.assert_array_equal(unfolded(there), array)
    np.testing.assert_array_equal(unfolded(folded(array[None], 1), 1), array[None])
    for batch, is_folded in ((array, False), (there, True)):
        narrow = squeezed(batch, is_folded)
        assert narrow.ndim == batch.ndim - shape.count(1)
        np.testing.assert_array_equal(unsqueezed(narrow, batch), batch)
