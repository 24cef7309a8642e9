"""Tokenizers, and blocks of tokens as a source."""

import json
from pydoc_data.topics import topics

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import collapse_jax as cj
from collapse_jax.random.keys import chain_key
from collapse_jax.results.provenance import describe
from collapse_jax.text import load_texts
from collapse_jax.text.tokenizer import load_tokenizer

LINES = ["The cat sat on the mat.\n", "", "A dog barked, the cat ran; naïve £5 ☕\n", "\tend"] * 30
SPLITS = ("train", "validation", "test")


@pytest.fixture(scope="module")
def bpe():
    return load_tokenizer("bpe", LINES, 290, None)


def test_bpe_has_the_special_tokens_of_opt(bpe):
    names = ("<s>", "<pad>", "</s>", "<unk>")
    assert [bpe.backend.token_to_id(name) for name in names] == [0, 1, 2, 3]
    assert bpe.vocab_size == 290
    tokens = bpe.encode_lines(LINES[:4])
    assert tokens[1] == [2]
    for line, ids in zip(LINES, tokens, strict=False):
        assert ids[0] == 2
        assert bpe.decode(ids) == f"</s>{line}"
        assert bpe.decode(np.asarray(ids[1:])) == line
    unseen = "\x00 Ωmega 語\n"
    assert bpe.decode(bpe.encode_lines([unseen])[0][1:]) == unseen


def test_bpe_merges_the_most_frequent_pairs_of_the_training_lines():
    merged = load_tokenizer("bpe", ["zq zq zq xy xy z\n"], 262, None).backend
    assert [merged.id_to_token(token) for token in (260, 261)] == ["zq", "xy"]
    few = load_tokenizer("bpe", ["zq\n"], 1000, None)
    assert few.vocab_size == 261


def test_bpe_is_deterministic():
    lines = [f"{word} {word[::-1]}\n" for word in " ".join(topics.values()).split()[:8000]]
    first, second = (load_tokenizer("bpe", lines, 2000, None) for _ in range(2))
    assert first.serialized == second.serialized


def test_a_saved_bpe_is_one_of_transformers(bpe, tmp_path):
    from transformers import AutoTokenizer, PreTrainedTokenizerFast

    bpe.save(tmp_path / "new" / "folder")
    expected = bpe.encode_lines(LINES)
    for kind in (AutoTokenizer, PreTrainedTokenizerFast):
        found = kind.from_pretrained(tmp_path / "new" / "folder")
        assert found(LINES)["input_ids"] == expected
        assert (found.bos_token_id, found.pad_token_id, found.eos_token_id) == (2, 1, 2)
        assert found.decode(expected[2]) == bpe.decode(expected[2])
    again = load_tokenizer(str(tmp_path / "new" / "folder"), (), 0, None)
    assert again.encode_lines(LINES) == expected
    assert again.vocab_size == bpe.vocab_size


def opt_like(bpe, folder):
    """A folder with the files of facebook/opt-125m, with fewer tokens."""
    folder.mkdir()
    model = json.loads(bpe.serialized)["model"]
    merges = "\n".join(" ".join(pair) for pair in model["merges"])
    (folder / "vocab.json").write_text(json.dumps(model["vocab"]))
    (folder / "merges.txt").write_text(f"#version: 0.2\n{merges}\n")
    names = {"unk_token": "</s>", "bos_token": "</s>", "eos_token": "</s>", "pad_token": "<pad>"}
    config = {"add_bos_token": True, "errors": "replace", "tokenizer_class": "GPT2Tokenizer"}
    (folder / "tokenizer_config.json").write_text(json.dumps(names | config))
    (folder / "config.json").write_text(json.dumps({"model_type": "opt"}))
    return str(folder)


def test_opts_tokenizer_puts_its_token_first(bpe, tmp_path):
    found = load_tokenizer(opt_like(bpe, tmp_path / "opt"), (), 0, None)
    expected = bpe.encode_lines(LINES)
    assert found.encode_lines(LINES) == expected
    found.save(tmp_path / "again")
    again = load_tokenizer(str(tmp_path / "again"), (), 0, None)
    assert again.encode_lines(LINES) == expected


def test_long_lines_are_never_truncated(bpe, tmp_path):
    bpe.save(tmp_path)
    saved = json.loads((tmp_path / "tokenizer.json").read_text())
    saved["truncation"] = {
        "direction": "Right",
        "max_length": 8,
        "strategy": "LongestFirst",
        "stride": 0,
    }
    (tmp_path / "tokenizer.json").write_text(json.dumps(saved))
    line = "cat " * 50
    found = load_tokenizer(str(tmp_path), (), 0, None).encode_lines([line, ""])
    assert found == bpe.encode_lines([line, ""])


def keys_of(seed=0):
    return cj.Keys(chain_key(jax.random.key(seed), 0), jnp.int32(0))


def blocks_of(number=30, length=8, seed=0, vocab_size=50):
    return np.random.default_rng(seed).integers(0, vocab_size, (number, length))


def source_of(train=None, **changes):
    blocks = {"validation": blocks_of(5, seed=1), "test": blocks_of(6, seed=2), "vocab_size": 50}
    return cj.TokenBlocks(blocks_of() if train is None else train, **(blocks | changes))


def test_a_source_is_made_of_texts(tmp_path, monkeypatch):
    monkeypatch.setenv("COLLAPSE_JAX_CACHE", str(tmp_path))
    options = {"vocab_size": 280, "block_size": 16, "num_blocks": 20}
    texts = load_texts("pydoc", **options)
    source = cj.TokenBlocks.of(texts)
    for split in SPLITS:
        np.testing.assert_array_equal(getattr(source, split), getattr(texts, split))
    assert (source.num_rows, source.block_size) == (20, 16)
    assert source.vocab_size == 280
    assert cj.TokenBlocks.load("pydoc", **options) == source


def test_a_source_holds_blocks_that_do_not_change():
    blocks = blocks_of()
    source = source_of(blocks)
    blocks[:] = 0
    np.testing.assert_array_equal(source.train, blocks_of())
    assert source.train.dtype == np.int32
    with pytest.raises(ValueError, match="read-only"):
        source.test[0, 0] = 1
    assert source == source_of()
    assert hash(source) == hash(source_of(jnp.asarray(blocks_of())))
    others = (source_of(blocks_of(seed=3)), source_of(vocab_size=51), source.independent)
    others += (source_of(test=blocks_of(6, seed=3)),)
    assert all(other != source for other in others)


def test_a_description_holds_fingerprints():
    described = describe(source_of())
    assert described["type"] == "TokenBlocks"
    assert described["vocab_size"] == 50
    assert described["train"].keys() == {"shape", "dtype", "sha256"}
    assert len(json.dumps(described)) < 1000
    assert describe(source_of(blocks_of(seed=3)))["train"] != described["train"]


def test_draws_are_subsets_the_data_or_with_replacement():
    source = source_of()
    rows = {row.tobytes(): place for place, row in enumerate(source.train)}
    compiled = jax.jit(cj.TokenBlocks.draw, static_argnums=(2, 3))

    def places(samples, size):
        assert samples.rows.dtype == jnp.int32
        assert isinstance(samples, cj.Labels)
        assert int(samples.size) == size
        return [rows[np.asarray(row).tobytes()] for row in samples.rows[:size]]

    assert places(source.draw(keys_of(), 30, 30), 30) == list(range(30))
    assert places(source.draw(keys_of(), 30, 34), 30) == list(range(30))
    subset = places(compiled(source, keys_of(), 12, 20), 12)
    assert len(set(subset)) == 12
    assert places(compiled(source, keys_of(1), 12, 20), 12) != subset
    assert len(set(places(compiled(source.independent, keys_of(), 30, 30), 30))) < 30
    assert len(set(places(compiled(source, keys_of(), 50, 50), 50))) > 15


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: source_of(blocks_of()[0]), "TokenBlocks.train=.*must be 2-D"),
        (lambda: source_of(test=blocks_of()[:0]), "TokenBlocks.test=.*not empty"),
        (lambda: source_of([[1, 2], [3]]), "TokenBlocks.train=.*array of numbers"),
        (lambda: source_of(blocks_of().astype(float)), "float64.*blocks are integers"),
        (lambda: source_of(blocks_of(length=1)), r"shape \(30, 1\).*two or more"),
        (lambda: source_of(validation=blocks_of(5, 7)), "validation=blocks of 7 .*blocks of 8"),
        (lambda: source_of(blocks_of() - 1), r"TokenBlocks.train=-1 .*\[0, 50\)"),
        (lambda: source_of(blocks_of() + 1), r"TokenBlocks.train=50 .*\[0, 50\)"),
        (lambda: source_of(vocab_size=0), "TokenBlocks.vocab_size=0"),
        (lambda: source_of(vocab_size=50.0), "TokenBlocks.vocab_size=50.0"),
    ],
)
def test_bad_blocks_are_refused(make, message):
    with pytest.raises(ValueError, match=message) as error:
        make()
    assert "\n" not in str(error.value)
