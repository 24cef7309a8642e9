"""Writes golden_opt.json: what transformers computes, for machines without PyTorch.

python tests/parity/golden_opt.py
"""

import json
import tempfile
from pathlib import Path

import numbers_of_opt as numbers
import numpy as np
import torch_opt


def golden_of(folder, vocab):
    """Logits of some places, the loss, norms of gradients, and generated tokens."""
    model = torch_opt.read_model(folder)
    tokens, mask, labels = numbers.make_texts(vocab=vocab)
    loss, gradients = torch_opt.loss_and_gradients(model, tokens, mask, labels)
    prompts, prompt_mask = numbers.make_prompts(4, is_padded=True, vocab=vocab)
    return {
        "logits": torch_opt.logits(model, tokens, mask)[:, -1, :8].tolist(),
        "loss": loss,
        "norms": {name: float(np.linalg.norm(each)) for name, each in gradients.items()},
        "tokens": {
            name: torch_opt.generate(model, prompts, prompt_mask, numbers.NEW, **each).tolist()
            for name, each in numbers.SETTINGS.items()
        },
    }


def main():
    """One entry for every small config."""
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, config in numbers.CONFIGS.items():
            path = numbers.write_model(Path(folder) / name, config)
            found[name] = golden_of(path, config["vocab_size"])
    numbers.GOLDEN.write_text(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
