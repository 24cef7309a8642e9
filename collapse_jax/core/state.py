"""The state of a chain between two generations, and the parts of it that are needed."""

from typing import Any, NamedTuple

from jaxtyping import Array, Int


class InitialGeneration(NamedTuple):
    """Generation 0, for families, policies and metrics that look back to it.

    Attributes:
      params: model 0.
      corpus: D_0, or None where nothing reads it.

    >>> import collapse_jax as cj
    >>> cj.InitialGeneration(params=[0.5, 0.5], corpus=None).params
    [0.5, 0.5]
    """

    params: Any
    corpus: Any


class ChainState(NamedTuple):
    """A chain after a generation.

    Attributes:
      params: the newest model.
      corpus: the corpus it was fitted to, or None where nothing reads it.
      memory: the policy's own.
      generation0: model 0 and D_0, or None where nothing reads them.
      status: int32 code, see `Status`; None for a family whose fit cannot fail.
      info: facts about the newest draw and fit that are recorded as variables, by name.

    >>> import jax
    >>> import collapse_jax as cj
    >>> chain = cj.Chain(cj.Gaussian(1), cj.Normal(0.0, 1.0), cj.Replace(100))
    >>> shapes = jax.eval_shape(lambda key: chain.init(key, num_generations=10), jax.random.key(0))
    >>> isinstance(shapes, cj.ChainState), shapes.params.mean.shape
    (True, (1,))
    """

    params: Any
    corpus: Any
    memory: Any
    generation0: InitialGeneration | None
    status: Int[Array, ""] | None
    info: dict[str, Array]


class Needs(NamedTuple):
    """The parts of a chain that are read, beyond its newest model.

    A chain holds what one of them needs and nothing else.

    Attributes:
      corpus: the newest corpus D_g.
      generation0: model 0.
      generation0_corpus: D_0, together with model 0.

    >>> Needs(corpus=True) | Needs(generation0=True)
    Needs(corpus=True, generation0=True, generation0_corpus=False)
    """

    corpus: bool = False
    generation0: bool = False
    generation0_corpus: bool = False

    def __or__(self, other: "Needs") -> "Needs":
        """Return the needs of both."""
        return Needs(*(one or two for one, two in zip(self, other, strict=True)))

    def of(self, state: ChainState) -> ChainState:
        """Return a state that has everything without the parts that nothing needs.

        Args:
          state: of a chain, with everything.

        Returns:
          The state with None for corpora and generation 0 that nothing needs.
        """
        generation0 = None
        if self.generation0 or self.generation0_corpus:
            assert state.generation0 is not None
            params, corpus = state.generation0
            generation0 = InitialGeneration(params, corpus if self.generation0_corpus else None)
        corpus = state.corpus if self.corpus else None
        return state._replace(corpus=corpus, generation0=generation0)


EVERYTHING = Needs(corpus=True, generation0=True, generation0_corpus=True)
