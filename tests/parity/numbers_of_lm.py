"""Small networks of every architecture but OPT that parity is tested on, with their prompts."""

import json
from pathlib import Path

import jax
import numpy as np
from flax import nnx
from safetensors.numpy import save_file

from collapse_jax import lm
from collapse_jax.lm.causal_lm import as_config
from collapse_jax.lm.weights import parameters

_TOKENS = {"bos_token_id": 2, "eos_token_id": 55, "pad_token_id": 1}
_SMALL = {
    "vocab_size": 96,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "max_position_embeddings": 64,
    **_TOKENS,
}
_LLAMA, _MISTRAL, _QWEN2, _QWEN3 = (
    {"model_type": name, **_SMALL} for name in ("llama", "mistral", "qwen2", "qwen3")
)
_GPT2 = {
    "model_type": "gpt2",
    "vocab_size": 96,
    "n_positions": 64,
    "n_embd": 32,
    "n_layer": 3,
    "n_head": 4,
    **_TOKENS,
}
_LLAMA3 = {
    "rope_type": "llama3",
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 16,
}
CONFIGS = {
    "llama, all heads": {**_LLAMA, "tie_word_embeddings": False},
    "llama, two key heads, llama3": {
        **_LLAMA,
        "num_key_value_heads": 2,
        "tie_word_embeddings": True,
        "rope_theta": 500.0,
        "rope_scaling": _LLAMA3,
    },
    "llama, one key head, biases": {
        **_LLAMA,
        "num_key_value_heads": 1,
        "head_dim": 16,
        "attention_bias": True,
        "mlp_bias": True,
        "rope_parameters": {"rope_type": "linear", "rope_theta": 1000.0, "factor": 2.0},
    },
    "mistral, window": {**_MISTRAL, "num_key_value_heads": 2, "sliding_window": 5},
    "mistral, short window, tied": {
        **_MISTRAL,
        "num_key_value_heads": 1,
        "head_dim": 12,
        "sliding_window": 2,
        "tie_word_embeddings": True,
    },
    "mistral, no window": {**_MISTRAL, "num_key_value_heads": 4, "sliding_window": None},
    "qwen2": {**_QWEN2, "num_key_value_heads": 2},
    "qwen2, tied, one key head": {
        **_QWEN2,
        "num_key_value_heads": 1,
        "tie_word_embeddings": True,
        "rope_theta": 1e6,
    },
    "qwen2, windows": {
        **_QWEN2,
        "num_key_value_heads": 4,
        "use_sliding_window": True,
        "sliding_window": 4,
        "max_window_layers": 1,
    },
    "qwen3": {**_QWEN3, "num_key_value_heads": 2, "head_dim": 16},
    "qwen3, tied, biases": {
        **_QWEN3,
        "num_key_value_heads": 1,
        "head_dim": 8,
        "tie_word_embeddings": True,
        "attention_bias": True,
    },
    "qwen3, windows": {
        **_QWEN3,
        "num_key_value_heads": 4,
        "head_dim": 8,
        "use_sliding_window": True,
        "sliding_window": 3,
        "layer_types": ["sliding_attention", "full_attention", "sliding_attention"],
    },
    "gpt2": _GPT2,
    "gpt2, inverse layers": {
        **_GPT2,
        "n_inner": 40,
        "scale_attn_by_inverse_layer_idx": True,
        "layer_norm_epsilon": 1e-3,
    },
    "gpt2, gelu, untied": {
        **_GPT2,
        "activation_function": "gelu",
        "scale_attn_weights": False,
        "tie_word_embeddings": False,
    },
}
GOLDEN = Path(__file__).with_name("golden_lm.json")
SETTINGS = {
    "greedy": {"num_beams": 1},
    "beams": {"num_beams": 5, "repetition_penalty": 2.0, "min_new_tokens": 12},
}


def write_model(folder, config, seed=0, scale=0.25):
    """config.json and model.safetensors with random numbers, under transformers' names.

    Weights are drawn in the order of their names; transformers refuses other names and shapes.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config))
    made = nnx.eval_shape(lambda: lm.create(as_config(config), key=jax.random.key(0)))
    random, arrays = np.random.default_rng(seed), {}
    for name, param in sorted(parameters(made).items()):
        is_scale = name.endswith("weight") and len(param.shape) == 1
        drawn = random.standard_normal(param.shape, dtype=np.float32)
        arrays[name] = (float(is_scale) + scale * drawn).astype(np.float32)
    save_file(arrays, folder / "model.safetensors", metadata={"format": "pt"})
    return folder
