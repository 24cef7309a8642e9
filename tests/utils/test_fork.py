"""Other processes: configs and records that are sent to them, and forks that jax cannot survive."""

import copy
import multiprocessing
import pickle
import shutil
import subprocess
import sys
import warnings

import jax
import numpy as np
import pytest

import collapse_jax as cj
from collapse_jax import lm
from collapse_jax.engine.request import Request
from collapse_jax.engine.run_spec import make_run_spec
from collapse_jax.theory import ancestor_chains
from collapse_jax.utils import fork, memory

CHAIN = cj.Chain(cj.Gaussian(1), cj.Normal(0.0, 1.0), cj.Replace(10))
SETTINGS = {"key": 0, "num_chains": 4, "num_generations": 3}
IMAGES = np.linspace(0, 1, 10 * 64).reshape(10, 8, 8)
NETWORK = lm.OPTConfig(
    vocab_size=40,
    hidden_size=8,
    num_hidden_layers=1,
    num_attention_heads=2,
    ffn_dim=8,
    max_position_embeddings=16,
)
MODEL = lm.OPT(NETWORK, key=jax.random.key(0))
TOKENS = np.arange(40, dtype=np.int32).reshape(5, 8)
CONFIGS = (
    CHAIN,
    cj.Discrete(5, smoothing=0.5),
    cj.GaussianMixture(2, 2),
    cj.VAE(4, image_size=8),
    cj.LanguageModel(NETWORK),
    cj.Mixing([10, 20], gamma=0.25, verifier=np.isfinite),
    cj.Accumulate(10),
    cj.AccumulateSubsample(10),
    cj.Fresh(10, 5),
    cj.Categorical([0.5, 0.5]),
    cj.NormalMixture([0.5, 0.5], np.zeros((2, 1)), np.ones((2, 1, 1))),
    cj.Empirical(["b", "a", "b"]),
    cj.Images(IMAGES, test=IMAGES[:2]),
    cj.TokenBlocks(TOKENS, TOKENS, TOKENS, 40),
    cj.Reduce(histograms={"log_std": [-1, 0]}),
)


def in_new_process(code, text):
    """Run code in a process that has imported nothing yet, with `text` on its stdin."""
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, input=text, capture_output=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: type(config).__name__)
def test_configs_are_pickled_and_copied(config):
    for copied in (pickle.loads(pickle.dumps(config)), copy.deepcopy(config), copy.copy(config)):
        assert type(copied) is type(config)
        assert copied == config
        assert hash(copied) == hash(config)


def test_stores_and_checked_runs_are_pickled():
    store = cj.Store("runs/a", process=(1, 2), notes={"a": 1})
    assert pickle.loads(pickle.dumps(store)) == store
    spec = make_run_spec(Request(CHAIN, 0, 4, 3))
    copied = pickle.loads(pickle.dumps(spec))
    assert (copied.chain, copied.program) == (spec.chain, spec.program)


def assert_same(records, other):
    for name in ("log_std", "generation", "chain"):
        np.testing.assert_array_equal(records[name], other[name])
    assert (records.config, records.provenance) == (other.config, other.provenance)
    np.testing.assert_array_equal(records.theory["log_std"], other.theory["log_std"])


def test_records_are_sent_by_value(tmp_path, monkeypatch):
    whole = cj.simulate(CHAIN, **SETTINGS)
    stored = cj.simulate(CHAIN, store=tmp_path / "run", **SETTINGS)
    grid = cj.sweep(CHAIN, axes={"policy.num_samples": [5, 10]}, **SETTINGS)
    sent = [pickle.dumps(one) for one in (whole, stored, grid, stored.theory)]
    deep, shallow = copy.deepcopy(stored), copy.copy(stored)
    assert shallow.dataset is stored.dataset
    monkeypatch.setattr(memory, "available", lambda: 100)
    with pytest.raises(cj.ArgumentError, match=r"cannot be pickled.*pass the path") as no:
        pickle.dumps(stored)
    assert "\n" not in str(no.value)
    shutil.rmtree(tmp_path / "run")
    assert_same(pickle.loads(sent[0]), whole)
    np.testing.assert_array_equal(pickle.loads(sent[1])["log_std"], whole["log_std"])
    np.testing.assert_array_equal(deep["log_std"], whole["log_std"])
    assert_same(pickle.loads(sent[2]), grid)


BY_VALUE = """
import sys
try:
    import cloudpickle
except ImportError:  # older joblib brings its own
    from joblib.externals import cloudpickle
from collapse_jax.config import config
import collapse_jax as cj

@config
class Here(cj.AbstractSource):
    scale: float = 1.0
    def draw(self, keys, size, capacity):
        raise NotImplementedError
    def truth(self):
        raise NotImplementedError

def scales():
    import jax
    return jax.tree.leaves(Here(3.0)), {Here(2.0): "found"}[Here(2.0)]

sys.stdout.buffer.write(cloudpickle.dumps((Here(2.0), scales)))
"""
READ = """
import pickle, sys, jax
config, scales = pickle.loads(sys.stdin.buffer.read())
print(jax.tree.leaves(config), scales())
"""


def test_classes_of_notebooks_are_known_to_jax_where_they_are_sent():
    sent = in_new_process(BY_VALUE, b"")
    assert in_new_process(READ, sent).decode().strip() == "[2.0] ([3.0], 'found')"


USES = {
    "simulate": lambda: cj.simulate(CHAIN, **SETTINGS),
    "sweep": lambda: cj.sweep(CHAIN, axes={"policy.num_samples": [5]}, **SETTINGS),
    "theory": lambda: ancestor_chains.absorption_times([0.5, 0.5], 5, key=0, num_chains=2),
    "logits": lambda: lm.logits(MODEL, [[1, 2]]),
    "load": lambda: lm.load("none"),
}


def try_all(pipe):
    for name, use in USES.items():
        try:
            use()
            pipe.send((name, "ran"))
        except Exception as error:
            pipe.send((name, f"{type(error).__name__}: {error}"))


def say_hello(pipe):
    pipe.send("hello")


def in_fork(function, number):
    """Return what a function sends from a forked process, in as many messages."""
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # jax and Python warn of forks
        process = context.Process(target=function, args=(theirs,))
        process.start()
    try:
        received = []
        for _ in range(number):
            assert ours.poll(60), "the forked process hangs"
            received.append(ours.recv())
        return received
    finally:
        process.kill()
        process.join()


def test_a_fork_after_jax_has_started_is_refused():
    cj.simulate(CHAIN, **SETTINGS)
    assert fork.jax_has_started()
    for name, message in in_fork(try_all, len(USES)):
        assert message.startswith("RuntimeError: jax cannot run in this process: it was"), name
        assert 'get_context("spawn")' in message
        assert "\n" not in message
    assert in_fork(say_hello, 1) == ["hello"], "processes that run no chain are left alone"
    fork.check_fork()


SCRIPT = """
import multiprocessing, sys
import collapse_jax as cj
chain = cj.Chain(cj.Gaussian(1), cj.Normal(0.0, 1.0), cj.Replace(10))
def run(chain, seed):
    return cj.simulate(chain, key=seed, num_chains=4, num_generations=3)
if __name__ == "__main__":
    if sys.argv[1] == "spawn":
        run(chain, 0)
    with multiprocessing.get_context(sys.argv[1]).Pool(1) as pool:
        there = pool.apply_async(run, [chain, 3]).get(timeout=200)
    print((there["log_std"] == run(chain, 3)["log_std"]).all())
"""


@pytest.mark.thorough
@pytest.mark.parametrize("method", ["spawn", "fork"])
def test_spawned_processes_and_forks_before_the_first_run_work(method, tmp_path):
    (tmp_path / "script.py").write_text(SCRIPT)
    command = [sys.executable, str(tmp_path / "script.py"), method]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.stdout.strip() == "True", done.stderr
