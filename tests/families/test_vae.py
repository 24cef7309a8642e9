"""VAE chains: every policy, the same bits however they are run, refusals, the study."""

import json

import jax
import numpy as np
import pytest

import collapse_jax as cj
from collapse_jax.cli import main
from collapse_jax.engine.request import Request
from collapse_jax.engine.run_spec import make_run_spec
from collapse_jax.families.vae.classifier import Classifier
from collapse_jax.random.keys import chain_key

SOURCE = cj.Images.load("digits", 8, 300)
SMALL = {
    "latent_dim": 3,
    "width": 4,
    "image_size": 8,
    "epochs": 3,
    "batch_size": 64,
    "num_evaluated": 200,
}


def make_chain(policy=None, **settings):
    return cj.Chain(cj.VAE(**SMALL, **settings), SOURCE, policy or cj.Replace())


@pytest.mark.thorough
def test_a_chain_is_the_same_alone_resumed_and_from_a_store(tmp_path):
    chain = make_chain()
    whole = cj.simulate(chain, key=0, num_chains=2, num_generations=3, metrics=("images",))
    assert np.all(whole["status"] == 0)
    compiled = []
    jax.monitoring.register_event_duration_secs_listener(
        lambda name, *_, **__: compiled.append(name) if "backend_compile" in name else None
    )
    alone = cj.simulate(
        chain, key=0, num_chains=1, first_chain=1, num_generations=3, metrics=("images",)
    )
    assert not compiled
    part = cj.simulate(chain, key=0, num_chains=2, num_generations=1, metrics=("images",))
    rest = cj.simulate(
        chain, key=0, num_chains=2, num_generations=3, metrics=("images",), state=part.state
    )
    stored = tmp_path / "run"
    settings = {"key": 0, "num_chains": 2, "metrics": ("images",)}
    cj.simulate(chain, num_generations=1, store=stored, **settings)
    cj.simulate(chain, num_generations=3, store=cj.Store(stored, extend=True), **settings)
    again = cj.Records.load(stored)
    for name in whole.variables:
        if whole.variables[name].dims[:1] != ("generation",):
            continue
        np.testing.assert_array_equal(alone[name][:, 0], whole[name][:, 1], name)
        np.testing.assert_array_equal(rest[name], whole[name][2:], name)
        np.testing.assert_array_equal(again[name], whole[name], name)
    assert not np.array_equal(whole["loss"][:, 0], whole["loss"][:, 1])
    assert not np.array_equal(whole["images"][1], whole["images"][2])
    np.testing.assert_allclose(whole["latent_histogram"].sum(axis=-1), 1, rtol=1e-5)
    assert np.all((whole["images"] >= 0) & (whole["images"] <= 1))


def test_chains_run_one_at_a_time_on_cpu():
    """Two at once would be wrong, see docs/design.md."""
    spec = make_run_spec(Request(make_chain(), key=0, num_chains=3, num_generations=1))
    assert len(spec.workers) == 1
    assert spec.width == 1


@pytest.mark.parametrize(
    ("policy", "corpus"),
    [
        (cj.Mixing(gamma=0.3), "stream"),
        pytest.param(
            cj.Mixing(gamma=0.3, original="data", allocation="fixed"),
            "stream",
            marks=pytest.mark.slow,
        ),
        pytest.param(cj.Fresh(150, num_original=100), "stream", marks=pytest.mark.slow),
        pytest.param(cj.Accumulate(), "samples", marks=pytest.mark.slow),
        pytest.param(cj.Replace(100), "samples", marks=pytest.mark.slow),
        pytest.param(cj.Replace([100, 200, 70]), "stream", marks=pytest.mark.slow),
    ],
)
def test_policies(policy, corpus):
    chain = make_chain(policy, corpus=corpus)
    records = cj.simulate(chain, key=1, num_chains=1, num_generations=2)
    assert np.all(records["status"] == 0)
    for name in ("loss", "elbo", "latent_std", "recall"):
        assert np.all(np.isfinite(records[name])), name
    assert len(np.unique(records["loss"])) == 3


@pytest.mark.thorough
def test_drawn_images_do_not_depend_on_the_capacity():
    family = cj.VAE(**SMALL, corpus="samples")
    keys = cj.Keys(chain_key(jax.random.key(0), 0), np.int32(1))
    params = jax.jit(lambda: family.fit(keys, SOURCE.draw(keys, 50, 50), None, None).params)()
    short, long = (family.draw(keys, params, 10, capacity, None) for capacity in (20, 300))
    np.testing.assert_array_equal(short.rows[:20], long.rows[:20])
    assert int(long.size) == 10


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: cj.VAE(image_size=30), r"VAE.image_size=30 .* multiple of 4"),
        (lambda: cj.VAE(epochs=0), "VAE.epochs=0"),
        (lambda: cj.VAE(latent_dim=2.5), "VAE.latent_dim=2.5"),
        (lambda: cj.VAE(optimizer="lion"), "VAE.optimizer='lion'"),
        (lambda: cj.VAE(corpus="rows"), "VAE.corpus='rows'"),
        (lambda: cj.VAE(dtype="float16"), "VAE.dtype='float16'"),
        (lambda: cj.VAE(learning_rate=0.0), "VAE.learning_rate=0.0"),
        (lambda: cj.VAE(num_evaluated=10), "VAE.num_evaluated=10"),
        (lambda: cj.Chain(cj.VAE(), cj.Normal(0.0, 1.0), cj.Replace(5)), "use cj.Images"),
        (lambda: cj.Chain(cj.VAE(), SOURCE, cj.Replace()), "images have side 8"),
        (
            lambda: cj.Chain(
                cj.VAE(image_size=8),
                cj.Images(np.ones((9, 64)), test=np.ones((1, 64))),
                cj.Replace(),
            ),
            r"len\(Images.test\)=1 .*two test images",
        ),
        (
            lambda: Classifier.train(np.ones((24, 4)), np.arange(24) // 23),
            "labels=classes of 23, 1 images .*each must have 2 .*all together 11",
        ),
        (
            lambda: Classifier.train(np.ones((20, 4)), np.arange(20) % 3),
            "labels=classes of 7, 7, 6 images .*all together 21",
        ),
        (lambda: make_chain(cj.Accumulate()), r"Accumulate needs .*corpus='samples'"),
        (lambda: make_chain(cj.Mixing(beta=0.5)), r"Mixing needs .*corpus='samples'"),
        (lambda: make_chain(cj.Replace(verifier=lambda rows: rows[:, 0] < 1)), "corpus='samples'"),
    ],
)
def test_bad_settings_are_refused(make, message):
    with pytest.raises(ValueError, match=message) as error:
        make()
    assert "\n" not in str(error.value)


def test_the_study_from_the_command_line(tmp_path, capsys):
    np.savez(tmp_path / "x.npz", x=SOURCE.images, y=SOURCE.labels)
    command = ["reproduce", "--only", "vae", "--scale", "smoke", "--quiet"]
    command += ["--images", str(tmp_path / "x.npz"), "--out", str(tmp_path / "out")]
    assert main(command) == 0
    run = tmp_path / "out" / "vae"
    assert "std of latents" in (run / "report.html").read_text()
    figures = json.loads((run / "figures" / "captions.json").read_text())
    assert list(figures) == ["samples", "density", "latents", "quality", "classes"]
    records = cj.Records.load(run)
    assert records["images"].shape == (3, 1, 64, 8, 8)
    assert main(["run", "vae", "--source", "nowhere.npz", "--out", str(tmp_path / "no")]) == 2
    assert "nowhere.npz" in capsys.readouterr().err
