"""Every kind of chain and of language model is compiled for TPU and GPU by their own compilers.

Golden numbers name most chains; `more_cases.py` has the others. None may pad to more than twice
what was asked, or take more memory than the device has.
"""

import importlib.util
from pathlib import Path

import jax
import pytest

import collapse_jax as cj
from collapse_jax import lm

HERE = Path(__file__).parent


def _module(path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# One of each kind of program; the others take minutes.
_SHORT = {
    "gaussian | mixing",
    "gaussian reduced | replace",
    "gaussian 3-D moments | accumulate",
    "discrete law | replace",
    "poisson | replace",
}
_GOLDEN = _module(HERE.parent / "golden" / "cases.py").cases()
_CASES = {
    name: (make, more)
    for name, make, more in (*_GOLDEN, *_module(HERE / "more_cases.py").more_cases())
    if not name.startswith("language model")  # their programs are compiled below
}
_NETWORKS = {
    kind: lm.config_of_size(
        kind, vocab_size=512, hidden_size=128, num_layers=2, num_heads=2, num_positions=64
    )
    for kind in ("opt", "gpt2", "llama")
}
_STEPS = {
    "train": {"training": lm.Training(dtype="bfloat16", clip_norm=1.0)},
    "train scanned": {"scan_layers": True, "remat": True},
    "score": {},
    "generate": {"decoding": lm.Decoding(16, num_beams=5, min_new_tokens=16)},
    "generate, drawn": {"decoding": lm.Decoding(16, do_sample=True, top_k=50, top_p=0.9)},
}


def _topologies():
    yield "v5e:2x2"
    for name in ("v5p:2x2x2", "v6e:2x2", "h100", "a100"):
        yield pytest.param(name, marks=pytest.mark.slow)


def _names(cases, short):
    for name in cases:
        yield pytest.param(name, marks=[] if name in short else pytest.mark.slow)


@pytest.mark.accelerator
@pytest.mark.parametrize("name", list(_names(_CASES, _SHORT)))
@pytest.mark.parametrize("topology", list(_topologies()))
def test_chains_compile_and_fit(topology, name):
    make, more = _CASES[name]
    # Some cases have numbers of their own.
    report = cj.compile_for(make(), topology, **more | {"num_chains": 512, "num_generations": 6})
    assert report.fits
    assert report.seconds < 120
    assert report.batch * report.num_devices <= 1024, "at most half of a batch is padding"


@pytest.mark.accelerator
@pytest.mark.parametrize("step", list(_names(_STEPS, {"train"})))
@pytest.mark.parametrize("kind", list(_names(_NETWORKS, {"opt"})))
@pytest.mark.parametrize("topology", list(_topologies()))
def test_language_models_compile_and_fit(topology, kind, step):
    settings = {"step": step.split(",")[0].split()[0], "batch": 8, "length": 16}
    report = lm.compile_for(_NETWORKS[kind], topology, **settings, **_STEPS[step])
    assert report.fits
    assert report.seconds < 120
    assert report.flops > 0


@pytest.mark.accelerator
@pytest.mark.slow
@pytest.mark.parametrize("name", ["gaussian | mixing", "discrete | replace", "mixture | replace"])
@pytest.mark.parametrize("topology", ["v5e:2x2", "h100"])
def test_float64_is_compiled_or_refused_in_one_line(topology, name):
    """A TPU computes float64 in software."""
    make, more = _CASES[name]
    settings = more | {"num_chains": 512, "num_generations": 6}
    refusal = ""
    with jax.enable_x64(True):
        try:
            fits = cj.compile_for(make(), topology, **settings).fits
        except cj.ArgumentError as error:
            fits, refusal = False, str(error)
    assert fits or "set jax_enable_x64=False" in refusal
    assert "\n" not in refusal
