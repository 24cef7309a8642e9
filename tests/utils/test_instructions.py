"""Instruction sets: what a run uses, how a process is limited, and runs of other CPUs."""

import os
import re
import subprocess
import sys

import pytest

import collapse_jax as cj
from collapse_jax.cli import main
from collapse_jax.utils import instructions

AVX2 = ["sse4_2", "avx", "f16c", "fma", "avx2"]
AVX512 = [*AVX2, "avx512f", "avx512dq", "avx512bw", "avx512vl"]
LATEST = [*AVX512, "avx512_bf16", "avx512_fp16"]
CHAIN = cj.Chain(cj.Gaussian(1), cj.Normal(0.0, 1.0), cj.Replace(10))


@pytest.fixture
def cpu(tmp_path, monkeypatch):
    """Return a function that gives this process another CPU."""

    def replace(sets, limit="", key="flags"):
        (tmp_path / "cpuinfo").write_text(f"model name\t: x\n{key}\t\t: fpu {' '.join(sets)} vme\n")
        monkeypatch.setattr(instructions, "_CPU", tmp_path / "cpuinfo")
        monkeypatch.setenv("XLA_FLAGS", f"--xla_cpu_max_isa={limit}" if limit else "--other=1")

    return replace


def test_what_a_process_uses_is_what_its_cpu_has_within_the_limit(cpu, monkeypatch, tmp_path):
    cpu(LATEST)
    assert (instructions.used(), instructions.limit()) == (LATEST, None)
    cpu(LATEST, "AVX2")
    assert (instructions.used(), instructions.limit()) == (AVX2, "avx2")
    cpu(LATEST, "avx512")
    assert (instructions.used(), instructions.limit()) == (AVX512, "avx512")
    cpu(["asimd", "sve"], key="Features")
    assert instructions.used() == ["asimd", "sve"]
    monkeypatch.setattr(instructions, "_CPU", tmp_path / "none")
    assert instructions.used() is None


DIFFERENCES = [
    (LATEST, AVX2, "", "this CPU lacks avx512f, avx512dq.*like the first, or begin .* --isa avx2,"),
    (
        LATEST,
        AVX512,
        "",
        "this CPU lacks avx512_bf16, avx512_fp16, .*--isa avx512, which both",
    ),
    (AVX2, LATEST, "", "begun without avx512f, .*resume it with --isa avx2, or .*_ISA=avx2"),
    (AVX512, LATEST, "", "begun without avx512_bf16, avx512_fp16, .*resume it with --isa avx512"),
    (LATEST, LATEST, "AVX2", "limited to avx2 and the run .*with avx512f.*resume it without --isa"),
    (["asimd", "sve"], ["asimd"], "", "this CPU lacks sve, .*; resume it on a CPU like the first$"),
    (AVX2, LATEST, "AVX2", None),
    (AVX2, AVX2, "", None),
    (None, AVX2, "", None),
]


@pytest.mark.parametrize(("made", "has", "limit", "message"), DIFFERENCES)
def test_a_difference_names_the_sets_and_the_remedy(made, has, limit, message, cpu):
    cpu(has, limit)
    found = instructions.difference(made, instructions.used())
    if message is None:
        assert found is None
    else:
        assert re.search(message, found)
        assert "\n" not in found


def test_a_run_of_another_cpu_is_refused_until_the_process_is_limited(cpu, tmp_path):
    def run():
        return cj.simulate(CHAIN, key=0, num_chains=4, num_generations=3, store=tmp_path / "run")

    cpu(LATEST, "AVX2")
    made = run().provenance
    assert (made["instructions"], made["isa"]) == (AVX2, "avx2")
    cpu(LATEST)
    with pytest.raises(cj.ArgumentError, match=r"begun without avx512f.*--isa avx2") as no:
        run()
    assert "\n" not in str(no.value)
    cpu(AVX2)
    run()
    cpu(LATEST, "AVX2")
    run()


@pytest.mark.parametrize(
    ("sets", "given", "message"),
    [
        (LATEST, "avx10", "--isa='avx10' is not allowed: it must be one of 'avx2', 'avx512'"),
        (AVX2, "avx512", "this CPU lacks avx512f, avx512dq, avx512bw, avx512vl; pass 'avx2'"),
        (["asimd"], "avx2", "this CPU lacks sse4_2, .*; leave it out"),
        (LATEST, "avx2", "begun without; set COLLAPSE_JAX_ISA=avx2 before it begins"),
    ],
)
@pytest.mark.parametrize("joined", [True, False])
def test_a_bad_limit_is_one_line(sets, given, message, joined, cpu, capsys):
    cpu(sets)
    option = [f"--isa={given}"] if joined else ["--isa", given]
    assert main(["run", "regimes", *option]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert re.search(message, line)


BEGIN = """
import os, sys
{first}
import collapse_jax as cj
from collapse_jax.utils import instructions
try:
    instructions.check_variable()
    print(os.environ["XLA_FLAGS"], os.environ["OPENBLAS_CORETYPE"], *instructions.used())
except cj.ArgumentError as error:
    print(error)
"""


@pytest.mark.parametrize(
    ("first", "refusal"),
    [
        ("", ""),
        ("import numpy", "NumPy is loaded already"),
        ("import jax; jax.devices()", "jax has started already"),
    ],
)
def test_the_variable_is_applied_before_numpy_and_jax(first, refusal):
    environment = os.environ | {"COLLAPSE_JAX_ISA": "avx2", "XLA_FLAGS": "--xla_cpu_max_isa=AVX"}
    command = [sys.executable, "-c", BEGIN.format(first=first)]
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, check=True, timeout=300
    )
    if not set(AVX2) <= set(instructions.available() or ()):
        assert "this CPU lacks" in done.stdout or "one of" in done.stdout
    elif refusal:
        assert f"COLLAPSE_JAX_ISA='avx2' is not allowed: {refusal}" in done.stdout
    else:
        assert done.stdout.split() == ["--xla_cpu_max_isa=AVX2", "Haswell", *AVX2]
