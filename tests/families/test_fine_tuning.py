"""Chains of language models: what is trained, kept, written and measured, and what is refused."""

import dataclasses
import itertools
import os
import signal

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import collapse_jax as cj
from collapse_jax import lm
from collapse_jax.core.host_context import DurableHostContext, HostContext, Stopped
from collapse_jax.families.language_model import evaluate, tune
from collapse_jax.random.keys import Keys, chain_key
from collapse_jax.store.unfinished_work import UnfinishedWork

BLOCK, BLOCKS, VOCAB = 8, 12, 40
NETWORK = lm.OPTConfig(
    vocab_size=VOCAB,
    hidden_size=16,
    num_hidden_layers=1,
    ffn_dim=32,
    num_attention_heads=2,
    max_position_embeddings=2 * BLOCK,
)


def blocks_of(seed, number):
    """Tokens that follow one another with a preference that can be learned."""
    rng = np.random.default_rng(seed)
    start = rng.integers(3, VOCAB, (number, 1))
    return 3 + (start + np.arange(BLOCK) * rng.integers(1, 3, (number, 1))) % (VOCAB - 3)


SOURCE = cj.TokenBlocks(blocks_of(0, BLOCKS), blocks_of(1, 5), blocks_of(2, 5), VOCAB)


def family_of(**changes):
    settings = {
        "training": lm.Training(1e-2, num_epochs=3),
        "decoding": lm.Decoding(BLOCK, num_beams=2, min_new_tokens=BLOCK),
        "batch_size": 5,
        "generation_batch": 5,
        "evaluation_batch": 5,
    }
    return cj.LanguageModel(NETWORK, **{**settings, **changes})


def chain_of(policy=None, **changes):
    return cj.Chain(family_of(**changes), SOURCE, policy or cj.Replace())


def run(chain, generations=2, **settings):
    settings = {"num_chains": 1, "metrics": ("corpus",), **settings}
    return cj.simulate(chain, key=7, num_generations=generations, **settings)


def assert_same(found, expected):
    assert found.variables.keys() == expected.variables.keys()
    for name, one in expected.variables.items():
        np.testing.assert_array_equal(found[name], one.values, err_msg=name)


@pytest.fixture(scope="module")
def replaced():
    return run(chain_of(), num_chains=2)


def test_generation_zero_is_trained_on_the_original_blocks_in_order(replaced):
    np.testing.assert_array_equal(replaced["corpus"][0, 1], SOURCE.train)


def test_the_next_corpus_continues_the_original_blocks_with_the_best_weights(replaced):
    chain, keys = chain_of(), chain_key(jax.random.key(7), jnp.uint32(1))
    state = chain.init(keys, 2)
    model = evaluate.with_params(chain.family, state.params.params)
    expected = lm.generate(
        model, SOURCE.train, num_beams=2, max_new_tokens=BLOCK, min_new_tokens=BLOCK
    )
    np.testing.assert_array_equal(replaced["corpus"][1, 1], expected)
    assert not np.any(np.array(expected) == 2), "</s> is forbidden before a block is full"


def test_measures_are_those_of_the_weights_and_the_corpus(replaced):
    chain, keys = chain_of(), chain_key(jax.random.key(7), jnp.uint32(0))
    first = chain.init(keys, 2)
    state = chain.step(keys, jnp.int32(1), first)
    judge = evaluate.with_params(chain.family, first.params.params)
    own = evaluate.with_params(chain.family, state.params.params)
    corpus = replaced["corpus"][1, 0]
    expected = np.exp([float(lm.loss(judge, block[None])) for block in corpus])
    np.testing.assert_allclose(replaced["corpus_perplexity"][1, 0], expected, rtol=1e-5)
    test = float(np.exp(lm.loss(own, SOURCE.test)))
    np.testing.assert_allclose(replaced["test_perplexity"][1, 0], test, rtol=1e-5)
    validation = replaced["validation_loss"][1, 0]
    np.testing.assert_allclose(lm.loss(own, SOURCE.validation), validation.min(), rtol=1e-5)
    assert replaced["best_epoch"][1, 0] == 1 + np.argmin(validation)
    assert np.all(replaced["training_loss"][:, :, -1] < replaced["training_loss"][:, :, 0])
    singles = len(np.unique(corpus)) / corpus.size
    np.testing.assert_allclose(replaced["distinct_1"][1, 0], singles, rtol=1e-6)


def test_training_is_that_of_the_trainer_step_by_step():
    chain, key = chain_of(), chain_key(jax.random.key(7), jnp.uint32(0))
    keys, family = Keys(key, jnp.int32(0)), chain.family
    model = tune.starting_model(family, keys, None)
    training = dataclasses.replace(family.training, steps_per_epoch=3)
    trainer = lm.Trainer(model, training)
    state, losses = trainer.start(model), []
    for epoch in range(3):
        order = tune.shuffled(keys, epoch, BLOCKS)
        assert sorted(order) == list(range(BLOCKS))
        for rows in (order[:5], order[5:10], order[10:]):
            ids, labels = SOURCE.train[rows], SOURCE.train[rows]
            if len(rows) < 5:
                ids = np.pad(ids, ((0, 5 - len(rows)), (0, 0)))
                labels = np.pad(labels, ((0, 5 - len(rows)), (0, 0)), constant_values=-100)
            state, loss = trainer.step(state, ids, labels=labels, key=keys.key(cj.Purpose.FIT))
            losses.append(np.float32(loss))
    fitted = chain.init(key, 0).params
    np.testing.assert_array_equal(fitted.training_loss, np.mean(np.reshape(losses, (3, 3)), 1))
    assert not np.array_equal(tune.shuffled(keys, 0, BLOCKS), tune.shuffled(keys, 1, BLOCKS))


@pytest.mark.parametrize("start", ["pretrained", "last", "fresh"])
def test_generations_start_where_they_are_told(start, tmp_path):
    chain, key = chain_of(start=start), chain_key(jax.random.key(7), jnp.uint32(0))
    first = chain.init(key, 0)

    def weights(generation, previous):
        keys = Keys(key, jnp.int32(generation))
        model = tune.starting_model(chain.family, keys, previous)
        return np.array(model.embed_tokens[...])

    zero, one = weights(0, None), weights(1, first.params)
    best = np.array(first.params.params["embed_tokens"][...])
    assert np.array_equal(zero, one) == (start == "pretrained")
    assert np.array_equal(one, best) == (start == "last")
    if start == "pretrained":  # the same from a folder
        lm.save(tune.starting_model(chain.family, Keys(key, jnp.int32(0)), None), tmp_path)
        named = dataclasses.replace(family_of(), model=str(tmp_path))
        assert_same(run(cj.Chain(named, SOURCE, cj.Replace()), 1), run(chain, 1))


POLICIES = {
    "accumulate": cj.Accumulate(BLOCKS),
    "subsample": cj.AccumulateSubsample(BLOCKS),
    "fresh": cj.Fresh(8, 4),
    "kept": cj.Mixing(BLOCKS, gamma=0.25, original="data", allocation="fixed"),
    "previous": cj.Mixing(BLOCKS, beta=0.5),
    "growing": cj.Replace((BLOCKS, 5, 30)),
}


@pytest.mark.parametrize("name", POLICIES)
def test_every_policy_applies_to_blocks(name):
    records = run(chain_of(POLICIES[name]))
    corpora = records["corpus"][:, 0]
    sizes = {"accumulate": [12, 24, 36], "growing": [12, 5, 30]}.get(name, [12, 12, 12])
    used = [rows[rows[:, 0] >= 0] for rows in corpora]
    assert [len(rows) for rows in used] == sizes
    originals = {tuple(row) for row in SOURCE.train}
    kept = [sum(tuple(row) in originals for row in rows) for rows in used]
    least = {"accumulate": 12, "fresh": 4, "kept": 3}.get(name, 0)
    assert kept[0] == 12 or name == "fresh"
    assert kept[1] >= least
    assert np.isfinite(records["test_perplexity"]).all()
    is_empty = corpora[..., 0] < 0
    np.testing.assert_array_equal(np.isnan(records["corpus_perplexity"][:, 0]), is_empty)
    if name == "growing":
        written = [tuple(row) for row in used[2]]
        assert written[:12] == written[12:24]


def test_a_chain_is_the_same_whatever_runs_beside_it(replaced):
    alone = run(chain_of(), first_chain=1)
    for name in replaced.variables:
        np.testing.assert_array_equal(alone[name][:, 0], replaced[name][:, 1])


def test_a_run_goes_on_from_its_state(replaced):
    begun = run(chain_of(), 1, num_chains=2)
    rest = run(chain_of(), 2, num_chains=2, state=begun.state)
    for name in replaced.variables:
        np.testing.assert_array_equal(rest[name][-1], replaced[name][-1])


def test_no_program_is_compiled_after_the_first_generation(caplog):
    chain, key = chain_of(), chain_key(jax.random.key(3), jnp.uint32(0))
    state = chain.step(key, jnp.int32(1), chain.init(key, 3))
    chain.measure(key, jnp.int32(1), state)
    with jax.log_compiles(True):
        state = chain.step(key, jnp.int32(2), state)
        chain.measure(key, jnp.int32(2), state)
    compiled = [one.getMessage() for one in caplog.records if "Compiling" in one.getMessage()]
    assert not compiled


class Interrupting(HostContext):
    """Keeps everything at every chance, and stops at a given one."""

    def __init__(self, shelf, chances):
        super().__init__()
        self.shelf, self.chances = shelf, chances

    def restore(self, generation, name):
        return self.shelf.load(generation, name)

    def checkpoint(self, generation, name, arrays):
        self.shelf.save(generation, name, arrays())
        self.chances -= 1
        if self.chances < 0:
            raise Stopped


LORA = {"training": lm.Training(1e-2, num_epochs=3, trainable="lora"), "scan_layers": True}


@pytest.mark.parametrize("changes", [{}, pytest.param(LORA, marks=pytest.mark.thorough)])
def test_work_goes_on_where_it_was_stopped(tmp_path, changes):
    """Adapters and the weights that they change are one state."""
    chain, key = chain_of(**changes), chain_key(jax.random.key(7), jnp.uint32(0))

    def generations(context):
        at_work = dataclasses.replace(chain)
        object.__setattr__(at_work, "family", chain.family.with_host_context(context))
        state = at_work.init(key, 1)
        return at_work.step(key, jnp.int32(1), state)

    expected = jax.tree.leaves(generations(HostContext()))
    stops = 0
    for chances in itertools.cycle((0, 2, 1)):
        try:
            found = generations(Interrupting(UnfinishedWork(tmp_path), chances))
            break
        except Stopped:
            stops += 1
    assert stops == 10
    for one, other in zip(jax.tree.leaves(found), expected, strict=True):
        np.testing.assert_array_equal(one, other)


def test_damaged_work_is_done_again(tmp_path):
    shelf = UnfinishedWork(tmp_path / "work")
    assert shelf.load(3, "text") is None
    shelf.save(3, "text", [np.arange(5), np.float32(2)])
    shelf.save(3, "text", [np.arange(6), np.float32(3)])
    found = shelf.load(3, "text")
    np.testing.assert_array_equal(found[0], np.arange(6))
    assert found[1] == 3
    assert shelf.load(3, "training") is None
    (file,) = (tmp_path / "work").iterdir()
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    assert shelf.load(3, "text") is None
    assert not list((tmp_path / "work").iterdir())


def test_work_of_the_generation_before_is_kept_and_no_older(tmp_path):
    shelf = UnfinishedWork(tmp_path)
    for generation in (1, 2, 3):
        shelf.save(generation, "text", [np.arange(generation)])
    shelf.load(3, "text")
    assert sorted(path.name[:6] for path in tmp_path.iterdir()) == ["000002", "000003"]


def test_keeping_takes_a_small_share_of_the_time(monkeypatch):
    now, kept = [0.0], []

    class Slow:
        def load(self, generation, name):
            return None

        def save(self, generation, name, arrays):
            now[0] += 3
            kept.append(now[0])

    monkeypatch.setattr("time.monotonic", lambda: now[0])
    place = DurableHostContext(Slow(), 10)
    place.restore(0, "training")
    for _ in range(100):
        now[0] += 1
        place.checkpoint(0, "training", lambda: [])
    assert kept == [13, 76]  # after 10 s, then 20 times 3 s later
    place.stopping.set()
    with pytest.raises(Stopped):
        place.checkpoint(0, "training", lambda: [])


def test_a_stored_run_equals_one_in_memory(replaced, tmp_path):
    stored = run(chain_of(), num_chains=2, store=cj.Store(tmp_path / "run", seconds=0))
    assert_same(stored, replaced)
    assert not (tmp_path / "run" / "work" / "000000").exists()
    again = run(chain_of(), num_chains=2, store=tmp_path / "run")
    assert_same(again, replaced)


def test_an_interrupt_loses_nothing(replaced, tmp_path, monkeypatch):
    from collapse_jax.engine.disk_recorder import Interrupted

    steps = []
    step = lm.Trainer.step

    def interrupted(self, *arguments, **settings):
        steps.append(1)
        if len(steps) == 15:
            os.kill(os.getpid(), signal.SIGINT)
        return step(self, *arguments, **settings)

    monkeypatch.setattr(lm.Trainer, "step", interrupted)
    with pytest.raises(Interrupted):
        run(chain_of(), num_chains=2, store=cj.Store(tmp_path / "run"))
    first = len(steps)
    assert first < 54
    assert_same(run(chain_of(), num_chains=2, store=tmp_path / "run"), replaced)
    assert len(steps) - first <= 54 - 15 + 1


@pytest.mark.thorough
def test_devices_share_training_and_writing(replaced):
    shared = run(chain_of(), num_chains=2, devices=4)
    np.testing.assert_array_equal(shared["corpus"], replaced["corpus"])
    for name in ("test_perplexity", "corpus_perplexity", "validation_loss", "training_loss"):
        np.testing.assert_allclose(shared[name], replaced[name], rtol=1e-4)


def refused(match, function):
    with pytest.raises(ValueError, match=match) as caught:
        function()
    assert "\n" not in str(caught.value)


def test_what_does_not_fit_is_refused_in_one_line(tmp_path):
    refused("TokenBlocks", lambda: cj.Chain(family_of(), cj.Normal(0.0, 1.0), cj.Replace(5)))
    small = dataclasses.replace(NETWORK, vocab_size=VOCAB - 1)
    with_network = lambda network: dataclasses.replace(family_of(), model=network)  # noqa: E731
    refused("know 39 tokens", lambda: cj.Chain(with_network(small), SOURCE, cj.Replace()))
    short = dataclasses.replace(NETWORK, max_position_embeddings=2 * BLOCK - 1)
    refused("block_size=8", lambda: cj.Chain(with_network(short), SOURCE, cj.Replace()))
    decoding = lm.Decoding(BLOCK + 1, min_new_tokens=BLOCK + 1)
    refused("max_new_tokens=9", lambda: chain_of(decoding=decoding))
    many = lm.Decoding(BLOCK, num_beams=VOCAB + 1, min_new_tokens=BLOCK)
    refused("num_beams=41 .*the model has 40 tokens", lambda: chain_of(decoding=many))
    refused("num_beams=2 .*generation_batch=", lambda: chain_of(generation_batch=10**9))
    refused("start='best'", lambda: family_of(start="best"))
    refused("start='fresh'", lambda: cj.LanguageModel("facebook/opt-125m", start="fresh"))
    refused("neither a folder", lambda: chain_of_model(str(tmp_path / "nothing here")))
    refused("config.json", lambda: chain_of_model(str(tmp_path)))
    refused("previous='distribution'", lambda: chain_of(mixing_laws()))
    refused("reduce", lambda: run(chain_of(), reduce=cj.Reduce()))
    refused("batch_size=0", lambda: family_of(batch_size=0))
    refused("training=5", lambda: family_of(training=5))


def chain_of_model(model):
    return cj.Chain(dataclasses.replace(family_of(), model=model), SOURCE, cj.Replace())


def mixing_laws():
    return cj.Mixing(BLOCKS, beta=0.5, previous="distribution")
