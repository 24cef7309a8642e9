"""Write the next corpus: continuations of blocks, batch by batch."""

from typing import Any

import numpy as np
from jaxtyping import Int

from collapse_jax import lm
from collapse_jax.families.language_model.evaluate import mesh_of, with_params
from collapse_jax.random.keys import Keys, Purpose


def write(
    family: Any, keys: Keys, model: Any, prompts: np.ndarray, name: str
) -> Int[np.ndarray, "block token"]:
    """Write a continuation of every prompt, as long as the prompt.

    Args:
      family: a `LanguageModel`.
      keys: random numbers of the generation.
      model: the tuned model.
      prompts: tokens, [block, token].
      name: under which unfinished text is checkpointed.

    Returns:
      Tokens in the order of the prompts, [block, token].
    """
    generation = int(keys.generation)
    arrays = family.context.restore(generation, name)
    written = [] if arrays is None else list(arrays)
    batches = lm.stream(
        with_params(family, model.params),
        prompts,
        decoding=family.decoding,
        batch_size=family.generation_batch,
        key=keys.unrolled_key(Purpose.DRAW),
        mesh=mesh_of(family),
        first_row=sum(map(len, written)),
    )
    for batch in batches:
        written.append(batch)
        family.context.checkpoint(generation, name, lambda: [np.concatenate(written)])
    return np.concatenate(written)
