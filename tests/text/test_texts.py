"""Test texts: documents, the cutting of blocks, bad arguments, the cache."""

import itertools
import json
import pathlib
from pydoc_data.topics import topics

import numpy as np
import pytest

from collapse_jax.text import Tokenizer, load_texts
from collapse_jax.text.blocks import cut_blocks
from collapse_jax.text.documents import load_documents

SPLITS = ("train", "validation", "test")
TEXT = "The cat sat on the mat.\n\nA dog barked, the cat ran; naïve £5 ☕\n\tend\n" * 80


@pytest.fixture(autouse=True)
def cache(monkeypatch, tmp_path_factory):
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("COLLAPSE_JAX_CACHE", str(folder))
    return folder / "texts"


def write(folder, **texts):
    folder.mkdir(exist_ok=True)
    for name, text in texts.items():
        (folder / f"{name}.txt").write_bytes(text.encode() if isinstance(text, str) else text)
    return str(folder)


def named(folder, text=TEXT, **changes):
    return write(folder, **{"train": text, "valid": text, "test": text, **changes})


def test_every_line_of_pydoc_is_in_one_split_topic_by_topic():
    documents = load_documents("pydoc")

    def lines(*chosen):
        text = "".join(topics[name] for index, name in enumerate(sorted(topics)) if index in chosen)
        return [line for line in text.split("\n") if line.strip()]

    test = {"validation": range(8, len(topics), 10), "test": range(9, len(topics), 10)}
    others = set(range(len(topics))).difference(*test.values())
    for split, chosen in (test | {"train": others}).items():
        found = getattr(documents, split)
        assert [line.rstrip("\n") for line in found if line] == lines(*chosen)
        assert "" in found


def test_files_named_after_splits(tmp_path):
    text = b"\xef\xbb\xbf one\r\n \n\n\x0ctwo\xe2\x80\xa8three\nlast"
    folder = write(tmp_path / "a", train_part=text, Dev="d\n", test="t\n", testament="no", b="no")
    documents = load_documents(folder)
    assert documents.train == [" one\n", "", "", "\x0ctwo\u2028three\n", "last"]
    assert (documents.validation, documents.test) == (["d\n"], ["t\n"])
    folder = write(tmp_path / "b", train2="2", train1="1\n", validation="v", val="w\n", test="t")
    documents = load_documents(folder)
    assert (documents.train, documents.validation) == (["1\n", "2"], ["w\n", "v"])


@pytest.mark.parametrize(
    ("number", "validation", "test"),
    [(3, [1], [2]), (9, [7], [8]), (10, [8], [9]), (25, [8, 18], [9, 19])],
)
def test_documents_are_split(number, validation, test, tmp_path):
    texts = {f"text{index:02}": f"{index}\n" for index in reversed(range(number))}
    documents = load_documents(write(tmp_path / "a", **texts))
    train = [index for index in range(number) if index not in validation + test]
    for split, indices in zip(SPLITS, (train, validation, test), strict=True):
        assert getattr(documents, split) == [f"{index}\n" for index in indices]


def test_wikitext_is_the_hubs(monkeypatch):
    import datasets

    def load(*arguments):
        assert arguments == ("Salesforce/wikitext", "wikitext-2-raw-v1")
        rows = {split: ["", f" = {split} = \n", "  "] for split in ("test", "train", "validation")}
        return datasets.DatasetDict(
            {split: datasets.Dataset.from_dict({"text": text}) for split, text in rows.items()}
        )

    monkeypatch.setattr(datasets, "load_dataset", load)
    for split, lines in load_documents("wikitext2")._asdict().items():
        assert lines == ["", f" = {split} = \n", ""]

    def fail(*_):
        raise ConnectionError("offline mode is enabled\nhelp")

    monkeypatch.setattr(datasets, "load_dataset", fail)
    with pytest.raises(ValueError, match=r"texts='wikitext2' .*offline mode.*pass pydoc") as error:
        load_documents("wikitext2")
    assert "\n" not in str(error.value)


def random_lines(number, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.integers(0, 1000, rng.integers(1, 9)).tolist() for _ in range(number)]


def grouped_by_datasets(lines, block_size, num_shards=4):
    """Return the blocks of `Dataset.map(group_texts, batched=True, num_proc=num_shards)`."""
    import datasets

    def group_texts(examples):
        joined = list(itertools.chain(*examples["input_ids"]))
        total = len(joined) // block_size * block_size
        return {"input_ids": [joined[i : i + block_size] for i in range(0, total, block_size)]}

    whole = datasets.Dataset.from_dict({"input_ids": lines})
    shards = min(num_shards, len(whole))
    parts = [
        whole.shard(num_shards=shards, index=index, contiguous=True).map(group_texts, batched=True)
        for index in range(shards)
    ]
    return datasets.concatenate_datasets(parts)["input_ids"][:]


@pytest.mark.parametrize(("number", "block_size"), [(13_003, 64), (4001, 7), (702, 64), (3, 2)])
def test_blocks_are_those_of_datasets(number, block_size):
    lines = random_lines(number)
    found = cut_blocks(lines, block_size)
    assert found.dtype == np.int32
    np.testing.assert_array_equal(found, grouped_by_datasets(lines, block_size))


def test_a_remainder_is_dropped_once_or_from_every_batch():
    lines = random_lines(13_003)
    tokens, once = list(itertools.chain(*lines)), cut_blocks(lines, 64, "end")
    number = len(tokens) // 64
    np.testing.assert_array_equal(once.ravel(), tokens[: number * 64])
    assert number - 16 <= len(cut_blocks(lines, 64)) < number
    np.testing.assert_array_equal(cut_blocks(lines, 64, batch_lines=20_000, num_shards=1), once)
    assert cut_blocks(random_lines(5), 64).shape == (0, 64)
    assert cut_blocks([], 64).shape == (0, 64)


def test_texts_are_there_without_a_network():
    texts = load_texts()
    text = "".join(f"</s>{line}" for line in load_documents("pydoc").train)
    assert texts.tokenizer.decode(texts.train[:20].ravel()) in text[:10_000]
    for split in SPLITS:
        blocks = getattr(texts, split)
        assert blocks.dtype == np.int32
        assert blocks.shape[1] == 64
        assert 0 <= blocks.min() <= blocks.max() < texts.tokenizer.vocab_size == 1024
    assert len(texts.train) > 4 * len(texts.validation)
    few = load_texts(num_blocks=40, num_test_blocks=7)
    assert few.fingerprint == texts.fingerprint
    for split in SPLITS:
        end = 40 if split == "train" else 7
        np.testing.assert_array_equal(getattr(few, split), getattr(texts, split)[:end])


def not_utf8(folder):
    write(folder, train="a", valid="b", test=b"caf\xe9")
    return str(folder)


def python_tokenizer(folder):
    from transformers import ByT5Tokenizer

    ByT5Tokenizer().save_pretrained(folder)
    return str(folder)


def remote_tokenizer(folder):
    folder.mkdir()
    (folder / "own.py").write_text("raise SystemExit('ran')\n")
    config = {"auto_map": {"AutoTokenizer": ["own.Own", None]}, "tokenizer_class": "Own"}
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    return str(folder)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda folder: load_texts("novel"), "texts='novel' .*pydoc, wikitext2 or a folder"),
        (lambda folder: load_texts("x" * 5000), "a folder of text files; pass pydoc"),
        (lambda folder: load_texts(write(folder, a="a", b="b")), "2 text files .*at least 3"),
        (lambda folder: load_texts(write(folder, train="a", b="b")), "validation and test; name"),
        (lambda folder: load_texts(named(folder, valid=" \n\n")), "empty split.* for validation;"),
        (
            lambda folder: load_texts(not_utf8(folder)),
            r"test.txt: not UTF-8 \(byte 0xe9 at offset 3\);",
        ),
        (lambda folder: load_texts(block_size=1), "block_size=1 "),
        (lambda folder: load_texts(block_size=64.0), "block_size=64.0 "),
        (lambda folder: load_texts(vocab_size=259), "vocab_size=259 .*260"),
        (lambda folder: load_texts(num_blocks=0), "num_blocks=0 "),
        (lambda folder: load_texts(num_test_blocks=0), "num_test_blocks=0 "),
        (lambda folder: load_texts(remainder="drop"), "remainder='drop' .*'batch', 'end'"),
        (lambda folder: load_texts(revision="main"), "revision='main' .*leave it out"),
        (
            lambda folder: load_texts(block_size=5000),
            "block_size=5000 .*empty split.* for test fills",
        ),
        (lambda folder: load_texts(tokenizer="no/such"), "tokenizer='no/such' .*or bpe"),
        (lambda folder: load_texts(tokenizer=python_tokenizer(folder)), "written in Python"),
        (lambda folder: load_texts(tokenizer=remote_tokenizer(folder)), "it cannot be loaded"),
    ],
)
def test_bad_texts_are_refused(make, message, tmp_path):
    with pytest.raises(ValueError, match=message) as error:
        make(tmp_path / "a")
    assert "\n" not in str(error.value)


def small(folder, block_size=8, vocab_size=280, **options):
    return load_texts(folder, block_size=block_size, vocab_size=vocab_size, **options)


def assert_same(found, expected):
    assert found.fingerprint == expected.fingerprint
    for split in SPLITS:
        np.testing.assert_array_equal(getattr(found, split), getattr(expected, split))


def forbid_tokenizing(monkeypatch):
    def fail(*_):
        raise AssertionError("tokenized again")

    monkeypatch.setattr(Tokenizer, "encode_lines", fail)


def test_a_text_is_tokenized_once(monkeypatch, tmp_path, cache):
    expected = small(named(tmp_path / "a"))
    assert [file.name for file in cache.iterdir()] == [f"{expected.fingerprint}.npz"]
    forbid_tokenizing(monkeypatch)
    assert_same(small(named(tmp_path / "a")), expected)
    assert_same(small(named(tmp_path / "b")), expected)
    with pytest.raises(AssertionError, match="again"):
        small(named(tmp_path / "a"), block_size=9)


def test_whatever_blocks_depend_on_is_in_their_fingerprint(tmp_path):
    folder = named(tmp_path / "a")
    small(folder, vocab_size=270).tokenizer.save(tmp_path / "saved")
    found = [
        small(folder),
        small(folder, block_size=9),
        small(folder, remainder="end"),
        small(folder, vocab_size=281),
        small(folder, tokenizer=str(tmp_path / "saved")),
        small(named(tmp_path / "b", test=TEXT + "!")),
        small(named(tmp_path / "c", text=TEXT.replace("mat", "tam"))),
        small(named(tmp_path / "d", valid=TEXT[1:])),
    ]
    assert len({texts.fingerprint for texts in found}) == len(found)


def flip_a_shape(file):
    """Reduce the rows in the header of an array, which NumPy reads without an error."""
    content = file.read_bytes()
    start = content.index(b"'shape': (") + len(b"'shape': (")
    file.write_bytes(content[:start] + b"1" + content[start + 1 :])
    with np.load(file) as archive:
        assert 100 <= len(archive["train"]) < len(archive["test"])


@pytest.mark.parametrize(
    "damage",
    [
        flip_a_shape,
        lambda file: file.write_bytes(b""),
        lambda file: file.write_bytes(file.read_bytes()[:-100]),
        lambda file: file.write_bytes(b"no archive"),
        lambda file: np.save(file.with_suffix(".npy"), 3) or file.with_suffix(".npy").rename(file),
    ],
)
def test_a_damaged_file_is_made_again(damage, tmp_path, cache, monkeypatch):
    expected = small(named(tmp_path / "a"))
    (file,) = cache.iterdir()
    damage(file)
    assert_same(small(named(tmp_path / "a")), expected)
    forbid_tokenizing(monkeypatch)
    assert_same(small(named(tmp_path / "a")), expected)


def test_it_works_without_a_cache(monkeypatch, tmp_path, cache):
    expected = small(named(tmp_path / "a"))
    (file,) = cache.iterdir()
    monkeypatch.setenv("COLLAPSE_JAX_CACHE", str(file))
    assert_same(small(named(tmp_path / "a")), expected)

    def fail(*_):
        raise OSError("disk full")

    monkeypatch.setenv("COLLAPSE_JAX_CACHE", str(tmp_path / "full"))
    monkeypatch.setattr(pathlib.Path, "replace", fail)
    assert_same(small(named(tmp_path / "a")), expected)
    assert list((tmp_path / "full" / "texts").iterdir()) == []


def test_where_the_cache_is(monkeypatch, tmp_path):
    monkeypatch.delenv("COLLAPSE_JAX_CACHE")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for base, folder in (("", tmp_path / "home/.cache"), (tmp_path / "xdg", tmp_path / "xdg")):
        monkeypatch.setenv("XDG_CACHE_HOME", str(base))
        texts = small(named(tmp_path / "a"))
        (file,) = (folder / "collapse_jax" / "texts").iterdir()
        assert file.stem == texts.fingerprint
