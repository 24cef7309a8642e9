"""No setting of jax changes a number or breaks a run, and all are as before after a call."""

import contextlib
import hashlib
import os
import subprocess
import sys
import threading

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import collapse_jax as cj
from collapse_jax import lm
from collapse_jax.utils.jax_settings import own_settings

SETTINGS = {
    "jax_numpy_rank_promotion": "raise",
    "jax_numpy_dtype_promotion": "strict",
    "jax_transfer_guard": "disallow",
    "jax_disable_jit": True,
    "jax_debug_nans": True,
    "jax_debug_infs": True,
    "jax_debug_key_reuse": True,
    "jax_default_prng_impl": "rbg",
    "jax_enable_checks": True,
    "jax_check_tracer_leaks": True,
    "jax_threefry_partitionable": False,
    "jax_explain_cache_misses": True,
    "jax_log_compiles": True,
    "jax_enable_custom_prng": True,
    "jax_legacy_prng_key": "error",
    "jax_softmax_custom_jvp": True,
    "jax_thread_guard": True,
    "jax_array_garbage_collection_guard": "log",
}
COMPILED_AGAIN = {"jax_default_matmul_precision": "highest", "jax_random_seed_offset": 7}
CONTEXTS = {
    name: value for name, value in SETTINGS.items() if hasattr(jax, name.removeprefix("jax_"))
}


def near(rows):
    return abs(rows[:, 0]) < 1.5


def discrete():
    return cj.Chain(cj.Discrete(), cj.Categorical([0.5, 0.3, 0.15, 0.05]), cj.Mixing(9, gamma=0.25))


def gaussian():
    return cj.Chain(cj.Gaussian(1), cj.Normal(0.5, 2.0), cj.Replace(9))


def verified():
    family = cj.Gaussian(1, corpus="samples")
    return cj.Chain(family, cj.Normal(0.5, 2.0), cj.Replace(9, verifier=near))


def gaussian_of_rows():
    covariance = [[2.0, 0.3, 0.0], [0.3, 1.0, -0.2], [0.0, -0.2, 0.5]]
    return cj.Chain(cj.Gaussian(3), cj.Normal(np.zeros(3), covariance), cj.Accumulate(9))


def mixture():
    truth = cj.NormalMixture([0.5, 0.5], [[-2.0, 0.0], [2.0, 1.0]], [np.eye(2), np.eye(2)])
    return cj.Chain(cj.GaussianMixture(2, 2), truth, cj.Accumulate(24))


def vae():
    small = {"latent_dim": 3, "width": 4, "image_size": 8, "epochs": 1, "batch_size": 32}
    family = cj.VAE(**small, num_evaluated=100)
    return cj.Chain(family, cj.Images.load("digits", 8, 96), cj.Replace(32))


NETWORK = lm.OPTConfig(
    vocab_size=40,
    hidden_size=16,
    num_hidden_layers=1,
    ffn_dim=32,
    num_attention_heads=2,
    max_position_embeddings=16,
)


def language_model():
    rng = np.random.default_rng(0)
    blocks = [rng.integers(3, 40, (number, 8)) for number in (6, 4, 4)]
    family = cj.LanguageModel(
        NETWORK,
        training=lm.Training(1e-2, num_epochs=1),
        decoding=lm.Decoding(8, num_beams=2, min_new_tokens=8),
        batch_size=4,
        generation_batch=4,
        evaluation_batch=4,
    )
    return cj.Chain(family, cj.TokenBlocks(*blocks, 40), cj.Replace(6))


CHAINS = {
    make.__name__: make
    for make in (discrete, gaussian, verified, gaussian_of_rows, mixture, vae, language_model)
}


def bits(make, **more):
    """Return a digest of every variable of a short run; the chain is made anew."""
    arguments = {"key": 3, "num_chains": 2, "num_generations": 2} | more
    records = cj.simulate(make(), **arguments)
    texts = {name: np.asarray(records[name]).tobytes() for name in map(str, records.variables)}
    return {name: hashlib.sha256(text).hexdigest()[:12] for name, text in texts.items()}


def found():
    """Return all settings of this thread."""
    return {name: getattr(jax.config, name) for name in CONTEXTS} | dict(jax.config.values)


@contextlib.contextmanager
def updated(name, value):
    before = jax.config.values[name]
    jax.config.update(name, value)
    try:
        yield
    finally:
        jax.config.update(name, before)


@pytest.mark.parametrize(
    "make",
    [
        gaussian,
        *(
            pytest.param(make, marks=pytest.mark.thorough)
            for make in (discrete, verified, gaussian_of_rows, mixture, vae, language_model)
        ),
    ],
)
def test_every_family_has_its_bits_under_every_setting(make):
    expected = bits(make)
    for name, value in SETTINGS.items():
        with updated(name, value):
            before = found()
            assert bits(make) == expected, name
            assert found() == before, name
    for name, value in CONTEXTS.items():
        with getattr(jax, name.removeprefix("jax_"))(value):
            before = found()
            assert bits(make) == expected, name
            assert found() == before, name


SCRIPT = """
import json, pathlib, runpy, sys
names = runpy.run_path(sys.argv[1])
print(json.dumps([names["bits"](names["CHAINS"][name]) for name in sys.argv[2:]]))
"""


@pytest.mark.parametrize(
    "makes",
    [(gaussian,), pytest.param((discrete, verified, mixture), marks=pytest.mark.thorough)],
)
def test_environment_variables_change_no_bit(makes):
    """All at once, where nothing is compiled yet."""
    names = [make.__name__ for make in makes]
    every = SETTINGS | COMPILED_AGAIN
    strict = {name.upper(): str(value).lower() for name, value in every.items()}
    command = [sys.executable, "-c", SCRIPT, __file__, *names]
    done = subprocess.run(
        command, env={**os.environ, **strict}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.strip().splitlines()[-1] == str([bits(make) for make in makes]).replace(
        "'", '"'
    )


def test_settings_are_as_before_after_an_exception():
    def broken(key, family, params, corpus, source, generation0):
        raise RuntimeError("in a metric")

    with jax.numpy_rank_promotion("raise"), jax.debug_nans(True):
        before = found()
        with pytest.raises(RuntimeError, match="in a metric"):
            cj.simulate(gaussian(), key=0, num_chains=2, num_generations=1, metrics=[broken])
        with pytest.raises(ValueError, match="num_chains"):
            cj.simulate(gaussian(), key=0, num_chains=0, num_generations=1)
        assert found() == before


def test_threads_keep_settings_of_their_own():
    types, errors = {}, []

    def run(is_double):
        try:
            with jax.enable_x64(is_double), jax.numpy_rank_promotion("raise"):
                records = cj.simulate(gaussian(), key=0, num_chains=2, num_generations=1)
                types[is_double] = records["log_std"].dtype, jax.config.jax_numpy_rank_promotion
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(flag,)) for flag in (False, True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    assert types == {False: (np.float32, "raise"), True: (np.float64, "raise")}
    assert jax.config.jax_numpy_rank_promotion == "allow"


def test_entered_settings_end_with_their_block():
    @own_settings()
    def fail():
        raise RuntimeError(jax.config.jax_default_prng_impl)

    with jax.default_prng_impl("rbg"):
        with pytest.raises(RuntimeError, match="threefry2x32"):
            fail()
        assert jax.config.jax_default_prng_impl == "rbg"


# Debugging a metric


def seen_by(metric, **more):
    arguments = {"key": 0, "num_chains": 3, "num_generations": 4} | more
    return cj.simulate(gaussian(), metrics=[metric], **arguments)


@pytest.mark.parametrize(
    "more",
    [
        {"every": 3},
        pytest.param({"reduce": cj.Reduce(quantiles=(0.5,))}, marks=pytest.mark.thorough),
    ],
)
def test_metrics_are_plain_python_without_jit(more):
    def twice(key, family, params, corpus, source, generation0):
        return 2 * params.log_scale[0] + jax.random.normal(key)

    values, compiled = [], seen_by(twice, **more)

    def printing(key, *others):
        values.append(float(others[1].log_scale[0]))  # fails under jit
        return twice(key, *others)

    with jax.disable_jit():
        plain = seen_by(cj.Metric(printing, "twice", reads=cj.Metric.of(twice).reads), **more)
    for name in map(str, compiled.variables):
        np.testing.assert_array_equal(plain[name], compiled[name], err_msg=name)
    assert len(values) > 6
    if "reduce" not in more:
        assert set(map(np.float32, values)) >= set(compiled["log_std"].ravel())


def test_small_matrices_have_the_same_bits_without_jit():
    """Their roundings show how wide the vectors are that a program was compiled for."""

    def first_mean(key, family, params, corpus, source, generation0):
        return params.mean[0]

    source = cj.Normal(np.zeros(3), np.eye(3))
    chain = cj.Chain(cj.Gaussian(3), source, cj.Mixing(20, gamma=0.3))
    run = {"key": 0, "num_chains": 64, "num_generations": 6, "metrics": [first_mean]}
    compiled = cj.simulate(chain, **run)
    with jax.disable_jit():
        plain = cj.simulate(chain, **run)
    for name in map(str, compiled.variables):
        np.testing.assert_array_equal(plain[name], compiled[name], err_msg=name)


def test_metrics_without_jit_are_checked():
    def log_std(*given):
        return given[2].log_scale[0]

    with jax.disable_jit(), pytest.raises(ValueError, match="records a variable of this name"):
        seen_by(log_std)


# Devices


@pytest.mark.parametrize("way", ["context", "config"])
def test_the_default_device_is_used(way):
    device, used = jax.devices()[5], []

    def where(key, family, params, *others):
        used.extend(params.mean.devices())
        return params.mean[0]

    scope = (
        jax.default_device(device) if way == "context" else updated("jax_default_device", device)
    )
    with scope, jax.disable_jit():  # a metric without jit sees where its arrays are
        records = seen_by(where)
        assert set(used) == {device}
        assert records.provenance["num_devices"] == 1
        used.clear()
        seen_by(where, devices=jax.devices()[2:3])
        assert set(used[1:]) == {jax.devices()[2]}  # the first call finds the shape


def test_a_platform_may_be_the_default_device():
    with updated("jax_default_device", "cpu"):
        assert bits(gaussian) == bits(gaussian, devices=1)


def test_precision_is_part_of_the_provenance(tmp_path):
    arguments = {"key": 0, "num_chains": 2, "num_generations": 1, "store": tmp_path / "run"}
    with jax.default_matmul_precision("highest"):
        records = cj.simulate(gaussian(), **arguments)
    assert records.provenance["matmul_precision"] == "highest"
    with pytest.raises(ValueError, match="matmul_precision is 'highest' there and None now"):
        cj.simulate(gaussian(), **arguments)


# Keys of user code


def test_user_code_gets_keys_of_jax():
    def poisson(key, *others):
        return jax.random.poisson(key, 3.0)

    source = cj.Sampler(lambda key, n: jax.random.poisson(key, 3.0, (n, 1)).astype(float), 1)
    chain = cj.Chain(cj.Gaussian(1), source, cj.Replace(9))
    records = cj.simulate(chain, key=0, num_chains=2, num_generations=1, metrics=[poisson])
    assert records["poisson"].dtype.kind == "i"


def test_both_keys_have_the_same_bits():
    keys = cj.Keys(jax.random.key(4), jnp.int32(2))
    ordinary, unrolled = keys.key(cj.Purpose.FIT), keys.unrolled_key(cj.Purpose.FIT)
    assert str(jax.random.key_impl(ordinary)) == "threefry2x32"
    for draw in (jax.random.normal, jax.random.gumbel):
        np.testing.assert_array_equal(draw(ordinary, (7,)), draw(unrolled, (7,)))


# Language models


def numbers_of_lm(key, *, is_all):
    model = lm.OPT(NETWORK, key=key)
    trainer = lm.Trainer(model, lm.Training(1e-2))
    texts = [[2, 5, 6, 7]]
    drawn = lm.generate(model, texts, max_new_tokens=3, do_sample=True, key=1)
    state, loss = trainer.step(trainer.start(model), texts, key=2)
    values = [drawn, loss, lm.loss(model, texts), *jax.tree.leaves(state.params)]
    if is_all:
        decoding = lm.Decoding(3, num_beams=2)
        values += lm.stream(model, texts, decoding=decoding, batch_size=1)
        values += [lm.logits(model, texts), lm.perplexities(model, texts)]
    with jax.transfer_guard("allow"):
        return [np.asarray(value).tobytes() for value in values]


@pytest.mark.parametrize("is_all", [False, pytest.param(True, marks=pytest.mark.thorough)])
def test_language_models_have_their_bits_under_every_setting(is_all):
    key = jax.random.key(0)
    expected = numbers_of_lm(key, is_all=is_all)
    for name, value in SETTINGS.items():
        with updated(name, value):
            assert numbers_of_lm(key, is_all=is_all) == expected, name


def test_a_stream_leaves_settings_alone_between_its_items():
    model = lm.OPT(NETWORK, key=jax.random.key(0))
    with jax.default_prng_impl("rbg"):
        for _ in lm.stream(model, [[2, 5]] * 2, decoding=lm.Decoding(2), batch_size=1):
            assert jax.config.jax_default_prng_impl == "rbg"


def test_language_models_name_a_foreign_key():
    model = lm.OPT(NETWORK, key=jax.random.key(0))
    key = jax.random.key(0, impl="rbg")
    with pytest.raises(ValueError, match="'rbg', not 'threefry2x32'"):
        lm.generate(model, [[2, 5]], max_new_tokens=2, do_sample=True, key=key)
