"""OPT at the size of OPT-125m: training and beam search, beside transformers on PyTorch.

python benchmarks/language_model.py [--only training|generation|batch32|memory] [--json FILE]

Two threads each, the same random weights. Peak memory is that of a process of its own.
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import jax
import numpy as np
import timing

from collapse_jax.families import language_model as lm

TRAINING = (8, 128)
NEW = PROMPT = 64
BEAMS, PENALTY = 5, 2.0
RANDOM = np.random.default_rng(0)


def make_tokens(batch: int, length: int) -> np.ndarray:
    """Random texts."""
    return RANDOM.integers(4, 50_000, (batch, length))


def make_model() -> lm.OPT:
    """Random weights."""
    return lm.OPT(lm.Config(), key=jax.random.key(0))


def as_torch(model: lm.OPT):
    """The same weights in transformers."""
    import torch
    from transformers import OPTForCausalLM

    torch.set_num_threads(2)
    with tempfile.TemporaryDirectory() as folder:
        lm.save(model, folder)
        return OPTForCausalLM.from_pretrained(folder)


def our_gradients(model: lm.OPT, tokens: np.ndarray):
    """Loss and gradients, compiled, without dropout."""
    trainer = lm.Trainer(model, lm.Training(has_dropout=False))
    state, batch = trainer.start(model), trainer.batch(tokens)
    return lambda: jax.block_until_ready(trainer.gradients(state, batch))


def torch_gradients(model, tokens: np.ndarray):
    """Loss and gradients, without dropout."""
    import torch

    ids, model = torch.tensor(tokens), model.eval()

    def run() -> None:
        model.zero_grad()
        model(ids, labels=ids).loss.backward()

    return run


def our_beams(model: lm.OPT, tokens: np.ndarray):
    """The paper's continuation of each prompt, with its penalty."""
    decoding = lm.Decoding(
        max_new_tokens=NEW, min_new_tokens=NEW, num_beams=BEAMS, repetition_penalty=PENALTY
    )
    return lambda: np.asarray(decoding.run(model, tokens))


def torch_beams(model, tokens: np.ndarray):
    """The same."""
    import torch

    ids, model = torch.tensor(tokens), model.eval()
    mask = torch.ones_like(ids)

    @torch.no_grad()
    def run() -> np.ndarray:
        found = model.generate(
            ids,
            attention_mask=mask,
            num_beams=BEAMS,
            max_new_tokens=NEW,
            min_new_tokens=NEW,
            repetition_penalty=PENALTY,
            do_sample=False,
        )
        return found[:, ids.shape[1] :].numpy()

    return run


def peak_gigabytes(whose: str) -> float:
    """Peak memory of three training steps in a process of its own, freed memory given back."""
    environment = {name: os.environ[name] for name in os.environ if not name.startswith("MALLOC_")}
    command = [sys.executable, __file__, "--peak-of", whose]
    found = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    return float(found.stdout.split()[-1])


def train_three_steps(whose: str) -> None:
    """AdamW on batches of 8 x 128 tokens; prints the peak."""
    model, tokens = make_model(), make_tokens(*TRAINING)
    if whose == "ours":
        trainer = lm.Trainer(model, lm.Training())
        state = trainer.start(model)
        del model
        for _ in range(3):
            state, loss = trainer.step(state, tokens, key=0)
        float(loss)
    else:
        import torch

        peer = as_torch(model).train()
        del model
        optimizer = torch.optim.AdamW(peer.parameters(), lr=2e-5)
        ids = torch.tensor(tokens)
        for _ in range(3):
            optimizer.zero_grad()
            peer(ids, labels=ids).loss.backward()
            optimizer.step()
    sys.stdout.write(f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6}\n")


def main() -> int:
    """Print the table; exit code 1 if a bar is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    kinds = ("training", "generation", "batch32", "memory")
    parser.add_argument("--only", choices=kinds)
    parser.add_argument("--peak-of", choices=["ours", "torch"])
    parser.add_argument("--json")
    arguments = parser.parse_args()
    if arguments.peak_of:
        train_three_steps(arguments.peak_of)
        return 0
    try:
        import torch  # noqa: F401
    except ImportError:
        sys.stdout.write("PyTorch is not installed: `make parity` does that\n")
        return 0
    chosen = kinds if arguments.only is None else (arguments.only,)
    sys.stdout.write(f"cores: {timing.cores()}; times per token\n{timing.HEADER}\n")
    model = make_model()
    peer = as_torch(model)
    results, is_short = [], False
    if "training" in chosen:
        tokens = make_tokens(*TRAINING)
        runs = our_gradients(model, tokens), torch_gradients(peer, tokens)
        name = "loss and gradients, 8 x 128 tokens"
        size = tokens.size
        results.append(timing.compare(name, runs[0], size, runs[1], size, bar=1.05))
    for kind, batch, repeats in (("generation", 8, 3), ("batch32", 32, 1)):
        if kind in chosen:
            tokens = make_tokens(batch, PROMPT)
            runs = our_beams(model, tokens), torch_beams(peer, tokens)
            if kind == "generation":
                agree = np.mean(np.all(runs[0]() == runs[1](), axis=1))
                sys.stdout.write(f"same tokens in {agree:.0%} of {batch} texts\n")
            name = f"five beams, {batch} prompts of {PROMPT}, {NEW} new tokens"
            size = batch * NEW
            line = timing.compare(name, runs[0], size, runs[1], size, bar=1.6, repeats=repeats)
            results.append(line)
    if "memory" in chosen:
        ours, theirs = peak_gigabytes("ours"), peak_gigabytes("torch")
        is_short = ours > theirs
        sys.stdout.write(f"peak memory of training: {ours:.2f} GB, PyTorch {theirs:.2f} GB\n")
    if arguments.json:
        timing.dump(results, arguments.json)
    return int(is_short or any(result.ratio < result.bar for result in results))


if __name__ == "__main__":
    sys.exit(main())
