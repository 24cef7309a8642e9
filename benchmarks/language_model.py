"""Compare training and generation at the sizes of OPT-125m and SmolLM2-135M with transformers.

    python benchmarks/language_model.py [--only CASE] [--json FILE]

Both sides use two threads and the same random weights; the peer runs on PyTorch. Peak memory is
that of a process of its own.
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
    return RANDOM.integers(4, 49_000, (batch, length))


OPT, SMOLLM2 = "OPT-125m", "SmolLM2-135M"
SIZES = {
    OPT: lm.OPTConfig(),
    SMOLLM2: lm.LlamaConfig(
        vocab_size=49152,
        hidden_size=576,
        intermediate_size=1536,
        num_hidden_layers=30,
        num_attention_heads=9,
        num_key_value_heads=3,
        rope_theta=1e5,
        tie_word_embeddings=True,
    ),
}


def make_model(size: str) -> lm.CausalLM:
    """Return a network with random weights."""
    return lm.create(SIZES[size], key=0)


def as_torch(model: lm.CausalLM):
    """Return a network of transformers with the same weights."""
    import torch
    from transformers import AutoModelForCausalLM

    torch.set_num_threads(2)
    with tempfile.TemporaryDirectory() as folder:
        lm.save(model, folder)
        return AutoModelForCausalLM.from_pretrained(folder)


def our_gradients(model: lm.CausalLM, tokens: np.ndarray):
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


def our_texts(model: lm.CausalLM, tokens: np.ndarray, num_beams: int):
    """Return a function that continues each prompt as in the paper, with a penalty."""
    decoding = lm.Decoding(
        max_new_tokens=NEW, min_new_tokens=NEW, num_beams=num_beams, repetition_penalty=PENALTY
    )
    return lambda: np.asarray(decoding.run(model, tokens))


def torch_texts(model, tokens: np.ndarray, num_beams: int):
    """Return a function of transformers that continues each prompt as `our_texts` does."""
    import torch

    ids, model = torch.tensor(tokens), model.eval()
    mask = torch.ones_like(ids)

    @torch.no_grad()
    def run() -> np.ndarray:
        found = model.generate(
            ids,
            attention_mask=mask,
            num_beams=num_beams,
            max_new_tokens=NEW,
            min_new_tokens=NEW,
            repetition_penalty=PENALTY,
            do_sample=False,
        )
        return found[:, ids.shape[1] :].numpy()

    return run


@functools.cache
def models(size: str) -> tuple:
    """Return our network and that of transformers, with the same weights."""
    model = make_model(size)
    return model, as_torch(model)


def training(size: str, bar: float) -> Iterator[timing.Row]:
    """Compare loss and gradients."""
    tokens, (model, peer) = make_tokens(*TRAINING), models(size)
    yield timing.compare(
        f"{size}'s size, loss and gradients, 8 x 128 tokens",
        PEER,
        our_gradients(model, tokens),
        tokens.size,
        torch_gradients(peer, tokens),
        tokens.size,
        bar=bar,
        per="token",
        repeats=9,
    )


def texts(
    size: str, batch: int, repeats: int, bar: float, num_beams: int = BEAMS
) -> Iterator[timing.Row]:
    """Compare beam search or greedy choice, and count equal texts."""
    tokens, (model, peer) = make_tokens(batch, PROMPT), models(size)
    how = "greedy" if num_beams == 1 else "five beams"
    found = {}

    def recorded(name, run):
        def call() -> None:
            found[name] = run()

        return call

    row = timing.compare(
        f"{size}'s size, {how}, penalty 2, {batch} prompts of {PROMPT}, {NEW} new tokens",
        PEER,
        recorded("ours", our_texts(model, tokens, num_beams)),
        batch * NEW,
        recorded("peer", torch_texts(peer, tokens, num_beams)),
        batch * NEW,
        bar=bar,
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
    model, tokens = make_model(OPT), make_tokens(*TRAINING)
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
    "training": functools.partial(training, OPT, 1.05),
    "generation": functools.partial(texts, OPT, 8, 3, 1.6),
    "batch32": functools.partial(texts, OPT, 32, 1, 1.6),
    "memory": memory,
    "smollm2-training": functools.partial(training, SMOLLM2, 1.0),
    "smollm2-beams": functools.partial(texts, SMOLLM2, 8, 3, 1.8),
    "smollm2-greedy": functools.partial(texts, SMOLLM2, 8, 3, 1.3, 1),
}

if __name__ == "__main__":
    sys.exit(timing.main(CASES, __doc__))
