"""Simulate what the sliders show: curves over generations, the Python code, the command."""

import dataclasses
import functools
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from collapse_jax.core.chain import Chain
from collapse_jax.engine.simulate import simulate
from collapse_jax.explorer.adjustable import KINDS, MOST_ROWS, Adjustable
from collapse_jax.families import Discrete, Gaussian
from collapse_jax.families.bernoulli import Bernoulli
from collapse_jax.families.discrete_theory import discrete_curves
from collapse_jax.families.exponential import Exponential
from collapse_jax.families.poisson import Poisson
from collapse_jax.plots.style import COLOURS
from collapse_jax.plots.views import panels_view
from collapse_jax.policies import Accumulate, Fresh, Mixing, Replace
from collapse_jax.sources import Categorical, Normal
from collapse_jax.sources.rate_laws import ExponentialLaw, PoissonLaw
from collapse_jax.utils import check

MOST_GENERATIONS = 300
MOST_CHAINS = 65_536
_CHUNK = 16  # generations of a call: every number of generations takes the same program
_MOST_STEPS = 20_000  # of lineages, for exact expectations: less than a second
_LEVELS = (0.05, 0.95)
_STATES = 30  # of the discrete family


@dataclasses.dataclass(frozen=True)
class _Family:
    """What the page shows of a family.

    Attributes:
      family: the family.
      source: its original rows.
      python: both as Python code.
      variables: label by variable; those ending in "_variance" are variances over chains.
      command: experiment and source on the command line, "" if there is none.
      least: the smallest M.
      piece: chains of one call, which divides 65,536: some tenths of a second for 100 generations.
    """

    family: Any
    source: Any
    python: tuple[str, str]
    variables: Mapping[str, str]
    command: str = ""
    least: int = 1
    piece: int = 16_384


_ZIPF = 1 / np.arange(1, _STATES + 1)
_RATE = {"rate": "fitted rate", "rate_variance": "variance of the fitted rate over chains"}
_ABSORBED = {"is_absorbed": "share of chains that are absorbed"}
FAMILIES: dict[str, _Family] = {
    "gaussian": _Family(
        Gaussian(1),
        Normal(0.0, 1.0),
        ("cj.Gaussian(1)", "cj.Normal(0.0, 1.0)"),
        {
            "log_std": "ln of the fitted standard deviation",
            "variance": "fitted variance",
            "mean_variance": "variance of the fitted mean over chains",
        },
        "gaussian",
        2,
    ),
    "discrete": _Family(
        Discrete(),
        Categorical(_ZIPF / _ZIPF.sum()),
        (
            "cj.Discrete()",
            f"cj.Categorical([1 / k / {float(_ZIPF.sum())!r} for k in range(1, {_STATES + 1})])",
        ),
        {
            "support_size": "states left",
            "heterozygosity": "heterozygosity",
            "tail_mass": "mass of the original tail",
        },
        f"discrete --source zipf:{_STATES}",
        piece=1024,
    ),
    "poisson": _Family(
        Poisson(),
        PoissonLaw(2.0),
        ("cj.Poisson()", "cj.PoissonLaw(2.0)"),
        _RATE | _ABSORBED,
    ),
    "exponential": _Family(
        Exponential(),
        ExponentialLaw(1.0),
        ("cj.Exponential()", "cj.ExponentialLaw(1.0)"),
        {"log_rate": "ln of the fitted rate", "log_rate_variance": "its variance over chains"},
    ),
    "bernoulli": _Family(
        Bernoulli(),
        Categorical([0.7, 0.3]),
        ("cj.Bernoulli()", "cj.Categorical([0.7, 0.3])"),
        _RATE | _ABSORBED,
    ),
}


@dataclasses.dataclass(frozen=True)
class Settings:
    """What the page asks for.

    Args:
      family: a name in `FAMILIES`.
      policy: "replace", "mixing", "accumulate" or "fresh".
      rows: M, in [1, 1,000,000], for gaussian from 2.
      share: of original rows, in [0, 1]; ignored by replace.
      generations: G, in [1, 300].

    Raises:
      ArgumentError: for any other value.
    """

    family: str = "gaussian"
    policy: str = "replace"
    rows: int = 100
    share: float = 0.1
    generations: int = 100

    def __post_init__(self) -> None:
        check.choice("family", self.family, tuple(FAMILIES))
        check.choice("policy", self.policy, KINDS)
        check.integer("rows", self.rows, FAMILIES[self.family].least, MOST_ROWS)
        check.share("share", self.share, "pass a share in [0, 1]")
        check.integer("generations", self.generations, 1, MOST_GENERATIONS)

    @property
    def num_original(self) -> int:
        """Return the original rows of a generation, where their number is fixed."""
        return min(round(self.share * self.rows), self.rows - 1)  # a model makes at least one

    @property
    def chain(self) -> Chain:
        """Return the chain that the page is about."""
        made = self.rows - self.num_original
        policies = {
            "replace": lambda: Replace(self.rows),
            "mixing": lambda: Mixing(self.rows, gamma=self.share),
            "accumulate": lambda: Accumulate(made, num_original=self.num_original),
            "fresh": lambda: Fresh(made, num_original=self.num_original),
        }
        one = FAMILIES[self.family]
        return Chain(one.family, one.source, policies[self.policy]())

    @property
    def policy_code(self) -> str:
        """Return the policy as Python code."""
        made = f"{self.rows - self.num_original}, num_original={self.num_original}"
        return {
            "replace": f"cj.Replace({self.rows})",
            "mixing": f"cj.Mixing({self.rows}, gamma={self.share:g})",
            "accumulate": f"cj.Accumulate({made})",
            "fresh": f"cj.Fresh({made})",
        }[self.policy]

    @property
    def python(self) -> str:
        """Return a program that simulates and draws the chain."""
        family, source = FAMILIES[self.family].python
        run = f"num_chains={MOST_CHAINS}, num_generations={self.generations}"
        return (
            "import collapse_jax as cj\n\n"
            f"chain = cj.Chain({family}, {source}, {self.policy_code})\n"
            f"records = cj.simulate(chain, key=0, {run}, reduce=cj.Reduce())\n"
            "print(records)\n"
            "print(cj.compare_with_theory(records))\n"
            "records.plot()  # in a notebook\n"
        )

    @property
    def command(self) -> str:
        """Return the command of the chain, "" where the command line has no such experiment."""
        experiment = FAMILIES[self.family].command
        if not experiment:
            return ""
        options = {
            "replace": f"--policy.num-samples {self.rows}",
            "mixing": f"--policy.num-samples {self.rows} --policy.gamma {self.share:g}",
        }
        made = (
            f"--policy.num-samples {self.rows - self.num_original} "
            f"--policy.num-original {self.num_original}"
        )
        chosen = options.get(self.policy, made)
        return (
            f"collapse run {experiment} --num-chains {MOST_CHAINS} "
            f"--num-generations {self.generations} policy:{self.policy} {chosen}"
        )


class Curves:
    """Curves of chains that are simulated piece by piece, four times as many from look to look.

    Args:
      settings: of the page.

    Attributes:
      settings: of the page.
      chains: number simulated so far.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.chains = 0
        self._pieces: dict[str, list[np.ndarray]] = {}
        self._seconds = 0.0

    def look(
        self, chains: int = 0, is_wanted: Callable[[], bool] = lambda: True
    ) -> dict[str, Any] | None:
        """Simulate more chains than the page has, with one compilation per family and policy.

        Args:
          chains: that the page has; four times as many come.
          is_wanted: asked before every piece, each of which takes some tenths of a second.

        Returns:
          The view of the curves, what was simulated, the Python code and the command, as JSON has
          them; None as soon as the curves are not wanted.
        """
        begin = time.perf_counter()
        piece = FAMILIES[self.settings.family].piece
        wanted = min(max(piece, 4 * chains), MOST_CHAINS)
        while self.chains < wanted:
            if not is_wanted():
                return None
            self._simulate(piece)
        self._seconds += time.perf_counter() - begin
        return {
            "view": panels_view(self._panels()),
            "chains": self.chains,
            "more": self.chains < MOST_CHAINS,
            "seconds": round(self._seconds, 3),
            "python": self.settings.python,
            "command": self.settings.command,
            "original": self.settings.num_original,
        }

    def _simulate(self, piece: int) -> None:
        settings, one = self.settings, FAMILIES[self.settings.family]
        rows, share = np.int32(settings.rows), np.float32(settings.share)
        policy = Adjustable(settings.policy, rows, share, np.int32(settings.num_original))
        records = simulate(
            Chain(one.family, one.source, policy),
            key=0,
            first_chain=self.chains,
            num_chains=piece,
            num_generations=settings.generations + 1,
            generation_chunk=_CHUNK,
            metrics=("variance",) if settings.family == "gaussian" else (),
        )
        for name in {name.removesuffix("_variance") for name in one.variables}:
            values = np.asarray(records[name], np.float32)
            # Generation 1 of the records is generation 0 of the chain.
            kept = values[1:].reshape(settings.generations + 1, piece)
            self._pieces.setdefault(name, []).append(kept)
        self.chains += piece

    def _panels(self) -> list[dict[str, Any]]:
        settings = self.settings
        generations, theory = np.arange(settings.generations + 1), exact_of(settings)
        pooled = {name: np.concatenate(kept, axis=1) for name, kept in self._pieces.items()}
        return [
            _panel(name, label, pooled, theory.get(name), generations)
            for name, label in FAMILIES[settings.family].variables.items()
        ]


@functools.lru_cache(maxsize=64)
def exact_of(settings: Settings) -> Mapping[str, np.ndarray]:
    """Return the exact expectations that are known and take less than a second, [generation].

    Args:
      settings: of the page.
    """
    chain = settings.chain
    sizes = chain.policy.sizes(settings.generations)
    if type(chain.family) is Discrete:
        found = discrete_curves(chain, sizes, _MOST_STEPS)
    else:
        found = chain.family.theory(chain, sizes)
    return {name: np.asarray(one.values) for name, one in found.items()}


def _panel(
    name: str,
    label: str,
    pooled: Mapping[str, np.ndarray],
    exact: np.ndarray | None,
    generations: np.ndarray,
) -> dict[str, Any]:
    """Return the curves of a variable over chains, values by name [generation, chain]."""
    lines: list[tuple[str, np.ndarray, str]] = []
    band = None
    if name not in pooled:
        values = pooled[name.removesuffix("_variance")]
        lines.append(("simulated", np.asarray(np.var(values, axis=1, dtype=float)), "line"))
    else:
        values = pooled[name]
        lines.append(("mean", np.asarray(np.mean(values, axis=1, dtype=float)), "line"))
        if name != "is_absorbed":
            least, most = np.quantile(values, _LEVELS, axis=1)
            band = ("5 to 95 % of chains", least, most)
    if exact is not None:
        lines.append(("exact", exact.reshape(len(generations), -1)[:, 0], "dashed"))
    return {"title": label, "x": generations, "lines": lines, "band": band, "color": COLOURS[0]}
