"""Write the corpora of language models to readable files."""

from pathlib import Path
from typing import Any

import numpy as np

from collapse_jax.report.continuations import Example, continuations_page
from collapse_jax.results.records import Records

_SHOWN = 12  # prompts on the page, so that it stays readable


def write_corpora(out: Path, name: str, records: Records, texts: Any) -> None:
    """Write corpora/NAME/generation-CHAIN.parquet and a page of continuations.

    Args:
      out: the run directory.
      name: name of the study.
      records: records with the variable `corpus`.
      texts: a `collapse_jax.text.Texts`, for its tokenizer.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    folder = out / "corpora" / name
    folder.mkdir(parents=True, exist_ok=True)
    texts.tokenizer.save(out / "corpora" / "tokenizer")
    for index, generation in enumerate(records["generation"]):
        for column, chain in enumerate(records["chain"]):
            rows = records["corpus"][index, column]
            used = rows[:, 0] >= 0
            table = pa.table(
                {
                    "tokens": list(rows[used]),
                    "text": [texts.tokenizer.decode(row) for row in rows[used]],
                    "perplexity": records["corpus_perplexity"][index, column][used],
                }
            )
            file = folder / f"generation-{generation:03d}-chain-{chain:05d}.parquet"
            pq.write_table(table, file)
    if name == "replace":  # other studies do not continue every prompt in order
        page = continuations_page(_examples(records, texts), "Continuations by generation")
        (out / "corpora" / "continuations.html").write_text(page, encoding="utf-8")


def _examples(records: Records, texts: Any) -> list[Example]:
    """Return the first prompts of the first chain with continuations of all models but the last."""
    generations = [int(one) for one in records["generation"]]
    made = [index for index, generation in enumerate(generations) if generation > 0]
    decode = texts.tokenizer.decode
    examples = []
    for slot in range(min(_SHOWN, len(texts.train))):
        continuations = [
            (
                generations[index] - 1,
                decode(records["corpus"][index, 0, slot]),
                float(records["corpus_perplexity"][index, 0, slot]),
            )
            for index in made
        ]
        examples.append(Example(decode(np.asarray(texts.train[slot])), continuations))
    return examples
