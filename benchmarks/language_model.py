"""Compare training and beam search at the size of OPT-125m with transformers on PyTorch.

    python benchmarks/language_model.py [--only CASE] [--json FILE]

Both use two threads and the same random weights. Peak memory is that of a process of its own.
"""

import dataclasses
import functools
import os
import sys
import tempfile
from collections.abc import Iterator

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import jax
import numpy as np
import timing

from collapse_jax import lm

TRAINING = (8, 128)
NEW = PROMPT = 64
BEAMS, PENALTY = 5, 2.0
PEER = "transformers on PyTorch"
RANDOM = np.random.default_rng(0)


def make_tokens(batch: int, length: int) -> np.ndarray:
    """Draw random texts."""
    return RANDOM.integers(4, 50_000, (batch, length))


def make_model() -> lm.OPT:
    """Return a network with random weights."""
    return lm.OPT(lm.OPTConfig(), key=jax.random.key(0))


def as_torch(model: lm.OPT):
    """Return a network of transformers with the same weights."""
    import torch
    from transformers import OPTForCausalLM

    torch.set_num_threads(2)
    with tempfile.TemporaryDirectory() as folder:
        lm.save(model, folder)
        return OPTForCausalLM.from_pretrained(folder)


def our_gradients(model: lm.OPT, tokens: np.ndarray):
    """Return a compiled function for loss and gradients, without dropout."""
    trainer = lm.Trainer(model, lm.Training(has_dropout=False))
    state, batch = trainer.start(model), trainer.batch(tokens)
    return lambda: jax.block_until_ready(trainer.gradients(state, batch))


def torch_gradients(model, tokens: np.ndarray):
    """Return a function of PyTorch for loss and gradients, without dropout."""
    import torch

    ids, model = torch.tensor(tokens), model.eval()

    def run() -> None:
        model.zero_grad()
        model(ids, labels=ids).loss.backward()

    return run


def our_beams(model: lm.OPT, tokens: np.ndarray):
    """Return a function that continues each prompt as in the paper, with a penalty."""
    decoding = lm.Decoding(
        max_new_tokens=NEW, min_new_tokens=NEW, num_beams=BEAMS, repetition_penalty=PENALTY
    )
    return lambda: np.asarray(decoding.run(model, tokens))


def torch_beams(model, tokens: np.ndarray):
    """Return a function of transformers that continues each prompt as `our_beams` does."""
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


@functools.cache
def models() -> tuple:
    """Return our network and that of transformers, with the same weights."""
    model = make_model()
    return model, as_torch(model)


def training() -> Iterator[timing.Row]:
    """Compare loss and gradients."""
    tokens, (model, peer) = make_tokens(*TRAINING), models()
    yield timing.compare(
        "OPT-125m's size, loss and gradients, 8 x 128 tokens",
        PEER,
        our_gradients(model, tokens),
        tokens.size,
        torch_gradients(peer, tokens),
        tokens.size,
        bar=1.05,
        per="token",
        repeats=9,
    )


def beams(batch: int, repeats: int) -> Iterator[timing.Row]:
    """Compare beam search, and count equal texts."""
    tokens, (model, peer) = make_tokens(batch, PROMPT), models()
    found = {}

    def recorded(name, run):
        def call() -> None:
            found[name] = run()

        return call

    row = timing.compare(
        f"OPT-125m's size, five beams, penalty 2, {batch} prompts of {PROMPT}, {NEW} new tokens",
        PEER,
        recorded("ours", our_beams(model, tokens)),
        batch * NEW,
        recorded("peer", torch_beams(peer, tokens)),
        batch * NEW,
        bar=1.6,
        per="token",
        repeats=repeats,
    )
    agree = np.mean(np.all(found["ours"] == found["peer"], axis=1))
    yield dataclasses.replace(row, note=f"same tokens in {agree:.0%} of the texts")


def memory() -> Iterator[timing.Row]:
    """Compare the peak memory of three steps, in processes that return freed memory at once."""
    import torch  # noqa: F401

    environment = {name: os.environ[name] for name in os.environ if not name.startswith("MALLOC_")}
    ours, peer = (
        timing.apart(train_three_steps, whose, environment=environment)
        for whose in ("ours", "torch")
    )
    name = "OPT-125m's size, peak memory of three training steps"
    yield timing.Row(name, PEER, ours, peer, peer / ours, bar=1, unit="GB", per="")


def train_three_steps(whose: str) -> float:
    """Make three steps of AdamW on 8 x 128 tokens, and return the peak memory in gigabytes."""
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
    return timing.peak_gigabytes()


CASES = {
    "training": training,
    "generation": functools.partial(beams, 8, 3),
    "batch32": functools.partial(beams, 32, 1),
    "memory": memory,
}

if __name__ == "__main__":
    sys.exit(timing.main(CASES, __doc__))
