"""Test generation: a slow reference search, laws of drawn tokens, sharding, bad arguments."""

import dataclasses
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from collapse_jax import lm
from collapse_jax.lm import sampling
from collapse_jax.lm.beam_search import top_k
from collapse_jax.lm.logits_processors import Penalties, penalise
from collapse_jax.testing import assert_frequencies

CONFIG = lm.OPTConfig(
    vocab_size=40,
    hidden_size=16,
    num_hidden_layers=2,
    ffn_dim=32,
    num_attention_heads=2,
    max_position_embeddings=48,
    init_std=0.5,
)
PROMPTS = np.random.default_rng(0).integers(3, 40, (6, 5))


@pytest.fixture(scope="module")
def model():
    return lm.OPT(CONFIG, key=jax.random.key(1))


def log_probs(model, text):
    """Return float64 log-probabilities of the token after a text; later tokens have no effect."""
    padded = np.array([[*text, *[1] * (16 - len(text))]])
    logits = np.asarray(lm.logits(model, padded))[0, len(text) - 1].astype(float)
    return logits - logits.max() - np.log(np.sum(np.exp(logits - logits.max())))


def slow_search(model, prompt, num_beams, max_new, least, penalty, length_penalty):
    """Search with beams as lists of texts, each computed again from its start."""
    running, finished = [(0.0, [])], []
    for step in range(max_new):
        candidates = []
        for score, text in running:
            scores = log_probs(model, [*prompt, *text])
            seen = np.unique([*prompt, *text])
            scores[seen] = scores[seen] * penalty
            if step < least:
                scores[2] = -np.inf
            candidates += [(score + new, [*text, token]) for token, new in enumerate(scores)]
        best = sorted(candidates, key=lambda each: -each[0])[: 2 * num_beams]
        for score, text in best[:num_beams]:
            if text[-1] == 2 or step + 1 == max_new:
                finished.append((score / (step + 1) ** length_penalty, text))
        finished = sorted(finished, key=lambda each: -each[0])[:num_beams]
        running = [each for each in best if each[1][-1] != 2][:num_beams]
        is_full = len(finished) == num_beams
        if is_full and running[0][0] / (step + 1) ** length_penalty <= finished[-1][0]:
            break
    text = finished[0][1]
    return text + [1] * (max_new - len(text))


@pytest.mark.parametrize(
    ("num_beams", "least", "penalty", "length_penalty"),
    [
        pytest.param(2, 0, 1.0, 1.0, marks=pytest.mark.thorough),
        (3, 8, 2.0, 1.0),
        pytest.param(3, 0, 1.3, 2.0, marks=pytest.mark.thorough),
        (4, 3, 1.0, 0.0),
    ],
)
def test_beam_search_is_its_slow_twin(model, num_beams, least, penalty, length_penalty):
    found = lm.generate(
        model,
        PROMPTS[:3],
        num_beams=num_beams,
        max_new_tokens=8,
        min_new_tokens=least,
        repetition_penalty=penalty,
        length_penalty=length_penalty,
    )
    for prompt, text in zip(PROMPTS, np.asarray(found), strict=False):
        expected = slow_search(model, prompt, num_beams, 8, least, penalty, length_penalty)
        assert text.tolist() == expected


@pytest.mark.thorough
def test_one_beam_takes_the_likeliest_token(model):
    found = np.asarray(lm.generate(model, PROMPTS, max_new_tokens=6, min_new_tokens=6))
    for prompt, text in zip(PROMPTS, found, strict=True):
        for step in range(6):
            scores = log_probs(model, [*prompt, *text[:step]])
            scores[2] = -np.inf
            assert text[step] == np.argmax(scores)


@pytest.mark.thorough
def test_padding_changes_nothing(model):
    settings = {"num_beams": 3, "max_new_tokens": 8, "repetition_penalty": 2.0}
    padded = np.pad(PROMPTS, ((0, 0), (4, 0)), constant_values=1)
    mask = np.pad(np.ones_like(PROMPTS), ((0, 0), (4, 0)))
    expected = lm.generate(model, PROMPTS, **settings)
    np.testing.assert_array_equal(lm.generate(model, padded, mask, **settings), expected)


@pytest.mark.parametrize("num_beams", [1, 2])
@pytest.mark.parametrize(("pad_token_id", "expected"), [(0, 0), (1, 1), (None, 3)])
def test_ended_texts_are_filled_with_the_padding_id(num_beams, pad_token_id, expected):
    """Let every token end a text, so that padding follows it; 0 is a valid id."""
    every_token = tuple(np.roll(np.arange(40), -3).tolist())
    config = dataclasses.replace(CONFIG, pad_token_id=pad_token_id, eos_token_id=every_token)
    model = lm.OPT(config, key=jax.random.key(1))
    found = np.asarray(lm.generate(model, PROMPTS[:2], num_beams=num_beams, max_new_tokens=4))
    np.testing.assert_array_equal(found[:, 1:], expected)


@pytest.mark.thorough
def test_stages_of_the_pool_change_nothing(model, monkeypatch):
    from collapse_jax.lm import generation

    settings = {"num_beams": 5, "max_new_tokens": 30, "min_new_tokens": 30}
    assert len(generation.stages(29, 5)) == 4
    several = lm.generate(model, PROMPTS, **settings)
    monkeypatch.setattr(generation, "_STAGES", 1)
    generation.program_on.cache_clear()
    np.testing.assert_array_equal(lm.generate(model, PROMPTS, **settings), several)
    generation.program_on.cache_clear()


def test_numbers_compile_nothing(model):
    compiled = []
    jax.monitoring.register_event_duration_secs_listener(
        lambda name, *_, **__: compiled.append(name) if "backend_compile" in name else None
    )
    base = {"num_beams": 2, "max_new_tokens": 5}
    lm.generate(model, PROMPTS, **base)
    assert compiled
    compiled.clear()
    for change in (
        {"repetition_penalty": 2.5},
        {"length_penalty": 0.3},
        {"min_new_tokens": 5},
        {"early_stopping": True},
        {"early_stopping": "never"},
    ):
        lm.generate(model, PROMPTS, **base, **change)
    assert not compiled


@pytest.mark.thorough
def test_devices_share_a_batch(model):
    mesh = lm.data_mesh(8)
    settings = {"num_beams": 3, "max_new_tokens": 6, "repetition_penalty": 2.0}
    alone = lm.generate(model, PROMPTS, **settings)
    np.testing.assert_array_equal(lm.generate(model, PROMPTS, mesh=mesh, **settings), alone)
    drawn = {"do_sample": True, "max_new_tokens": 6, "key": 3}
    alone = lm.generate(model, PROMPTS, **drawn)
    np.testing.assert_array_equal(lm.generate(model, PROMPTS, mesh=mesh, **drawn), alone)


@pytest.mark.parametrize(
    "do_sample",
    [
        pytest.param(False, marks=pytest.mark.slow),
        pytest.param(True, marks=pytest.mark.thorough),
    ],
)
def test_a_stream_is_one_batch_in_parts(model, do_sample):
    decoding = lm.Decoding(max_new_tokens=4, do_sample=do_sample, num_beams=1 if do_sample else 2)
    whole = decoding.run(model, PROMPTS, key=0)
    parts = list(lm.stream(model, PROMPTS, decoding=decoding, batch_size=4, key=0))
    assert [len(part) for part in parts] == [4, 2]
    np.testing.assert_array_equal(np.concatenate(parts), whole)


@pytest.mark.thorough
def test_drawn_texts_repeat_and_rows_do_not_depend_on_each_other(model):
    settings = {"do_sample": True, "max_new_tokens": 8}
    same = np.repeat(PROMPTS[:1], 6, axis=0)
    first = np.asarray(lm.generate(model, same, key=0, **settings))
    np.testing.assert_array_equal(
        lm.generate(model, same, key=jax.random.key(0), **settings), first
    )
    assert len(np.unique(first, axis=0)) > 1
    assert not np.array_equal(lm.generate(model, same, key=1, **settings), first)
    np.testing.assert_array_equal(lm.generate(model, same[:2], key=0, **settings), first[:2])


WARPERS = [
    (1.0, 0, 1.0, 0.0),
    (0.7, 0, 1.0, 0.0),
    (1.0, 5, 1.0, 0.0),
    (1.0, 0, 0.6, 0.0),
    (1.0, 0, 1.0, 0.2),
    (2.0, 7, 0.8, 0.3),
]


def restricted(logits, temperature, top_k, top_p, min_p):
    """Return the probabilities after the logits warpers of transformers."""
    scores = logits / temperature
    if top_k:
        scores = np.where(scores < np.sort(scores)[-top_k], -np.inf, scores)
    shares = np.exp(scores - scores.max()) / np.sum(np.exp(scores - scores.max()))
    order = np.argsort(shares)
    is_cut = np.cumsum(shares[order]) <= 1 - top_p
    shares[order[is_cut]] = 0
    shares[shares < min_p * shares.max()] = 0
    return shares / shares.sum()


@pytest.mark.parametrize("warpers", WARPERS)
def test_drawn_tokens_have_the_law_of_the_logits_warpers(warpers):
    logits = np.random.default_rng(3).normal(0, 2, 12)
    numbers = sampling.LogitsWarpers(*(np.asarray(each) for each in warpers))
    keys = jax.random.split(jax.random.key(0), 20_000)
    rows = jnp.broadcast_to(jnp.asarray(logits, jnp.float32), (20_000, 12))
    drawn = np.asarray(jax.jit(sampling.draw)(keys, rows, numbers))
    shares = restricted(logits, *warpers)
    counts = np.bincount(drawn, minlength=12)
    assert np.all(counts[shares == 0] == 0)
    is_possible = shares > 0
    assert_frequencies(counts[is_possible], shares[is_possible])
    if warpers != WARPERS[0]:
        with pytest.raises(AssertionError):
            assert_frequencies(counts, restricted(logits, *WARPERS[0]))


def test_rare_tokens_come_as_often_as_they_should():
    """Draw from a token of probability 1e-5 and one other, 3 million times."""
    number, share = 3_000_000, 1e-5
    logits = jnp.broadcast_to(jnp.log(jnp.array([1 - share, share])), (number, 2))
    plain = sampling.LogitsWarpers(*map(np.asarray, WARPERS[0]))
    drawn = jax.jit(sampling.draw)(jax.random.split(jax.random.key(2), number), logits, plain)
    counts = np.bincount(np.asarray(drawn), minlength=2)
    assert_frequencies(counts, np.array([1 - share, share]))


@pytest.mark.parametrize("columns", [7, 64, 65, 1000, 1571 * 32])
@pytest.mark.parametrize("k", [1, 4, 10])
def test_top_k_is_that_of_jax(columns, k):
    if k > columns:
        return
    random = np.random.default_rng(columns)
    values = random.normal(size=(3, columns)).round(1)  # with ties
    values[random.uniform(size=values.shape) < 0.3] = -np.inf
    values = jnp.asarray(values, jnp.float32)
    for found, expected in zip(top_k(values, k), jax.lax.top_k(values, k), strict=True):
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("size", [0, 1, 2, 3])
def test_penalties_are_their_slow_twin(size):
    random = np.random.default_rng(size)
    for length, least in itertools.product((1, 4, 9), (0, 3)):
        scores = random.normal(size=(4, 8)).astype("f4")
        tokens = random.integers(0, 8, (4, 12))
        is_text = np.broadcast_to((np.arange(12) < length) & (np.arange(12) >= 1), (4, 12))
        found = penalise(
            jnp.asarray(scores),
            jnp.asarray(tokens),
            jnp.asarray(is_text),
            jnp.int32(length),
            jnp.int32(2),
            Penalties(np.float32(1.7), np.int32(least)),
            size,
            (2, 5),
        )
        for row in range(4):
            expected, text = scores[row].copy(), tokens[row, :length]
            for token in np.unique(text[1:]):
                expected[token] *= 1.7 if expected[token] < 0 else 1 / 1.7
            for end in range(size, length + 1) if size else ():
                if list(text[end - size : end - 1]) == list(text[length - size + 1 :]):
                    expected[text[end - 1]] = -np.inf
            if least > 2:
                expected[[2, 5]] = -np.inf
            np.testing.assert_allclose(found[row], expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"max_new_tokens": 0}, "max_new_tokens=0"),
        ({"max_new_tokens": 44}, "with prompts of 5 that is 49, the model has 48 positions"),
        ({"num_beams": 0}, "num_beams=0"),
        ({"num_beams": 41}, "num_beams=41 .* a token per beam, and the model has 40 tokens; pass"),
        ({"min_new_tokens": 9}, "min_new_tokens=9"),
        ({"repetition_penalty": 0.0}, "repetition_penalty=0.0"),
        ({"temperature": -1.0}, "temperature=-1.0"),
        ({"top_p": 0.0}, "top_p=0.0"),
        ({"min_p": 1.5}, "min_p=1.5"),
        ({"top_k": -1}, "top_k=-1"),
        ({"length_penalty": float("nan")}, "length_penalty=nan"),
        ({"early_stopping": "soon"}, "early_stopping='soon'"),
        ({"no_repeat_ngram_size": -2}, "no_repeat_ngram_size=-2"),
        ({"do_sample": True}, "key=None"),
        ({"do_sample": True, "num_beams": 2, "key": 0}, "num_beams=2"),
        ({"do_sample": True, "key": -1}, "key=-1"),
    ],
)
def test_bad_settings_are_refused(model, settings, message):
    with pytest.raises(ValueError, match=message) as error:
        lm.generate(model, PROMPTS, **{"max_new_tokens": 4, **settings})
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("row", [[1, 1, 1, 1, 0], [1, 0, 1, 1, 1], [0, 0, 0, 0, 0]])
def test_prompts_are_padded_on_the_left(model, row):
    mask = np.ones_like(PROMPTS)
    mask[2] = row
    with pytest.raises(ValueError, match=r"attention_mask\[2\]"):
        lm.generate(model, PROMPTS, mask, max_new_tokens=4)
