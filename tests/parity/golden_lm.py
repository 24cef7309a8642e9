"""Writes golden_lm.json: what transformers computes, for machines without PyTorch.

python tests/parity/golden_lm.py
"""

import json
import tempfile
from pathlib import Path

import numbers_of_lm as numbers
import numbers_of_opt as texts
import numpy as np
import torch_lm


def golden_of(folder):
    """Logits of some places, the loss, norms of gradients, and generated tokens."""
    model = torch_lm.read_model(folder)
    tokens, mask, labels = texts.make_texts()
    loss, gradients = torch_lm.loss_and_gradients(model, tokens, mask, labels)
    prompts, prompt_mask = texts.make_prompts(4, is_padded=True)
    logits = torch_lm.logits(model, tokens, mask)[:, -1, :8]
    return {
        "logits": [[round(float(each), 6) for each in row] for row in logits],
        "loss": loss,
        "norms": {name: float(np.linalg.norm(each)) for name, each in gradients.items()},
        "tokens": {
            name: torch_lm.generate(model, prompts, prompt_mask, texts.NEW, **each).tolist()
            for name, each in numbers.SETTINGS.items()
        },
    }


def main():
    """One entry for every config."""
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, config in numbers.CONFIGS.items():
            found[name] = golden_of(numbers.write_model(Path(folder) / name, config))
    numbers.GOLDEN.write_text(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
