"""Bad input gets one line: the argument, its value, what is allowed and what to do."""

import pathlib

import jax
import numpy as np
import pytest

import collapse_jax as cj

HERE = pathlib.Path(__file__).parent
NORMAL = cj.Normal(0.0, 1.0)
CHAIN = cj.Chain(cj.Gaussian(1), NORMAL, cj.Replace(10))
LETTERS = cj.Categorical([0.5, 0.5])


def simulate(**changes):
    arguments = {"key": 0, "num_chains": 4, "num_generations": 3}
    return cj.simulate(changes.pop("chain", CHAIN), **(arguments | changes))


def metric(key, family, params, corpus, source, first):
    return params.mean


def state():
    return simulate().state


def chain(policy, family=None, source=NORMAL):
    return cj.Chain(family or cj.Gaussian(1), source, policy)


def mixture(num_components=2, dim=2, **changes):
    return cj.GaussianMixture(num_components, dim, **changes)


def words(policy):
    return cj.Chain(cj.Discrete(corpus="counts"), LETTERS, policy)


CASES = {
    "dim of zero": (lambda: cj.Gaussian(0), "Gaussian.dim=0"),
    "dim of float": (lambda: cj.Gaussian(1.5), "Gaussian.dim=1.5"),
    "dim of bool": (lambda: cj.Gaussian(True), "Gaussian.dim=True"),
    "estimator": (lambda: cj.Gaussian(1, "bayes"), "Gaussian.estimator='bayes'"),
    "corpus": (lambda: cj.Gaussian(1, corpus="rows"), "Gaussian.corpus='rows'"),
    "sampling bias": (lambda: cj.Gaussian(1, sampling_bias=0), "Gaussian.sampling_bias=0"),
    "sampling bias nan": (lambda: cj.Gaussian(1, sampling_bias=float("nan")), "sampling_bias=nan"),
    "states": (lambda: cj.Discrete(0), "Discrete.num_states=0"),
    "smoothing": (lambda: cj.Discrete(smoothing=-1), "Discrete.smoothing=-1"),
    "temperature": (lambda: cj.Discrete(temperature=0), "Discrete.temperature=0"),
    "temperature text": (lambda: cj.Discrete(temperature="hot"), "Discrete.temperature='hot'"),
    "top_p": (lambda: cj.Discrete(top_p=1.5), "Discrete.top_p=1.5"),
    "min_probability": (lambda: cj.Discrete(min_probability=-0.1), "min_probability=-0.1"),
    "discrete corpus": (lambda: cj.Discrete(corpus="moments"), "Discrete.corpus='moments'"),
    "probability below zero": (
        lambda: cj.Categorical([1.5, -0.5]),
        r"Categorical.probabilities\[1\]=-0.5",
    ),
    "probabilities that do not sum": (lambda: cj.Categorical([0.5, 0.4]), "sum.*=0.9"),
    "probabilities empty": (lambda: cj.Categorical([]), "Categorical.probabilities"),
    "probabilities of two axes": (lambda: cj.Categorical([[0.5, 0.5]]), "Categorical.probab"),
    "probabilities nan": (lambda: cj.Categorical([0.5, np.nan]), r"probabilities\[1\]=nan"),
    "probabilities text": (lambda: cj.Categorical("ab"), "Categorical.probabilities='ab'"),
    "mean infinite": (lambda: cj.Normal(np.inf, 1.0), "Normal.mean=inf"),
    "mean beyond float": (lambda: cj.Normal(10**400, 1.0), "Normal.mean=<int .*range of float64"),
    "share beyond float": (lambda: cj.Mixing(9, gamma=10**400), "Mixing.gamma=<int .*float64"),
    "smoothing beyond float": (lambda: cj.Discrete(smoothing=10**400), "Discrete.smoothing=<int "),
    "variance negative": (lambda: cj.Normal(0.0, -1.0), "Normal.covariance=-1"),
    "covariance of a wrong shape": (lambda: cj.Normal([0, 0], np.eye(3)), "Normal.covariance"),
    "covariance not symmetric": (
        lambda: cj.Normal([0, 0], [[1, 0.5], [0, 1]]),
        r"Normal.covariance\[0, 1\]=0.5",
    ),
    "covariance not positive": (
        lambda: cj.Normal([0, 0], [[1, 2], [2, 1]]),
        "Normal.covariance=-1",
    ),
    "mixture lengths": (
        lambda: cj.NormalMixture([0.5, 0.5], [0.0], [1.0]),
        "NormalMixture.means",
    ),
    "mixture weights": (
        lambda: cj.NormalMixture([0.5, 0.6], [0.0, 1.0], [1.0, 1.0]),
        "NormalMixture.weights",
    ),
    "mixture covariance": (
        lambda: cj.NormalMixture([0.5, 0.5], [0.0, 1.0], [1.0, -1.0]),
        r"NormalMixture.covariances\[1\]",
    ),
    "data empty": (lambda: cj.Empirical([]), "Empirical.data"),
    "data nan": (lambda: cj.Empirical([0.0, np.nan]), r"Empirical.data\[1, 0\]|data\[1\]=nan"),
    "data ragged": (lambda: cj.Empirical([[1.0], [1.0, 2.0]]), "Empirical.data"),
    "labels negative": (lambda: cj.Empirical([0, -3]), "Empirical.data=-3"),
    "labels without a name": (lambda: cj.Empirical([0, 1], ["a"]), "Empirical.names.*=1"),
    "text without words": (lambda: cj.Empirical.words("12 34"), "Empirical.words"),
    "name of a text": (lambda: cj.Empirical.words("book.txt"), "Empirical.words='book.txt'"),
    "masks as bytes": (
        lambda: cj.Images(np.eye(4, dtype="u1")[None], test=np.ones((1, 4, 4))),
        "Images.images=1",
    ),
    "images to 255": (
        lambda: cj.Images(np.full((9, 4, 4), 255.0), test=np.ones((1, 4, 4))),
        r"Images.images\[0, 0, 0\]=255.0",
    ),
    "sampler not callable": (lambda: cj.Sampler(3, 1), "Sampler.function=3"),
    "sampler of a wrong shape": (
        lambda: cj.Sampler(lambda key, n: jax.random.normal(key, (n,)), 1),
        "Sampler.function.*shape",
    ),
    "sampler that raises": (lambda: cj.Sampler(lambda key: key, 1), "Sampler.function.*TypeError"),
    "share above one": (lambda: cj.Mixing(10, gamma=1.2), "Mixing.gamma=1.2"),
    "share below zero": (lambda: cj.Mixing(10, beta=-0.1), "Mixing.beta=-0.1"),
    "share nan": (lambda: cj.Mixing(10, gamma=np.nan), "Mixing.gamma=nan"),
    "share of text": (lambda: cj.Mixing(10, gamma="half"), "Mixing.gamma='half'"),
    "share of two axes": (lambda: cj.Mixing(10, gamma=[[0.1]]), "Mixing.gamma=.*shape"),
    "share in a schedule": (lambda: cj.Mixing(10, gamma=[0.1, 1.5]), r"Mixing.gamma\[1\]=1.5"),
    "schedule of shares empty": (lambda: cj.Mixing(10, gamma=[]), "Mixing.gamma"),
    "shares above one together": (lambda: cj.Mixing(10, beta=0.7, gamma=0.4), "beta . gamma=1.1"),
    "shares that do not sum": (
        lambda: cj.Mixing(10, alpha=0.5, gamma=0.4),
        "alpha . beta . gamma=0.9",
    ),
    "shares that do not sum in a schedule": (
        lambda: cj.Mixing(10, alpha=[0.9, 0.5], gamma=0.1),
        "alpha . beta . gamma=0.6",
    ),
    "schedules of two lengths": (
        lambda: cj.Mixing(10, beta=[0.1, 0.2], gamma=[0.1] * 3),
        "lengths in Mixing",
    ),
    "shares and sizes of two lengths": (
        lambda: cj.Mixing([10, 10, 10], gamma=[0.1] * 3),
        "lengths in Mixing",
    ),
    "previous": (lambda: cj.Mixing(10, previous="corpus"), "Mixing.previous='corpus'"),
    "original": (lambda: cj.Mixing(10, original=None), "Mixing.original=None"),
    "allocation": (lambda: cj.Mixing(10, allocation="exact"), "Mixing.allocation='exact'"),
    "mixing size": (lambda: cj.Mixing(0, gamma=0.1), "Mixing.num_samples=0"),
    "mixing size above int32": (lambda: cj.Mixing(2**31), "Mixing.num_samples=2147483648"),
    "more previous rows than there are": (
        lambda: cj.Mixing([5, 20], beta=0.5, allocation="fixed"),
        "Mixing.beta=0.5.*5 rows of the previous corpus",
    ),
    "perhaps more previous rows than there are": (
        lambda: cj.Mixing([5, 20], beta=0.5),
        "Mixing.beta=0.5.*5 rows of the previous corpus",
    ),
    "more rows of D_0 than there are": (
        lambda: cj.Mixing([5, 20, 100], gamma=0.5, original="data", allocation="fixed"),
        "Mixing.gamma=0.5.*5 rows of D_0",
    ),
    "shares for another length of run": (
        lambda: simulate(chain=chain(cj.Mixing(10, gamma=[0.1, 0.2]))),
        r"len\(Mixing.gamma\)=2.*needs 3",
    ),
    "mixing sizes for another length of run": (
        lambda: simulate(chain=chain(cj.Mixing([10, 11, 12], gamma=0.2))),
        "Mixing.num_samples.*=3.*needs 4",
    ),
    "moments do not suffice for rows reused": (
        lambda: chain(cj.Mixing(10, beta=0.5), cj.Gaussian(1, corpus="moments")),
        "Gaussian.corpus='moments'.*trained on again",
    ),
    "moments do not suffice for rows of D_0": (
        lambda: chain(cj.Mixing(10, gamma=0.5, original="data"), cj.Gaussian(1, corpus="moments")),
        "Gaussian.corpus='moments'.*trained on again",
    ),
    "moments do not suffice for a subsample": (
        lambda: chain(cj.AccumulateSubsample(10), cj.Gaussian(1, corpus="moments")),
        "Gaussian.corpus='moments'.*AccumulateSubsample",
    ),
    "moments do not suffice for a verifier": (
        lambda: chain(
            cj.Replace(10, verifier=lambda r: r[:, 0] > 0), cj.Gaussian(1, corpus="moments")
        ),
        "Gaussian.corpus='moments'.*verifier",
    ),
    "fresh without an original": (lambda: cj.Fresh(10, None), "Fresh.num_original=None"),
    "fresh original below zero": (lambda: cj.Fresh(10, -1), "Fresh.num_original=-1"),
    "fresh original of float": (lambda: cj.Fresh(10, 2.5), "Fresh.num_original=2.5"),
    "fresh size": (lambda: cj.Fresh(0, 10), "Fresh.num_samples=0"),
    "fresh lengths": (lambda: cj.Fresh([10, 20], [1, 2, 3]), "Fresh.num_original.*=3"),
    "fresh sum above int32": (lambda: cj.Fresh(2**31 - 1, 1), "Fresh.num_samples . Fresh"),
    "fresh for another length of run": (
        lambda: simulate(chain=chain(cj.Fresh([10, 20], 5))),
        "Fresh.num_samples.*=2",
    ),
    "fresh original for another length of run": (
        lambda: simulate(chain=chain(cj.Fresh(5, [10, 20]))),
        "Fresh.num_original.*=2",
    ),
    "subsample size": (lambda: cj.AccumulateSubsample(0), "AccumulateSubsample.num_samples=0"),
    "subsample schedule": (
        lambda: cj.AccumulateSubsample([4, True]),
        r"AccumulateSubsample.num_samples\[1\]=True",
    ),
    "subsampled pool above int32": (
        lambda: simulate(chain=chain(cj.AccumulateSubsample(2**30)), num_generations=5),
        "pool size",
    ),
    "subsample of too many counts": (
        lambda: simulate(chain=words(cj.AccumulateSubsample(4 * 10**7))),
        "rows to choose from=160000000",
    ),
    "previous rows of too many counts": (
        lambda: simulate(chain=words(cj.Mixing(2 * 10**8, beta=0.5))),
        "rows to choose from=200000000",
    ),
    "verifier": (lambda: cj.Replace(10, verifier=3), "Replace.verifier=3"),
    "verifier of accumulating": (
        lambda: cj.Accumulate(10, verifier="all"),
        "Accumulate.verifier='all'",
    ),
    "verifier of mixing": (lambda: cj.Mixing(10, verifier=0.5), "Mixing.verifier=0.5"),
    "verifier of fresh": (lambda: cj.Fresh(10, 1, verifier=[1]), r"Fresh.verifier=\[1\]"),
    "verifier of a subsample": (lambda: cj.AccumulateSubsample(10, verifier=1), "verifier=1"),
    "verifier of each coordinate": (
        lambda: simulate(chain=chain(cj.Replace(10, verifier=lambda rows: rows > 0))),
        "result of verifier=.*shape",
    ),
    "verifier of all rows": (
        lambda: simulate(chain=chain(cj.Replace(10, verifier=lambda rows: True))),
        "result of verifier=.*shape",
    ),
    "verifier of earlier laws": (
        lambda: cj.Mixing(
            10, beta=0.5, previous="distribution", verifier=lambda rows: rows[:, 0] > 0
        ),
        "Mixing.previous='distribution'.*verifier",
    ),
    "one row of a schedule is no variance": (
        lambda: chain(cj.Accumulate([5, 1])),
        r"Accumulate.num_samples=\(5, 1\)|Accumulate.num_samples",
    ),
    "covariance infinite": (lambda: cj.Normal(0.0, np.inf), "Normal.covariance=inf"),
    "mixture covariance not symmetric": (
        lambda: cj.NormalMixture([1.0], [[0.0, 0.0]], [[[1, 0.5], [0, 1]]]),
        r"NormalMixture.covariances\[0\]\[0, 1\]=0.5",
    ),
    "mixture covariance not positive": (
        lambda: cj.NormalMixture([1.0], [[0.0, 0.0]], [[[1, 2], [2, 1]]]),
        r"NormalMixture.covariances\[0\]",
    ),
    "data of text for a Gaussian": (
        lambda: chain(cj.Replace(10), source=cj.Empirical(["a", "b"])),
        "Chain.source.*labels",
    ),
    "data of three axes": (lambda: cj.Empirical(np.zeros((2, 2, 2))), "Empirical.data"),
    "label above 2^24": (lambda: cj.Empirical([0, 2**24]), "Empirical.data=16777216"),
    "labels of gigabytes": (lambda: cj.Empirical([10**9, 10**9 + 1]), "data=1000000001.*astype"),
    "data masked": (
        lambda: cj.Empirical(np.ma.masked_array([1.0, 2.0], [0, 1])),
        r"Empirical.data\[1\]=None.*1 of 2 values are masked.*drop",
    ),
    "data with an empty text": (lambda: cj.Empirical(["a", ""]), r"data\[1\]=''.*1 of 2"),
    "data mixed": (lambda: cj.Empirical(["a", 1]), "mixes str and int"),
    "data complex": (lambda: cj.Empirical([1j]), "complex128.*numbers must be real"),
    "names of rows": (lambda: cj.Empirical([0.5], ["a"]), r"names=\['a'\].*only labels have"),
    "names as one text": (lambda: cj.Empirical([0, 1], "ab"), "Empirical.names='ab'"),
    "names that are no texts": (lambda: cj.Empirical([0, 1], [1, 2]), r"names\[0\]=1.*str"),
    "names for texts": (lambda: cj.Empirical(["a", "b"], ["x", "y"]), "Empirical.names"),
    "column of an array": (lambda: cj.Empirical([1.0, 2.0], column="x"), "Empirical.column='x'"),
    "file that is not there": (lambda: cj.Empirical("nowhere.csv"), "Empirical.data='nowhere.csv'"),
    "file of an unknown kind": (lambda: cj.Empirical("data.xls"), "Empirical.data='data.xls'"),
    "no file of words": (
        lambda: cj.Empirical.words(pathlib.Path("nowhere.txt")),
        "Empirical.words='nowhere.txt'",
    ),
    "size of zero": (lambda: cj.Replace(0), "Replace.num_samples=0"),
    "size of float": (lambda: cj.Replace(10.0), "Replace.num_samples=10.0"),
    "size above int32": (lambda: cj.Replace(2**31), "Replace.num_samples=2147483648"),
    "size in a schedule": (lambda: cj.Replace([10, -1]), r"Replace.num_samples\[1\]=-1"),
    "schedule empty": (lambda: cj.Accumulate([]), "Accumulate.num_samples"),
    "size as text": (lambda: cj.Accumulate("10"), "Accumulate.num_samples='10'"),
    "no size to take": (
        lambda: cj.Chain(cj.Gaussian(1), NORMAL, cj.Replace()),
        "Replace.num_samples=None",
    ),
    "one row is no variance": (
        lambda: cj.Chain(cj.Gaussian(1), NORMAL, cj.Replace(1)),
        "Replace.num_samples=1",
    ),
    "dims differ": (lambda: cj.Chain(cj.Gaussian(2), NORMAL, cj.Replace(10)), "Chain.source"),
    "labels for a Gaussian": (
        lambda: cj.Chain(cj.Gaussian(1), LETTERS, cj.Replace(10)),
        "Chain.source.*labels",
    ),
    "rows for a Discrete": (
        lambda: cj.Chain(cj.Discrete(), NORMAL, cj.Replace(10)),
        "Chain.source.*labels",
    ),
    "too few states": (
        lambda: cj.Chain(cj.Discrete(1), LETTERS, cj.Replace(10)),
        "Discrete.num_states=1",
    ),
    "family that is none": (lambda: cj.Chain("g", NORMAL, cj.Replace(10)), "Chain.family='g'"),
    "policy that is none": (lambda: cj.Chain(cj.Gaussian(1), NORMAL, 10), "Chain.policy=10"),
    "source that is none": (lambda: cj.Chain(cj.Gaussian(1), 0, cj.Replace(9)), "Chain.source=0"),
    "components": (lambda: mixture(0), "GaussianMixture.num_components=0"),
    "components of bool": (lambda: mixture(True), "num_components=True"),
    "too many components": (lambda: mixture(2000), "num_components=2000"),
    "mixture dim": (lambda: mixture(2, 0), "GaussianMixture.dim=0"),
    "kind of covariance": (lambda: mixture(covariance="tied"), "covariance='tied'"),
    "start": (lambda: mixture(init="random"), "GaussianMixture.init='random'"),
    "start as number": (lambda: mixture(init=3), "GaussianMixture.init=3"),
    "start of another shape": (
        lambda: mixture(init=cj.NormalMixture([1.0], [[0.0, 0.0]], [np.eye(2)])),
        r"GaussianMixture.init=mixture of 1 component in 2 dimensions.*\(2, 2\)",
    ),
    "start of a singular covariance": (
        lambda: mixture(init=cj.NormalMixture([0.5, 0.5], np.eye(2), [np.eye(2), np.ones((2, 2))])),
        r"GaussianMixture.init.covariances\[1\]",
    ),
    "tolerance": (lambda: mixture(tolerance=0), "GaussianMixture.tolerance=0"),
    "tolerance below zero": (lambda: mixture(tolerance=-1e-3), "tolerance=-0.001"),
    "tolerance nan": (lambda: mixture(tolerance=np.nan), "tolerance=nan"),
    "iterations": (lambda: mixture(max_iterations=0), "max_iterations=0"),
    "floor": (lambda: mixture(floor=-1e-6), "GaussianMixture.floor=-1e-06"),
    "floor of one": (lambda: mixture(floor=1.0), "GaussianMixture.floor=1"),
    "order": (lambda: mixture(order="sorted"), "GaussianMixture.order='sorted'"),
    "more components than rows": (
        lambda: chain(cj.Replace(5), mixture(6, 1)),
        "Replace.num_samples=5.*6 components",
    ),
    "more components than rows in a schedule": (
        lambda: chain(cj.Replace([50, 4]), mixture(3, 4), cj.Normal(np.zeros(4), np.eye(4))),
        "Replace.num_samples=.*5 rows or more",
    ),
    "rows of another dimension": (lambda: chain(cj.Replace(10), mixture()), "Chain.source.*dim=1"),
    "labels for a mixture": (
        lambda: chain(cj.Replace(10), mixture(), LETTERS),
        "Chain.source.*labels",
    ),
    "nan rows for a mixture": (
        lambda: chain(cj.Replace(9), mixture(2, 1), cj.Empirical([0, np.nan])),
        "Empirical.data.*nan",
    ),
    "level": (lambda: cj.Reduce(quantiles=(0.5, 1.5)), r"Reduce.quantiles\[1\]=1.5"),
    "levels of text": (lambda: cj.Reduce(quantiles="ab"), "Reduce.quantiles='ab'"),
    "edges": (
        lambda: cj.Reduce(histograms={"log_std": [0, 0]}),
        r"Reduce.histograms\['log_std'\]=.*increase",
    ),
    "edges of nothing": (lambda: cj.Reduce(histograms=3), "Reduce.histograms=3"),
    "histogram of no variable": (
        lambda: simulate(reduce=cj.Reduce(histograms={"entropy": [0]})),
        "Reduce.histograms='entropy'",
    ),
    "survival": (lambda: cj.Reduce(survival=2), "Reduce.survival=2"),
    "nothing kept": (lambda: cj.Reduce(mean=False, std=False, quantiles=()), "Reduce=nothing"),
    "chain": (lambda: simulate(chain=3), "chain=3"),
    "key": (lambda: simulate(key=1.5), "key=1.5"),
    "key negative": (lambda: simulate(key=-1), "key=-1"),
    "keys": (lambda: simulate(key=jax.random.split(jax.random.key(0))), "key has shape"),
    "no chains": (lambda: simulate(num_chains=0), "num_chains=0"),
    "generations": (lambda: simulate(num_generations=-1), "num_generations=-1"),
    "every": (lambda: simulate(every=0), "every=0"),
    "first chain": (lambda: simulate(first_chain=2**32), "first_chain=4294967296"),
    "chain ids": (lambda: simulate(first_chain=2**32 - 2), "num_chains=4"),
    "batch": (lambda: simulate(chain_batch=0), "chain_batch=0"),
    "chunk": (lambda: simulate(generation_chunk=0), "generation_chunk=0"),
    "devices": (lambda: simulate(devices=99), "devices=99"),
    "device": (lambda: simulate(devices=["cpu"]), r"devices\[0\]='cpu'"),
    "progress": (lambda: simulate(progress="yes"), "progress='yes'"),
    "reduce": (lambda: simulate(reduce=True), "reduce=True"),
    "metric name": (lambda: simulate(metrics=["entropy"]), r"metrics\[0\]='entropy'"),
    "metrics as text": (lambda: simulate(metrics="covariance"), "metrics='covariance'"),
    "metric": (lambda: simulate(metrics=[3]), r"metrics\[0\]=3"),
    "samples without rows": (lambda: simulate(metrics=["samples"]), "metrics='samples'"),
    "store": (lambda: simulate(store=5), "store=5"),
    "store of another kind": (
        lambda: simulate(store=pathlib.Path(__file__).parent),
        "not a run directory",
    ),
    "store and state": (lambda: simulate(store="new", state=3), "state="),
    "process": (lambda: cj.Store("new", process=(2, 2)), r"Store.process\[0\]=2"),
    "processes": (lambda: cj.Store("new", process=3), "Store.process=3"),
    "extend": (lambda: cj.Store("new", process=(0, 2), extend=True), "Store.extend=True"),
    "seconds": (lambda: cj.Store("new", seconds=-1), "Store.seconds=-1"),
    "state": (lambda: simulate(state=3), "state=3"),
    "state of another key": (lambda: simulate(key=1, state=state(), num_generations=9), "key="),
    "state of other chains": (
        lambda: simulate(num_chains=5, state=state(), num_generations=9),
        "num_chains=5",
    ),
    "state at its end": (lambda: simulate(state=state()), "num_generations=3"),
    "state of another chain": (
        lambda: simulate(
            chain=cj.Chain(cj.Discrete(), LETTERS, cj.Replace(10)),
            state=state(),
            num_generations=9,
        ),
        "state",
    ),
    "state of another policy": (
        lambda: simulate(
            chain=cj.Chain(CHAIN.family, CHAIN.source, cj.Replace(11)),
            state=state(),
            num_generations=9,
        ),
        "chain.policy.num_samples=11 is not allowed: the state was made with 10; pass the chain",
    ),
    "state of another source": (
        lambda: simulate(
            chain=cj.Chain(CHAIN.family, cj.Normal(0.0, 2.0), CHAIN.policy),
            state=state(),
            num_generations=9,
        ),
        r"chain.source.covariance=\[\[2.0\]\] is not allowed: the state was made with \[\[1.0\]\]",
    ),
    "state of another family": (
        lambda: simulate(
            chain=cj.Chain(cj.Gaussian(1, "mle"), CHAIN.source, CHAIN.policy),
            state=state(),
            num_generations=9,
        ),
        "chain.family.estimator='mle' is not allowed: the state was made with 'unbiased'",
    ),
    "state of another kind of policy": (
        lambda: simulate(
            chain=cj.Chain(CHAIN.family, CHAIN.source, cj.Fresh(9, 1)),
            state=state(),
            num_generations=9,
        ),
        "chain.policy='Fresh' is not allowed: the state was made with 'Replace'",
    ),
    "schedule of a wrong length": (
        lambda: simulate(chain=cj.Chain(cj.Gaussian(1), NORMAL, cj.Replace([10, 20]))),
        "Replace.num_samples.*=2",
    ),
    "pool above int32": (
        lambda: simulate(
            chain=cj.Chain(cj.Gaussian(1), NORMAL, cj.Accumulate(2**30)), num_generations=5
        ),
        "pool size",
    ),
    "memory": (lambda: simulate(num_chains=10**9, num_generations=10**5), "the run needs"),
    "no run directory": (lambda: cj.Records.load("nowhere"), "path='nowhere'"),
    "nothing to join": (lambda: cj.Records.concatenate([]), "parts="),
    "records that overlap": (
        lambda: cj.Records.concatenate([simulate(), simulate()]),
        "parts overlap",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_bad_input_gets_one_clear_line(name, refused):
    refused(*CASES[name])


def test_a_batch_of_keys_is_refused_by_one_chain_code():
    keys = jax.random.split(jax.random.key(0), 3)
    with pytest.raises(ValueError, match="use simulate"):
        CHAIN.init(keys, 1)


def test_nothing_is_compiled_before_an_argument_is_refused():
    compiled = []
    jax.monitoring.register_event_duration_secs_listener(
        lambda event, seconds, **_: compiled.append(event) if "backend_compile" in event else None
    )
    with pytest.raises(ValueError, match="num_samples"):
        simulate(chain=chain(cj.Replace([10, 20])))
    assert compiled == []
