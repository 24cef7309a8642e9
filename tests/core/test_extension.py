"""Families, policies and studies from outside the package: one file each, and found everywhere."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

PLUGIN = '''
"""A family with its theory, a policy and a study, all from outside the package."""

import dataclasses
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from scipy.special import digamma

import collapse_jax as cj
from collapse_jax.config import config, static
from collapse_jax.policies.checks import check_length, check_sizes
from collapse_jax.experiments.base import AbstractExperiment, Summary


@config
class Exponential(cj.AbstractFamily):
    """Exponential laws, fitted by their mean."""

    def fit(self, keys, corpus, previous, generation0):
        weights = corpus.full_weights()
        mean = jnp.sum(weights * corpus.absolute_rows[:, 0]) / jnp.sum(weights)
        status = jnp.where(mean > 0, cj.Status.OK, cj.Status.DEGENERATE)
        return cj.Fit(mean, status, {"fitted_rows": jnp.sum(weights)})

    def draw(self, keys, params, size, capacity, generation0):
        rows = params * jax.random.exponential(keys.key(cj.Purpose.DRAW), (capacity, 1))
        return cj.Rows.of_rows(rows, size)

    def measure(self, params, corpus, source, generation0):
        return {"log_mean": jnp.log(params)}

    @property
    def quantities(self):
        return {"log_mean": cj.Quantity("ln of the fitted mean")}

    def theory(self, chain, sizes):
        if chain.policy.fresh_share(len(sizes) - 1) is None:
            return {}
        return {"log_mean": cj.Curve(np.cumsum(digamma(sizes) - np.log(sizes)))}


@cj.register_policy
@config
class EveryOther(cj.AbstractPolicy):
    """New rows in even generations, original ones in odd generations."""

    num_samples: int = static(default=20)
    verifier = None

    def __post_init__(self):
        sizes = check_sizes("EveryOther.num_samples", self.num_samples)
        object.__setattr__(self, "num_samples", sizes)

    @property
    def has_fixed_size(self):
        return True

    def capacity(self, num_generations):
        return self.largest_size

    def validate(self, num_generations):
        check_length("EveryOther.num_samples", self.num_samples, num_generations)

    def init(self, corpus, num_generations):
        return None

    def next(self, step):
        size, capacity = self.size(step.generation), self.largest_size
        made, real = step.model(size, capacity), step.original(size, capacity)
        is_even = step.generation % 2 == 0
        return jax.tree.map(lambda one, two: jnp.where(is_even, one, two), made, real), None


@dataclasses.dataclass(frozen=True)
class ExponentialExperiment(AbstractExperiment):
    """Exponential laws fitted to rows of their predecessors."""

    name = "exponential"
    topic = "exponential"
    scales: ClassVar = {}
    hours: ClassVar = {}

    policy: cj.AbstractPolicy = dataclasses.field(default_factory=lambda: cj.Replace(20))
    """What each model is trained on."""
    num_chains: int = 2000
    """Independent chains."""

    def run(self, seed, progress, store=None):
        source = cj.Sampler(lambda key, n: jax.random.exponential(key, (n, 1)), 1)
        chain = cj.Chain(Exponential(), source, self.policy)
        run = {"num_chains": self.num_chains, "num_generations": 5, "store": store}
        return cj.simulate(chain, key=seed, progress=progress, **run)

    @staticmethod
    def figures(records):
        return {"log_mean": ("ln of the mean.", records.plot.band("log_mean").figure)}

    @staticmethod
    def summarize(records):
        if not records.theory.data_vars:
            return Summary("Exponential chains", ["Nothing is known."], [["a"], ["b"]])
        largest = cj.compare_with_theory(records).largest
        return Summary("Exponential chains", [f"largest gap {largest:.2f}"], [["a"], ["b"]])
'''


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder with a module and a distribution that names it as a plugin."""
    folder = tmp_path_factory.mktemp("plugin")
    (folder / "outside_study.py").write_text(PLUGIN)
    about = folder / "outside_study-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: outside-study\nVersion: 1.0\n")
    entry = "[collapse_jax.plugins]\noutside = outside_study\n"
    (about / "entry_points.txt").write_text(entry)
    return folder


def run_python(home: Path, code: str, *arguments: str) -> str:
    """Run a program in a new process with the folder on the path."""
    found = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env=os.environ | {"PYTHONPATH": str(home)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert found.returncode == 0, found.stderr
    return found.stdout


def collapse(home: Path, *arguments: str) -> str:
    """Run the command line with the folder on the path."""
    code = "import sys; from collapse_jax.cli import main; sys.exit(main(sys.argv[1:]))"
    return run_python(home, code, *arguments)


def test_a_study_from_outside_is_listed_and_runs(home, tmp_path):
    assert "exponential Exponential laws fitted" in " ".join(collapse(home, "list").split())
    out = tmp_path / "run"
    collapse(home, "run", "exponential", "--out", str(out), "--quiet")
    text = (out / "report.html").read_text()
    assert "largest gap" in text


def test_a_policy_from_outside_is_an_option_of_every_study(home, tmp_path):
    out = tmp_path / "run"
    settings = ["policy:every-other", "--policy.num-samples", "12", "--num-generations", "4"]
    collapse(home, "run", "gaussian", *settings, "--num-chains", "300", "--out", str(out))
    assert '"type": "EveryOther"' in (out / "config.json").read_text()


def test_they_follow_the_rules_and_have_their_theory(home):
    code = """
import collapse_jax as cj, jax, outside_study as plugin
from collapse_jax.testing import check_family, check_policy
source = cj.Sampler(lambda key, n: jax.random.exponential(key, (n, 1)), 1)
assert "consistency" in check_family(plugin.Exponential(), source)
assert "moments" in check_policy(plugin.EveryOther(20))
chain = cj.Chain(plugin.Exponential(), source, cj.Replace(20))
records = cj.simulate(chain, key=0, num_chains=4000, num_generations=8)
assert cj.compare_with_theory(records).largest < 5
assert (records["fitted_rows"] == 20).all()
other = cj.simulate(
    cj.Chain(plugin.Exponential(), source, plugin.EveryOther(20)),
    key=0, num_chains=8, num_generations=2,
)
assert not other.theory.data_vars
"""
    run_python(home, code)


def test_a_name_is_taken_once():
    import collapse_jax as cj
    from collapse_jax.experiments import AbstractExperiment

    with pytest.raises(ValueError, match="has this name"):
        type("Second", (AbstractExperiment,), {"name": "gaussian"})
    with pytest.raises(ValueError, match="registered a policy of this name"):
        cj.register_policy(type("Replace", (cj.Replace,), {}))
    assert np.all(cj.Replace(3).sizes(1) == 3)
