"""Plans for accelerators that are not here: widths, memory, and what is refused."""

import dataclasses
import types

import numpy as np
import pytest

import collapse_jax as cj
from collapse_jax.engine.request import Request
from collapse_jax.engine.run_spec import make_run_spec
from collapse_jax.utils.accelerators import KINDS, describe, memory_of

NORMAL = cj.Chain(cj.Gaussian(1), cj.Normal(0.5, 2.0), cj.Replace(20))
MIXTURE = cj.Chain(
    cj.GaussianMixture(2, 2),
    cj.Empirical(np.random.default_rng(0).normal(size=(60, 2))),
    cj.Replace(50_000),
)
_PIXELS = np.random.default_rng(0).random((64, 8, 8), np.float32)
IMAGES = cj.Chain(
    cj.VAE(image_size=8, epochs=1), cj.Images(_PIXELS, test=_PIXELS[:16]), cj.Replace(64)
)


def described(kind):
    """Return a device of this kind, as a plan sees it."""
    return types.SimpleNamespace(
        platform={"cuda": "gpu"}.get(KINDS[kind].platform, KINDS[kind].platform),
        device_kind=KINDS[kind].device_kind,
        process_index=0,
    )


def plan(chain, num_chains, kind="v5e", **more):
    request = Request(chain=chain, key=0, num_chains=num_chains, num_generations=3, **more)
    return make_run_spec(request.checked(), [described(kind)])


@pytest.mark.parametrize("kind", KINDS)
def test_a_described_device_has_its_memory(kind):
    assert memory_of(described(kind)) == KINDS[kind].memory


@pytest.mark.parametrize("chain", [NORMAL, MIXTURE], ids=["normal", "mixture"])
@pytest.mark.parametrize("num_chains", [1, 2, 5, 64, 100, 129, 1000])
def test_a_small_run_is_padded_to_less_than_twice_its_chains(chain, num_chains):
    spec = plan(chain, num_chains)
    computed = len(spec.batches()) * spec.width
    assert num_chains <= computed < 2 * num_chains + (num_chains == 1)


def test_statistics_need_whole_blocks():
    assert plan(NORMAL, 5, reduce=cj.Reduce()).width == 256


def test_an_autoencoder_trains_one_network_for_one_chain():
    assert plan(IMAGES, 1).width == 1
    assert plan(IMAGES, 40).width == 1


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("chain", [NORMAL, MIXTURE], ids=["normal", "mixture"])
def test_a_batch_fits_the_memory_of_its_device(chain, kind):
    spec = plan(chain, 10**6, kind)
    assert 128 <= spec.width <= 2**16
    assert spec.bytes_at_work <= KINDS[kind].memory


def test_more_memory_takes_more_chains():
    large = dataclasses.replace(MIXTURE, policy=cj.Replace(2_000_000))
    assert plan(large, 10**6, "v5e").width < plan(large, 10**6, "v5p").width


@pytest.mark.parametrize(
    ("topology", "reason"),
    [
        ("v9:2x2", "the kinds are v5e, v5p, v6e, h100, a100"),
        ("v5e", "a TPU has a shape such as 2x2"),
        ("v5e:2", "a TPU has a shape such as 2x2"),
        ("v5e:0x2", "a TPU has a shape such as 2x2"),
        ("h100:8", "a GPU has no shape"),
        ("", "the kinds are"),
        (4, "it must be a text"),
    ],
)
def test_unknown_topologies_are_refused_in_one_line(topology, reason):
    with pytest.raises(cj.ArgumentError, match=reason) as caught:
        describe(topology)
    assert "\n" not in str(caught.value)


def test_compiling_asks_for_a_chain_that_is_a_program():
    blocks = np.zeros((4, 8), np.int32)
    chain = cj.Chain(cj.Discrete(3), cj.Categorical(np.ones(3) / 3), cj.Replace(10))
    with pytest.raises(cj.ArgumentError, match="num_chains=0"):
        cj.compile_for(chain, "v5e:2x2", num_chains=0, num_generations=1)
    with pytest.raises(cj.ArgumentError, match="chain="):
        cj.compile_for(blocks, "v5e:2x2", num_chains=1, num_generations=1)
