"""What is asked of the compilers for TPU and GPU is refused in one line if it is bad."""

import jax
import jax.numpy as jnp
import pytest

import collapse_jax as cj
from collapse_jax import lm
from collapse_jax.lm.compile_for import compile_step
from collapse_jax.utils.accelerators import KINDS, DescribedSlice
from collapse_jax.utils.matmul_flops import matmul_flops

CONFIG = lm.OPTConfig(
    vocab_size=64,
    hidden_size=16,
    num_hidden_layers=1,
    ffn_dim=32,
    num_attention_heads=2,
    max_position_embeddings=32,
)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"step": "fly"}, "step='fly'"),
        ({"batch": 0}, "batch=0"),
        ({"length": 33}, "length=33"),
        ({"step": "generate", "length": 20}, "length=20"),
        ({"dtype": "wide"}, "dtype='wide'"),
        ({"mesh": {"data": 2}}, "v5e:2x2 has 4 devices"),
        ({"mesh": {"model": 4}}, "it must have the axes data and fsdp"),
        ({"mesh": 4}, "it must have the axes data and fsdp"),
    ],
)
def test_bad_arguments_are_refused_in_one_line(changes, expected):
    target = DescribedSlice("v5e:2x2", KINDS["v5e"], tuple(jax.devices()[:4]))
    given = {"step": "train", "batch": 8, "length": 8} | changes
    with pytest.raises(cj.ArgumentError) as caught:
        compile_step(CONFIG, target, **given)
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_unknown_topology_is_refused():
    with pytest.raises(cj.ArgumentError, match="topology='v9:2x2'"):
        lm.compile_for(CONFIG, "v9:2x2", batch=8, length=8)


def test_products_are_counted_with_their_repetitions():
    def program(x, n):
        x = jax.lax.scan(lambda y, _: (y @ x, None), x, None, length=5)[0]
        x = jax.lax.while_loop(lambda loop: loop[0] < n, lambda loop: (n, loop[1] @ x), (n, x))[1]
        return jax.lax.cond(n > 0, lambda: x @ x @ x, lambda: x)

    shape = jax.ShapeDtypeStruct((4, 4), jnp.float32)
    count = jax.ShapeDtypeStruct((), jnp.int32)
    assert matmul_flops(jax.make_jaxpr(program)(shape, count), 3) == (5 + 3 + 2) * 2 * 4**3
    kernel = jax.ShapeDtypeStruct((6, 3, 2, 2), jnp.float32)  # to 6 channels, from 3
    image = jax.ShapeDtypeStruct((1, 3, 5, 5), jnp.float32)
    convolution = jax.make_jaxpr(lambda x, w: jax.lax.conv(x, w, (1, 1), "VALID"))(image, kernel)
    assert matmul_flops(convolution) == 2 * (6 * 4 * 4) * (3 * 2 * 2)
