"""Implement `collapse plan`: how much original data must be kept?"""

import dataclasses
import math
import sys
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

from collapse_jax.cli.complaints import check_choice
from collapse_jax.cli.options import parse_plain
from collapse_jax.cli.output import check_environment, check_ours, chosen_directory
from collapse_jax.utils import check

USAGE = """usage: collapse plan TOPIC [options]

  collapse plan words      words of a text: which share of original rows keeps the rare ones?
  collapse plan zipf       the same for states with probabilities 1 / rank^exponent
  collapse plan table      columns of a file: which share keeps their variance?
  collapse plan gaussian   the same for normal rows

`collapse plan TOPIC --help` lists the options.
"""
_TRIALS = "trials.json"


@dataclasses.dataclass(frozen=True)
class PlanOptions:
    """Options of every topic."""

    generations: int = 10
    """Last generation."""
    at_least: float = 0.95
    """Limit: the surviving share of the rare states, or the kept share of the variance."""
    original: Literal["redrawn", "kept"] = "redrawn"
    """Original rows of a corpus: redrawn from the original law for each corpus, or kept, a random
    subset of D_0."""
    probability: float = 0.95
    """Share of chains for which the demand is to hold; 0 for the mean over chains."""
    confidence: float = 0.99
    """Probability that both ends of a simulated answer are right."""
    max_chains: int = 0
    """Most chains of the test of one value; 0 for 4,096, or 65,536 where chains are quick."""
    price_original: float = 0.0
    """Price of an original row; with a price the cheapest size of the corpora is found, too."""
    price_synthetic: float = 0.0
    """Price of a row of a model."""
    sizes: str = ""
    """Rows of a corpus to choose from, as 1000,2000; a fourth to four times --rows by default."""
    seed: int = 0
    """Seed of every random number."""
    out: str = ""
    """Output directory; a directory in runs/ by default. A plan there is resumed."""
    quiet: bool = False
    """Show no progress."""

    def budget(self) -> Any:
        """Return prices and sizes; None without a price."""
        from collapse_jax.planning.budget import Budget

        if self.price_original == self.price_synthetic == 0:
            if self.sizes:
                allowed = "sizes are chosen by their cost"
                raise check.fail("--sizes", self.sizes, allowed, "pass --price-original 1")
            return None
        for name in ("original", "synthetic"):
            price = getattr(self, f"price_{name}")
            check.number(f"--price-{name}", price, 0, math.inf, "pass a price such as 1")
        try:
            sizes = [int(one) for one in self.sizes.split(",") if one]
        except ValueError:
            allowed = "it must be whole numbers"
            raise check.fail("--sizes", self.sizes, allowed, "pass 1000,2000") from None
        return Budget(self.price_original, self.price_synthetic, sizes=sizes or None)


@dataclasses.dataclass(frozen=True)
class StateOptions(PlanOptions):
    """Options of topics whose rows are states: which of them are to survive?"""

    keep: str = "rare:0.01"
    """rare:SHARE, the words with a smaller probability, or names of words: cat,dog."""

    quantity: ClassVar[str] = "tail_survival"

    def family(self, source: Any) -> Any:
        """Return laws on states."""
        from collapse_jax.families import Discrete

        return Discrete()

    def question(self) -> dict[str, Any]:
        """Return what is to survive: states below a probability, or names."""
        kind, _, value = self.keep.partition(":")
        if kind != "rare":
            return {"rare": self.keep.split(",")}
        try:
            return {"rare": float(value)}
        except ValueError:
            remedy = "pass rare:0.01, or names such as cat,dog"
            raise check.fail("--keep", self.keep, "rare: needs a probability", remedy) from None


@dataclasses.dataclass(frozen=True)
class WordsOptions(StateOptions):
    """Find the share of original rows that keeps the rare words of a text."""

    source: str = "docstrings"
    """docstrings (of Python's library), text, text:FILE, zipf:K, or labels as FILE:COLUMN."""
    rows: int = 0
    """Rows of every corpus; as many as the source has by default."""

    def source_of(self) -> Any:
        """Return the words."""
        from collapse_jax.experiments.sources import make_labels

        return make_labels(self.source)


@dataclasses.dataclass(frozen=True)
class ZipfOptions(StateOptions):
    """Find the share of original rows that keeps the rare states of a power law."""

    states: int = 5000
    """Number of states, with probabilities proportional to 1 / rank^exponent."""
    exponent: float = 1.1
    """Exponent of the probabilities."""
    rows: int = 200_000
    """Rows of every corpus."""

    def source_of(self) -> Any:
        """Return the power law."""
        import numpy as np

        from collapse_jax.sources import Categorical

        states = check.integer("--states", self.states, 2, 10**7)
        exponent = check.number("--exponent", self.exponent, 0, 100, "pass 1.1, for example")
        law = np.arange(1.0, states + 1) ** -exponent
        return Categorical(law / law.sum())


@dataclasses.dataclass(frozen=True)
class RowOptions(PlanOptions):
    """Options of topics whose rows are numbers."""

    estimator: Literal["unbiased", "mle"] = "mle"
    """Divisor of the fitted variance: M - 1, or M."""

    quantity: ClassVar[str] = "variance_ratio"

    def family(self, source: Any) -> Any:
        """Return normal laws of the rows' length."""
        from collapse_jax.families import Gaussian

        return Gaussian(source.row_dim, estimator=self.estimator)

    def question(self) -> dict[str, Any]:
        """Return nothing more: the quantity says all."""
        return {}


@dataclasses.dataclass(frozen=True)
class GaussianOptions(RowOptions):
    """Find the share of original rows that keeps the variance of normal rows."""

    rows: int = 1000
    """Rows of every corpus."""
    dim: int = 1
    """Length of a row."""

    def source_of(self) -> Any:
        """Return standard normal rows."""
        import numpy as np

        from collapse_jax.sources import Normal

        dim = check.integer("--dim", self.dim, 1, 1000)
        return Normal(np.zeros(dim), np.eye(dim))


@dataclasses.dataclass(frozen=True)
class TableOptions(RowOptions):
    """Find the share of original rows that keeps the variance of columns of a file."""

    source: str = ""
    """FILE or FILE:COLUMN; several columns as FILE:a,b."""
    rows: int = 0
    """Rows of every corpus; as many as the file has by default."""

    def source_of(self) -> Any:
        """Return the rows of the file."""
        from collapse_jax.experiments.sources import make_rows

        if not self.source:
            remedy = "pass --source data.csv:income"
            raise check.fail("--source", "", "it must name a file", remedy)
        return make_rows(self.source, {}, 1)


TOPICS: Mapping[str, type[PlanOptions]] = {
    "words": WordsOptions,
    "zipf": ZipfOptions,
    "table": TableOptions,
    "gaussian": GaussianOptions,
}


def plan_command(arguments: Sequence[str]) -> int:
    """Find the smallest share of original rows, and write report.html and report.json.

    Args:
      arguments: of the command line, after `plan`.

    Returns:
      Exit code: 0, or 1 if no share is enough.

    Raises:
      ArgumentError: if a topic or an option is not allowed.
    """
    if not arguments or arguments[0] in ("-h", "--help"):
        sys.stdout.write(USAGE)
        return 0 if arguments else 2
    topic, *rest = arguments
    if complaint := check_choice("topic", topic, TOPICS, "see `collapse plan --help`"):
        raise check.ArgumentError(complaint)
    options: Any = parse_plain(TOPICS[topic], f"collapse plan {topic}", rest)
    out = chosen_directory(options.out, f"plan-{topic}", is_new=True)
    check_ours(out, lambda path: (path / _TRIALS).is_file(), "plan")
    check_environment()
    from collapse_jax.core.chain import Chain
    from collapse_jax.planning.plan import plan
    from collapse_jax.policies import Mixing

    budget = options.budget()
    source = options.source_of()
    original = {"redrawn": "distribution", "kept": "data"}[options.original]
    policy = Mixing(_rows_of(options, source), original=original)
    chain = Chain(options.family(source), source, policy)
    found = plan(
        chain,
        quantity=options.quantity,
        at_least=options.at_least,
        generations=options.generations,
        probability=options.probability or None,
        confidence=options.confidence,
        max_chains=options.max_chains or None,
        **options.question(),
        budget=budget,
        key=options.seed,
        store=out / _TRIALS,
        progress=None if options.quiet else _print,
    )
    command = " ".join(["collapse plan", *arguments])
    found = dataclasses.replace(found, command=command)
    page = found.report(out / "report.html")
    sys.stdout.write(f"{found}\nreport: {page}\n")
    return int(not found.is_feasible)


def _rows_of(options: Any, source: Any) -> int:
    """Return the rows of a corpus: as many as are asked for, or as the source has."""
    if options.rows == 0 and source.num_rows is not None:
        return source.num_rows
    return check.integer("--rows", options.rows, 1, remedy="pass --rows 1000, for example")


def _print(line: str) -> None:
    sys.stderr.write(f"  {line}\n")
