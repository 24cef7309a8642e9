"""The study of language models as its user types it."""

import dataclasses
import json

import numpy as np
import pytest

import collapse_jax as cj
from collapse_jax.cli import main
from collapse_jax.experiments.lm import LmExperiment


def test_a_micro_run_has_figures_corpora_and_a_page(tmp_path, capsys):
    import pyarrow.parquet as pq

    out = tmp_path / "run"
    command = ["run", "lm", "--preset", "micro", "--num-chains", "2", "--quiet"]
    assert main([*command, "--penalties", "2", "--out", str(out)]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == f"report: {out / 'report.html'}"
    records = cj.Records.load(out)
    assert list(records["study"]) == ["replace", "kept-0.1", "penalty-2"]
    assert records["test_perplexity"].shape == (3, 2, 3)
    assert np.isfinite(records["test_perplexity"]).all()
    assert (out / "report.html").read_text().count("data:image/png;base64,") == 4
    plain, penalised = (cj.Records.load(out / "parts" / name) for name in ("replace", "penalty-2"))
    np.testing.assert_array_equal(plain["corpus"][0], penalised["corpus"][0])
    assert np.any(plain["corpus"][1] != penalised["corpus"][1])
    for study in ("replace", "kept-0.1"):
        part = cj.Records.load(out / "parts" / study)
        for generation in range(3):
            file = out / "corpora" / study / f"generation-{generation:03d}-chain-00001.parquet"
            table = pq.read_table(file).to_pydict()
            tokens = np.array(table["tokens"])
            np.testing.assert_array_equal(tokens, part["corpus"][generation, 1])
            perplexities = part["corpus_perplexity"][generation, 1]
            np.testing.assert_array_equal(np.float32(table["perplexity"]), perplexities)
            assert all(isinstance(text, str) for text in table["text"])
    kept = cj.Records.load(out / "parts" / "kept-0.1")["corpus"]
    originals = {tuple(row) for row in kept[0, 0]}
    assert sum(tuple(row) in originals for row in kept[1, 0]) == round(0.1 * len(kept[1, 0]))
    page = (out / "corpora" / "continuations.html").read_text()
    assert page.count("<section>") == 12
    assert page.count("<dt>model 1") == 12


@pytest.fixture
def pretrained(tmp_path):
    """A folder of weights and tokenizer, as from the hub."""
    from collapse_jax import lm
    from collapse_jax.text import load_texts

    load_texts(vocab_size=300).tokenizer.save(tmp_path / "weights")
    config = lm.config_of_size(
        "llama", vocab_size=304, hidden_size=16, num_layers=2, num_heads=2, num_positions=32
    )
    lm.save(lm.create(config, key=0), tmp_path / "weights")
    return tmp_path / "weights"


SHORT = "--source pydoc --num-blocks 10 --num-test-blocks 6 --block-size 16 --batch-size 4".split()


@pytest.mark.thorough
def test_pretrained_weights_are_tuned_again_in_every_generation(tmp_path, pretrained):
    """Three studies; sampling; blocks scanned; adapters; corpora that grow."""
    out = tmp_path / "run"
    command = ["run", "lm", "--preset", "pretrained", "--model", str(pretrained), *SHORT]
    command += ["--num-generations", "2", "--num-chains", "1", "--do-sample", "--quiet"]
    command += ["--trainable", "lora", "--rank", "2"]
    assert main([*command, "--learning-rate", "0.01", "--out", str(out)]) == 0
    records = cj.Records.load(out)
    assert list(records["study"]) == ["replace", "kept-0.1", "accumulate"]
    assert len(set(records["zero_shot_perplexity"].ravel())) == 1
    assert np.isfinite(records["test_perplexity"]).all()
    counts = np.isfinite(records["corpus_perplexity"]).sum(axis=-1)[:, 0]
    np.testing.assert_array_equal(counts, [[10, 10, 10], [10, 10, 20], [10, 10, 30]])
    grown = cj.Records.load(out / "parts" / "accumulate")["corpus"][:, 0]
    np.testing.assert_array_equal(grown[2][:20], grown[1][:20])
    np.testing.assert_array_equal(grown[1][:10], grown[0][:10])
    page = (out / "report.html").read_text()
    assert "If corpora keep the original blocks and all text so far" in page


def edit(**values):
    def of(folder):
        file = folder / "config.json"
        file.write_text(json.dumps({**json.loads(file.read_text()), **values}))

    return of


def remove(*names):
    return lambda folder: [(folder / name).unlink() for name in names]


UNUSABLE = {
    "model_type='mamba' is not allowed: known types are ": edit(model_type="mamba"),
    "rope_type='yarn' is not allowed: it must be one of ": edit(
        rope_scaling={"rope_type": "yarn", "factor": 2.0}
    ),
    "LlamaConfig.hidden_act='mish' is not allowed: ": edit(hidden_act="mish"),
    "quantization_config=awq is not allowed: quantised weights": edit(
        quantization_config={"quant_method": "awq"}
    ),
    "there is no config.json in it; pass a folder that": remove("config.json"),
    "there is no model.safetensors or flax_model.msgpack; pass": remove("model.safetensors"),
    "is not allowed: there is no tokenizer.json in it; pass": remove(
        "tokenizer.json", "tokenizer_config.json"
    ),
}


@pytest.mark.parametrize("message", UNUSABLE)
def test_folders_that_cannot_be_used_are_refused_in_one_line(message, tmp_path, pretrained, capsys):
    UNUSABLE[message](pretrained)
    command = ["run", "lm", "--preset", "pretrained", "--model", str(pretrained), *SHORT]
    assert main([*command, "--num-generations", "0", "--out", str(tmp_path / "run")]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1, error
    assert message in error
    assert not (tmp_path / "run").exists()


def test_presets_are_where_options_start(tmp_path):
    assert LmExperiment.of_preset("paper").learning_rate == 2e-5
    assert LmExperiment.of_preset("runner").batch_size == 16
    keep = LmExperiment.of_preset("paper-keep10")
    assert (keep.num_epochs, float(keep.policy.gamma), keep.policy.original) == (10, 0.1, "data")
    assert LmExperiment.of_preset("paper-penalty").repetition_penalty == 2.0
    assert LmExperiment.of_preset("tiny") == LmExperiment()
    smoke = dataclasses.replace(LmExperiment.of_preset("micro"), penalties=(2.0,))
    assert LmExperiment.at_scale("smoke") == smoke


def test_the_scale_of_the_paper_has_its_three_studies():
    studies = LmExperiment.at_scale("paper")._variants()
    assert {name: one.num_epochs for name, one in studies.items()} == {
        "replace": 5,
        "kept-0.1": 10,
        "penalty-2": 5,
    }
    assert studies["penalty-2"].repetition_penalty == 2.0
    assert float(studies["kept-0.1"].policy.gamma) == 0.1


MICRO = ["run", "lm", "--preset", "micro", "--quiet"]
WRONG = {
    "no such model": (["--model", "nobody/nothing"], "--model='nobody/nothing' is not allowed"),
    "long blocks": (["--block-size", "100000"], "no block"),
    "no such text": (["--source", "nowhere"], "--source='nowhere'"),
    "no such preset": (["--preset", "huge"], "huge"),
    "shares beside another policy": (["policy:accumulate"], "--original-shares="),
    "former share": (["--kept", "0.1"], "--kept is not allowed: it is now --original-shares"),
    "former epochs": (["--kept-epochs=3"], "it is now --original-epochs"),
    "fresh weights of a model": (
        ["--start", "fresh", "--model", "x"],
        "--start='fresh' is not allowed: the weights of the model 'x' are pretrained, not random; "
        "pass --start pretrained or --start last, or --model random\n",
    ),
    "devices of another kind": (["--devices", "few"], "it must be None or an integer or all;"),
    "more beams than tokens": (["--num-beams", "301"], "--num-beams=301 is not allowed: a search "),
    "no memory for beams": (
        ["--num-beams", "300", "--generation-batch", "1000000"],
        "--num-beams=300 is not allowed: with --generation-batch 1000000 a search needs ",
    ),
    "no tokenizer of a random model": (
        ["--tokenizer", "model"],
        "--tokenizer='model' is not allowed: a random model has no tokenizer; pass bpe, or --model",
    ),
    "no model in the folder": (
        ["--tokenizer", "model", "--model", "tests/golden"],
        "there is no config.json in it",
    ),
    "no such projections": (
        ["--trainable", "lora", "--targets", "query"],
        "--targets='query' is not allowed: projections of this network are fc1, fc2, k_proj",
    ),
    "growing corpora beside another policy": (
        ["policy:accumulate", "--original-shares", "--accumulate"],
        "--accumulate=True is not allowed: the study accumulate is compared",
    ),
    "no such tokenizer": (["--tokenizer", "nobody/nothing"], "tokenizer"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_cannot_run_is_refused_in_one_line(case, tmp_path, capsys):
    options, expected = WRONG[case]
    assert main([*MICRO, *options, "--out", str(tmp_path / "run")]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1, error
    assert expected in error
    assert not (tmp_path / "run").exists()


def test_a_vocabulary_that_does_not_match_the_weights_is_refused(tmp_path, capsys):
    import jax

    from collapse_jax import lm

    config = lm.OPTConfig(50, 16, 1, 32, 64, 2)
    lm.save(lm.OPT(config, key=jax.random.key(0)), tmp_path / "weights")
    options = ["--model", str(tmp_path / "weights"), "--out", str(tmp_path / "run")]
    assert main([*MICRO, *options]) == 2
    assert "know 50 tokens" in capsys.readouterr().err


def test_the_config_names_everything_that_counts(tmp_path):
    out = tmp_path / "run"
    assert main([*MICRO, "--num-generations", "0", "--out", str(out), "--original-shares"]) == 0
    config = json.loads((out / "config.json").read_text())
    assert config["experiment"]["preset"] == "micro"
    family = config["chain"]["family"]
    assert family["model"]["hidden_size"] == 16
    assert family["training"]["learning_rate"] == 3e-3
    assert config["chain"]["source"]["train"]["sha256"]
