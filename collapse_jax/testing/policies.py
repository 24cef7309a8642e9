"""Check that a user-defined policy follows the rules that chains rely on."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from collapse_jax.core.chain import Chain
from collapse_jax.core.family import AbstractFamily
from collapse_jax.core.policy import AbstractPolicy
from collapse_jax.core.samples import Samples
from collapse_jax.core.source import AbstractSource
from collapse_jax.engine.simulate import simulate
from collapse_jax.families import Discrete, Gaussian
from collapse_jax.sources import Categorical, Normal
from collapse_jax.testing.rules import (
    BrokenRuleError,
    require_deterministic,
    same_bits,
    shapes,
    single_key,
)
from collapse_jax.testing.statistics import FALSE_FAIL, same_law_evidence
from collapse_jax.utils import check
from collapse_jax.utils.counted import counted
from collapse_jax.utils.jax_settings import own_settings

_MANY = 20_000  # chains: a shift of 0.06 standard deviations is then seen with probability 0.99
_LAW = np.array([0.4, 0.3, 0.0, 0.2, 0.1])  # state 2 has probability zero


@own_settings()
def check_policy(
    policy: AbstractPolicy,
    *,
    family: AbstractFamily | None = None,
    source: AbstractSource | None = None,
    num_generations: int = 4,
    key: int = 0,
) -> list[str]:
    """Check that a policy follows the rules, by default for states and for real rows.

    "traceable"      jax can trace `init` and `next`.
    "shapes"         corpus and memory preserve structure, shapes and dtypes.
    "deterministic"  the same keys give the same bits.
    "sizes"          D_g holds `size(g)` rows, or all rows so far (fewer where a verifier
                     refuses), in at most `capacity` slots.
    "rows"           no row is in a state of probability zero, and real rows are finite.
    "randomness"     another chain gets another corpus.
    "chains"         a chain is the same to the bit in a smaller run.
    "moments"        where the policy claims to reuse no rows, chains of moments have the law
                     of chains of rows (only without `family` and a verifier).

    Args:
      policy: the policy, for runs of `num_generations`.
      family: to fit to the corpora; None for `Discrete` with labels and `Gaussian` with rows.
      source: of original rows for `family`; both or neither are None.
      num_generations: number of generations to simulate.
      key: seed of all random numbers.

    Returns:
      Names of the rules that were checked.

    Raises:
      BrokenRuleError: naming the first broken rule.
      ValueError: if it is no policy, or does not fit `num_generations`, or only one of `family` and
        `source` is given.
    """
    if (family is None) != (source is None):
        given, lacking = ("family", "source") if source is None else ("source", "family")
        shown = check.Shown("nothing")
        raise check.fail(lacking, shown, f"{given} is given", "pass both, or neither")
    remedy = "pass an object of your class"
    check.instance("policy", policy, AbstractPolicy, "it must be a policy", remedy)
    policy.validate(num_generations)
    states, normal = Categorical(_LAW), Normal(0.0, 1.0)
    chains = [Chain(Gaussian(1, corpus="samples"), normal, policy)]
    if not policy.weighs_rows:  # those of states have equal weights
        chains.insert(0, Chain(Discrete(corpus="samples"), states, policy))
    if family is not None and source is not None:
        chains = [Chain(family, source, policy)]
    for chain in chains:
        _check(chain, num_generations, key)
    rules = ["traceable", "shapes", "deterministic", "sizes", "rows", "randomness", "chains"]
    if family is None and not policy.reuses_rows and policy.selected_by is None:
        _check_moments(policy, num_generations, key)
        rules.append("moments")
    return rules


def _check(chain: Chain, num_generations: int, key: int) -> None:
    """Check every rule on one chain."""
    chain_key = single_key(key, 0)
    start = shapes(lambda given: chain.init(given, num_generations), chain_key)
    shapes(chain.step, chain_key, jnp.int32(1), start)
    state = require_deterministic(lambda given: chain.init(given, num_generations), chain_key)
    step = jax.jit(chain.step)
    require_deterministic(chain.step, chain_key, jnp.int32(1), state)
    _check_corpus(chain, 0, state.corpus, num_generations)
    other = jax.jit(lambda given: chain.init(given, num_generations))(single_key(key, 1))
    equal = True
    for generation in range(1, num_generations + 1):
        state = step(chain_key, jnp.int32(generation), state)
        other = step(single_key(key, 1), jnp.int32(generation), other)
        _check_corpus(chain, generation, state.corpus, num_generations)
        equal = equal and same_bits(state.corpus, other.corpus)
    if equal:
        raise BrokenRuleError("randomness", "two chains have the same corpora; use `keys`")
    run: Any = {"key": key, "num_generations": num_generations}
    whole = simulate(chain, num_chains=5, **run)
    part = simulate(chain, num_chains=2, first_chain=3, **run)
    for name, variable in whole.variables.items():
        if not same_bits(variable.values[:, 3:], part[name]):
            raise BrokenRuleError("chains", f"{name} depends on how many chains are run")


def _check_moments(policy: AbstractPolicy, num_generations: int, key: int) -> None:
    """Compare the spread of chains of moments with that of chains of rows."""
    spreads = []
    for seed, corpus in ((key, "moments"), (key + 1, "samples")):
        chain = Chain(Gaussian(1, corpus=corpus), Normal(0.0, 1.0), policy)
        run: Any = {"num_chains": _MANY, "num_generations": num_generations}
        records = simulate(chain, key=seed, every=num_generations, **run)
        spreads.append(records["log_std"][-1])
    evidence = same_law_evidence(*spreads)
    if evidence.p_value < FALSE_FAIL:
        raise BrokenRuleError(
            "moments",
            "chains of moments and of rows differ in law, so that rows are reused: let "
            f"`reuses_rows` return True ({evidence.message})",
        )


def _check_corpus(chain: Chain, generation: int, corpus: Any, num_generations: int) -> None:
    sizes = chain.policy.sizes(num_generations)
    found, size, pool = int(corpus.size), int(sizes[generation]), int(sizes[: generation + 1].sum())
    if found not in (size, pool) and not (chain.policy.can_refuse and found < pool):
        detail = f"D_{generation} holds {counted(found, 'row')}; size({generation}) is {size}"
        raise BrokenRuleError("sizes", detail)
    if isinstance(corpus, Samples):
        most = chain.policy.capacity(num_generations)
        if corpus.capacity > most:
            detail = f"D_{generation} has {corpus.capacity} slots; `capacity` is {most}"
            raise BrokenRuleError("sizes", detail)
        rows = np.asarray(corpus.rows)[np.asarray(corpus.full_weights()) > 0]
    elif hasattr(corpus, "counts"):
        rows = np.repeat(np.arange(len(corpus.counts)), np.asarray(corpus.counts))
    else:
        return
    if rows.dtype.kind == "f" and not np.all(np.isfinite(rows)):
        raise BrokenRuleError("rows", f"D_{generation} has a row that is not finite")
    law = getattr(chain.source, "law", None)
    if rows.dtype.kind == "i" and law is not None:
        states = np.asarray(law)
        out = (rows < 0) | (rows >= len(states))
        if np.any(out) or np.any(states[rows] == 0):
            detail = f"D_{generation} has a row in a state that the source never yields"
            raise BrokenRuleError("rows", detail)
