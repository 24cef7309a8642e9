"""Define laws on finitely many states: haploid Wright-Fisher chains, exact in law."""

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any, Self

import jax
import jax.numpy as jnp
import numpy as np
from jax.custom_batching import custom_vmap
from jaxtyping import Array, Bool, Float, Int

from collapse_jax.config import config, replace_fields, static
from collapse_jax.core.corpus import AbstractCorpus, Counts, Size
from collapse_jax.core.family import AbstractFamily, Fit
from collapse_jax.core.metric import Curve, Metric, Quantity
from collapse_jax.core.policy import AbstractPolicy
from collapse_jax.core.samples import Labels, expand, prefix_weights
from collapse_jax.core.selection import AbstractSelection
from collapse_jax.core.source import AbstractSource, CountsSource
from collapse_jax.core.state import Needs
from collapse_jax.families.learner import check_learner
from collapse_jax.metrics import discrete as metrics
from collapse_jax.random.dirichlet import dirichlet
from collapse_jax.random.hypergeometric import check_population
from collapse_jax.random.integers import uniform_integers
from collapse_jax.random.keys import Keys, Purpose
from collapse_jax.random.multinomial import multinomial
from collapse_jax.utils import check
from collapse_jax.utils.status import Status

_LARGEST_PRIOR = 1e9  # of a parameter, as of smoothing
_ROWS_PER_STATE = 24  # a binomial costs about as much as resampling this many rows


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class LabelModel:
    """The empirical law of labels, held as the labels: a draw chooses one of them."""

    labels: Int[Array, " slot"]
    num_rows: Int[Array, ""] | None  # None: every slot holds a label


@config
class Discrete(AbstractFamily):
    """Relative frequencies of finitely many states, the n-gram model of order one.

    One generation, in order: M rows are drawn from the model's law p_g, raised to
    1 / temperature and cut by top_p and min_probability; then
    p_{g+1} = (counts + smoothing) / (M + num_states * smoothing). With a prior, p_{g+1} is
    the mean of its posterior Dirichlet(prior + counts), or a sample of it; a chain of samples
    has the prior as its stationary law (Griffiths and Kalish 2007).

    Variables, of the fitted p_g: `support_size` (states present in D_g), `entropy`,
    `heterozygosity`, `total_variation`, `kl_divergence`, `tail_mass` (mass on the least
    likely states of p_0 that hold at most 0.1 of it), `is_absorbed`. On request
    `probabilities` [state], `samples` (labels of D_g, -1 in empty slots).

    Args:
      num_states: K; None for the number of states of the source.
      smoothing: added to every count, in [0, 1e9] (Laplace's rule: 1).
      temperature: T, in (0, 1e6].
      top_p: in (0, 1]; only the most likely states, which hold this much, are drawn.
      min_probability: in [0, 1]; states below it are never drawn, except the most likely ones.
      prior: parameters > 0 of a Dirichlet law, a number for all states or [state]; None for none.
      learner: "posterior_mean" or "posterior_sample", with a prior.
      corpus: "counts" (exact, any M), "samples" (labels, resampled), or "auto" for the
        faster one; both have the same law.

    Raises:
      ArgumentError: for any other value.

    >>> import jax.numpy as jnp
    >>> import collapse_jax as cj
    >>> family = cj.Discrete(num_states=3, smoothing=1.0)
    >>> fit = family.fit(None, cj.Counts(jnp.array([2, 1, 0])), None, None)
    >>> [round(float(p), 4) for p in fit.params]
    [0.5, 0.3333, 0.1667]
    """

    num_states: int | None = static(default=None)
    smoothing: float = 0.0
    temperature: float = 1.0
    top_p: float = 1.0
    min_probability: float = 0.0
    corpus: str = static(default="auto")
    prior: Any = None
    learner: str = static(default="posterior_mean")
    is_smoothed: bool = static(init=False, repr=False, default=False)
    is_tempered: bool = static(init=False, repr=False, default=False)
    is_selected: bool = static(init=False, repr=False, default=False)

    def __post_init__(self) -> None:
        if self.num_states is not None:
            states = check.integer("Discrete.num_states", self.num_states, 1, 2**26)
            object.__setattr__(self, "num_states", states)
        checked = {
            "smoothing": check.number(
                "Discrete.smoothing", self.smoothing, 0, 1e9, "pass 0 for none"
            ),
            "temperature": check.number(
                "Discrete.temperature", self.temperature, 0, 1e6, "pass 1 for none", open_low=True
            ),
            "top_p": check.number(
                "Discrete.top_p", self.top_p, 0, 1, "pass 1 for none", open_low=True
            ),
            "min_probability": check.number(
                "Discrete.min_probability", self.min_probability, 0, 1, "pass 0 for none"
            ),
        }
        check.choice("Discrete.corpus", self.corpus, ("auto", "counts", "samples"))
        for name, value in checked.items():
            object.__setattr__(self, name, value)
        self._check_prior()
        is_smoothed = self.smoothing > 0 or self.prior is not None
        object.__setattr__(self, "is_smoothed", is_smoothed)
        cuts = (self.temperature, self.top_p, self.min_probability)
        object.__setattr__(self, "is_tempered", cuts != (1.0, 1.0, 0.0))

    def _check_prior(self) -> None:
        check_learner("Discrete", self.learner, self.prior)
        if self.prior is None:
            return
        remedy = "pass parameters > 0 of a Dirichlet law, one number or one per state"
        prior = check.array("Discrete.prior", self.prior, (0, 1), remedy)
        if not (np.min(prior) > 0 and np.max(prior) <= _LARGEST_PRIOR):
            shown = float(np.min(prior) if np.min(prior) <= 0 else np.max(prior))
            raise check.fail("Discrete.prior", shown, "it must be in (0, 1e9]", remedy)
        if self.smoothing > 0:
            allowed = "a prior already smooths"
            raise check.fail("Discrete.smoothing", self.smoothing, allowed, "leave it out")
        object.__setattr__(self, "prior", prior)

    @property
    def holds_labels(self) -> bool:
        """Tell whether a model is held as the labels of its corpus."""
        changes = self.is_smoothed or self.is_tempered or self.is_selected
        return self.corpus == "samples" and not changes

    @property
    def needs(self) -> Needs:
        """Return the corpus for smoothed models, which do not show its support."""
        return Needs(corpus=self.is_smoothed)

    def resolve(self, source: AbstractSource, policy: AbstractPolicy) -> Self:
        """Take the number of states from the source, and choose the corpus by its cost."""
        states = source.num_states
        if states is None or not isinstance(source, CountsSource):
            name = type(source).__name__
            allowed = "Discrete needs a source of labels, such as Categorical"
            raise check.fail("Chain.source", name, allowed, "use Gaussian for real rows")
        if self.num_states is not None and self.num_states < states:
            raise check.fail(
                "Discrete.num_states", self.num_states, f"the source has {states}", "leave it out"
            )
        states = self.num_states or states
        if self.prior is not None and self.prior.ndim and len(self.prior) != states:
            allowed = f"there are {states} states"
            raise check.fail("len(Discrete.prior)", len(self.prior), allowed, "pass one for each")
        corpus = self.corpus
        if corpus == "auto":
            few_rows = policy.largest_size <= _ROWS_PER_STATE * states
            plain = not (self.is_smoothed or self.is_tempered)
            new = not (policy.reuses_rows or policy.is_growing or policy.reads_values)
            simple = new and policy.has_fixed_size and policy.selected_by is None
            corpus = "samples" if few_rows and plain and simple else "counts"
        is_selected = policy.selected_by is not None
        return replace_fields(self, num_states=states, corpus=corpus, is_selected=is_selected)

    def validate(self, policy: AbstractPolicy, num_generations: int) -> None:
        """Refuse subsets of more rows than hypergeometric draws can handle."""
        if self.corpus == "counts":
            check_population(policy.largest_population(num_generations))

    def original(
        self, keys: Keys, source: AbstractSource, size: Size, capacity: int
    ) -> AbstractCorpus:
        """Return exact counts, or labels."""
        if self.corpus == "counts" and isinstance(source, CountsSource):
            assert self.num_states is not None
            counts = source.draw_counts(keys, size).counts
            return Counts(jnp.pad(counts, (0, self.num_states - len(counts))))
        return source.draw(keys, size, capacity)

    def summarize(self, samples: Any) -> AbstractCorpus:
        """Return the counts of labels, or the labels if the corpus holds labels."""
        return samples if self.corpus == "samples" else Counts(self._counts(samples))

    def _counts(self, corpus: Counts | Labels | LabelModel) -> Int[Array, " state"]:
        assert self.num_states is not None
        if isinstance(corpus, Counts):
            return corpus.counts
        if isinstance(corpus, LabelModel):
            return histogram(corpus.labels, corpus.num_rows, self.num_states)
        size = None if corpus.weights is None else corpus.size
        return histogram(corpus.rows, size, self.num_states)

    def fit(self, keys: Keys, corpus: Counts | Labels, previous: Any, generation0: Any) -> Fit:
        """Return relative frequencies; a corpus without rows has status DEGENERATE."""
        if self.holds_labels:
            assert isinstance(corpus, Labels)
            return Fit(LabelModel(corpus.rows, None if corpus.weights is None else corpus.size))
        counts = self._counts(corpus).astype(jnp.result_type(float)) + self.smoothing
        if self.prior is not None:
            counts = counts + jnp.asarray(self.prior, counts.dtype)
            if self.learner == "posterior_sample":
                return Fit(dirichlet(keys, Purpose.FIT, counts))
        if not self.is_selected:
            return Fit(_shares(counts, jnp.sum(counts)))
        total = jnp.sum(counts)
        status = jnp.where(total > 0, Status.OK, Status.DEGENERATE).astype(jnp.int32)
        return Fit(_shares(counts, jnp.where(total > 0, total, 1)), status)

    def probabilities(self, params: Array | LabelModel) -> Float[Array, " state"]:
        """Return the fitted law p_g.

        Args:
          params: a fitted model.

        Returns:
          Probabilities, [state].
        """
        if isinstance(params, LabelModel):
            counts = self._counts(params).astype(jnp.result_type(float))
            size = params.labels.shape[0] if params.num_rows is None else params.num_rows
            return _shares(counts, size)
        return params

    def sampling_law(self, probabilities: Float[Array, " state"]) -> Float[Array, " state"]:
        """Return the weights that rows are drawn with: tempered, then cut.

        Args:
          probabilities: the fitted law, [state].

        Returns:
          Weights >= 0, not normalised, [state].
        """
        if not self.is_tempered:
            return probabilities
        top = jnp.max(probabilities)
        weights = (probabilities / top) ** (1 / jnp.asarray(self.temperature, top.dtype))
        law = jnp.where(probabilities > 0, weights, 0)
        law = law / jnp.sum(law)
        order = jnp.argsort(-law, stable=True)
        before = jnp.cumsum(law[order]) - law[order]
        is_drawn = jnp.zeros(law.shape, bool).at[order].set(before < self.top_p)
        is_drawn = is_drawn & ((law >= self.min_probability) | (law == jnp.max(law)))
        return jnp.where(is_drawn, law, 0)

    def draw(
        self, keys: Keys, params: Array | LabelModel, size: Size, capacity: int, generation0: Any
    ) -> AbstractCorpus:
        """Draw multinomial counts, or labels with replacement."""
        if isinstance(params, LabelModel):
            bound = params.labels.shape[0] if params.num_rows is None else params.num_rows
            chosen = uniform_integers(keys, Purpose.DRAW, bound, (capacity,))
            labels = params.labels.at[chosen].get(mode="promise_in_bounds")
            return Labels(labels, prefix_weights(size, capacity))
        return self._draw(keys, Purpose.DRAW, self.sampling_law(params), size, capacity)

    def _draw(
        self, keys: Keys, purpose: int, law: Float[Array, " state"], size: Size, capacity: int
    ) -> AbstractCorpus:
        counts = multinomial(keys, purpose, size, law)
        if self.corpus == "counts":
            return Counts(counts)
        return Labels(expand(counts, capacity), prefix_weights(size, capacity))

    def draw_selected(
        self,
        keys: Keys,
        params: Array,
        size: Size,
        capacity: int,
        generation0: Any,
        selection: AbstractSelection,
    ) -> AbstractCorpus:
        """Draw what the selection makes of the law of the model."""
        counts, info = selection.counts(keys, self.sampling_law(params), size)
        if self.corpus == "counts":
            return Counts(counts, info)
        number = jnp.sum(counts) if selection.can_refuse else size
        return Labels(expand(counts, capacity), prefix_weights(number, capacity), info)

    @property
    def has_explicit_law(self) -> bool:
        """Tell whether models are probability vectors, which can be mixed, and not labels."""
        return not self.holds_labels

    def start_law(
        self, params: Array | LabelModel, source: AbstractSource, num_generations: int
    ) -> Float[Array, " state"]:
        """Return p_0."""
        return self._truth(source)

    def mix_law(
        self,
        law: Float[Array, " state"] | None,
        generation: Int[Array, ""],
        params: Array | LabelModel,
        source: AbstractSource,
        shares: tuple[Array, Array, Array],
    ) -> Float[Array, " state"]:
        """Return the mixed probability vector."""
        alpha, beta, gamma = shares
        model = self.sampling_law(self.probabilities(params))
        mixed = alpha * model / jnp.sum(model) + gamma * self._truth(source)
        mixed = mixed if law is None else mixed + beta * law
        total = jnp.sum(mixed)
        return mixed / jnp.where(total > 0, total, 1)

    def draw_law(
        self,
        keys: Keys,
        law: Float[Array, " state"],
        generation: Int[Array, ""],
        source: AbstractSource,
        size: Size,
        capacity: int,
        generation0: Any,
    ) -> AbstractCorpus:
        """Draw multinomial counts, or their labels."""
        return self._draw(keys, Purpose.HISTORY, law, size, capacity)

    def _truth(self, source: AbstractSource) -> Float[Array, " state"]:
        assert isinstance(source, CountsSource)
        assert self.num_states is not None
        return jnp.pad(source.law, (0, self.num_states - len(source.law)))

    def measure(
        self, params: Array | LabelModel, corpus: Any, source: AbstractSource, generation0: Any
    ) -> dict[str, Array]:
        """Return the diversity of a model, and its distance from p_0."""
        probabilities = self.probabilities(params)
        present = self._counts(corpus) if self.is_smoothed else probabilities
        truth = self._truth(source)
        support = metrics.support_size(present)
        return {
            "support_size": support,
            "entropy": metrics.entropy(probabilities),
            "heterozygosity": metrics.heterozygosity(probabilities),
            "total_variation": metrics.total_variation(probabilities, truth),
            "kl_divergence": metrics.kl_divergence(probabilities, truth),
            "tail_mass": jnp.sum(jnp.where(metrics.tail(truth), probabilities, 0)),
            "is_absorbed": jnp.bool_(False) if self.is_smoothed else support == 1,
        }

    def absorbed(self, params: Array | LabelModel) -> Bool[Array, ""] | None:
        """Tell whether one state is left."""
        if self.is_smoothed:
            return None
        if isinstance(params, LabelModel):
            labels = params.labels
            if params.num_rows is not None:
                labels = jnp.where(jnp.arange(len(labels)) < params.num_rows, labels, labels[0])
            # Integers are equal if each bit that is set in any of them is set in all of them.
            in_all = jax.lax.reduce(labels, np.int32(-1), jax.lax.bitwise_and, (0,))
            in_any = jax.lax.reduce(labels, np.int32(0), jax.lax.bitwise_or, (0,))
            return in_all == in_any
        return metrics.support_size(params) == 1

    @property
    def optional_metrics(self) -> Mapping[str, Metric]:
        """Return the variables on request, by name."""
        return {
            "probabilities": Metric(
                _probabilities,
                "probabilities",
                ("state",),
                reads=("family", "params"),
                long_name="fitted probability",
            ),
            "samples": Metric(
                _samples,
                "samples",
                ("slot",),
                reads=("family", "corpus"),
                long_name="labels of the corpus",
            ),
        }

    @property
    def quantities(self) -> Mapping[str, Quantity]:
        """Return name and unit of the default variables."""
        return {
            "support_size": Quantity("states present in the corpus", "states"),
            "entropy": Quantity("entropy of the fitted law", "nats"),
            "heterozygosity": Quantity("probability that two draws differ"),
            "total_variation": Quantity("total variation distance from the truth"),
            "kl_divergence": Quantity("divergence KL(model || truth)", "nats"),
            "tail_mass": Quantity("mass on the tail of the truth"),
            "is_absorbed": Quantity("one state is left"),
        }

    def theory(self, chain: Any, sizes: np.ndarray) -> Mapping[str, Curve]:
        """Return expectations on a known law or on data, without reused rows or a selection."""
        from collapse_jax.families.discrete_theory import discrete_curves

        return discrete_curves(chain, sizes) if type(self) is Discrete else {}

    def ecosystem_theory(
        self, weights: np.ndarray, source: AbstractSource, sizes: np.ndarray
    ) -> Mapping[str, Curve]:
        """Return the diversity of each model on a known law."""
        from collapse_jax.families.discrete_theory import ecosystem_curves

        return ecosystem_curves(self, weights, source, sizes) if type(self) is Discrete else {}


def _shares(counts: Float[Array, " state"], total: int | Array) -> Float[Array, " state"]:
    """Return counts / total; XLA multiplies by 1 / total, and 41 * (1 / 41) is not 1."""
    return jnp.where(counts == total, 1, counts / total)


def _probabilities(key, family, params, corpus, source, generation0) -> Array:
    return family.probabilities(params)


def _samples(key, family, params, corpus, source, generation0) -> Array:
    if not isinstance(corpus, Labels):
        raise check.fail(
            "metrics",
            "samples",
            f"no rows are held with corpus={family.corpus!r}",
            "force them with corpus='samples'",
        )
    return jnp.where(corpus.full_weights() > 0, corpus.rows, -1)


def _one(labels: Array, num_states: int) -> Array:
    return jnp.zeros(num_states, jnp.int32).at[labels].add(1, mode="promise_in_bounds")


@functools.cache
def _batched(num_states: int):
    @custom_vmap
    def count(labels: Array) -> Array:
        return _one(labels, num_states)

    @count.def_vmap
    def rule(axis_size: int, in_batched, labels: Array):
        if not in_batched[0]:
            return count(labels), False
        if axis_size * num_states >= 2**31 or labels.ndim != 2:
            return jax.vmap(lambda row: _one(row, num_states))(labels), True
        # One scatter into a flat array is about twice as fast as a batched one.
        offsets = jnp.arange(axis_size, dtype=jnp.int32)[:, None] * num_states
        flat = _one((labels + offsets).ravel(), axis_size * num_states)
        return flat.reshape(axis_size, num_states), True

    return count


def histogram(
    labels: Int[Array, " slot"], num_rows: Int[Array, ""] | None, num_states: int
) -> Int[Array, " state"]:
    """Count labels 0 .. num_states-1.

    Args:
      labels: one label per slot, [slot].
      num_rows: number of leading slots that hold a label; None for all.
      num_states: K.

    Returns:
      int32 counts, [state].
    """
    if num_rows is None:
        return _batched(num_states)(labels)
    used = jnp.arange(labels.shape[0]) < num_rows
    return _batched(num_states + 1)(jnp.where(used, labels, num_states))[:num_states]
