"""OPT models and prompts that parity is tested on: the same numbers on any machine."""

import json
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

_SMALL = {
    "vocab_size": 96,
    "hidden_size": 32,
    "num_hidden_layers": 3,
    "ffn_dim": 64,
    "num_attention_heads": 4,
    "max_position_embeddings": 64,
    "eos_token_id": 55,  # one that these models say now and then
}
CONFIGS = {
    "pre-norm": _SMALL,
    "post-norm": {**_SMALL, "do_layer_norm_before": False},
    "projected": {**_SMALL, "word_embed_proj_dim": 16, "do_layer_norm_before": False},
    "odd": {
        **_SMALL,
        "vocab_size": 101,
        "hidden_size": 33,
        "num_attention_heads": 3,
        "ffn_dim": 47,
    },
    "bare": {**_SMALL, "enable_bias": False, "layer_norm_elementwise_affine": False},
    "untied": {**_SMALL, "tie_word_embeddings": False, "_remove_final_layer_norm": True},
}
SIZE_OF_125M = {"vocab_size": 50272}
GOLDEN = Path(__file__).with_name("golden_opt.json")
PROMPT, NEW = 10, 12
EOS = 55
SETTINGS = {
    "greedy": {"num_beams": 1},
    "greedy, penalty": {"num_beams": 1, "repetition_penalty": 2.0, "min_new_tokens": NEW},
    "beams": {"num_beams": 5},
    "paper": {"num_beams": 5, "repetition_penalty": 2.0, "min_new_tokens": NEW},
    "ngrams": {"num_beams": 2, "no_repeat_ngram_size": 2, "length_penalty": 2.0},
}


def write_model(folder, config, seed=0, scale=0.2, shift=0.0):
    """config.json and model.safetensors with random numbers, under transformers' names.

    The inputs of ReLUs are moved up or down by `shift`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    values = {
        "model_type": "opt",
        "architectures": ["OPTForCausalLM"],
        "bos_token_id": 2,
        "eos_token_id": 2,
        "pad_token_id": 1,
        **config,
    }
    (folder / "config.json").write_text(json.dumps(values))
    random = np.random.default_rng(seed)
    arrays = {}
    for name, shape in shapes(config).items():
        centre = 1.0 if name.endswith("layer_norm.weight") else 0.0
        drawn = random.standard_normal(shape, dtype=np.float32)
        if name.endswith("fc1.bias"):
            centre = shift * np.sign(drawn)
        arrays[name] = (centre + scale * drawn).astype(np.float32)
    save_file(arrays, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def shapes(config):
    """Parameters of a model by transformers' names."""
    full = {
        "vocab_size": 50272,
        "hidden_size": 768,
        "num_hidden_layers": 12,
        "ffn_dim": 3072,
        "max_position_embeddings": 2048,
        **config,
    }
    size, narrow = full["hidden_size"], full.get("word_embed_proj_dim", full["hidden_size"])
    has_bias = full.get("enable_bias", True)
    found = {
        "embed_tokens.weight": (full["vocab_size"], narrow),
        "embed_positions.weight": (full["max_position_embeddings"] + 2, size),
    }
    if narrow != size:
        found |= {"project_in.weight": (size, narrow), "project_out.weight": (narrow, size)}

    def add(name, weight, has_bias):
        found[f"{name}.weight"] = weight
        if has_bias:
            found[f"{name}.bias"] = weight[:1]

    is_affine = full.get("layer_norm_elementwise_affine", True)
    for number in range(full["num_hidden_layers"]):
        block = f"layers.{number}"
        for part in ("q", "k", "v", "out"):
            add(f"{block}.self_attn.{part}_proj", (size, size), has_bias)
        add(f"{block}.fc1", (full["ffn_dim"], size), has_bias)
        add(f"{block}.fc2", (size, full["ffn_dim"]), has_bias)
        if is_affine:
            add(f"{block}.self_attn_layer_norm", (size,), True)
            add(f"{block}.final_layer_norm", (size,), True)
    removed = full.get("_remove_final_layer_norm", False)
    if is_affine and full.get("do_layer_norm_before", True) and not removed:
        add("final_layer_norm", (size,), True)
    found = {f"model.decoder.{name}": shape for name, shape in found.items()}
    if not full.get("tie_word_embeddings", True):
        found["lm_head.weight"] = (full["vocab_size"], narrow)
    return found


def make_texts(batch=6, length=20, vocab=96, seed=1):
    """Tokens, mask and labels; some texts are padded on the left, some labels not asked for."""
    random = np.random.default_rng(seed)
    tokens = random.integers(3, vocab, (batch, length))
    mask = np.ones_like(tokens)
    for row in range(1, batch, 2):
        mask[row, : random.integers(1, length // 2)] = 0
    tokens[mask == 0] = 1
    labels = np.where((mask == 1) & (random.uniform(size=mask.shape) < 0.9), tokens, -100)
    return tokens, mask, labels


def make_prompts(batch=64, is_padded=False, vocab=96, seed=2):
    """Prompts and their mask."""
    random = np.random.default_rng(seed)
    tokens = random.integers(3, vocab, (batch, PROMPT))
    mask = np.ones_like(tokens)
    if is_padded:
        for row in range(batch):
            mask[row, : random.integers(0, PROMPT - 1)] = 0
    tokens[mask == 0] = 1
    return tokens, mask
