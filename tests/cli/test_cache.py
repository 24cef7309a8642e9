"""`collapse run` keeps compiled programs, and `collapse cache` shows and deletes them."""

import os
import subprocess
import sys

import pytest

CODE = "import sys; from collapse_jax.cli import main; sys.exit(main())"
_RUN = ["run", "gaussian", "--num-chains", "2", "--num-generations", "2"]


@pytest.fixture
def collapse(tmp_path):
    """Run the command line in a process of its own, and return its result."""

    def run(*arguments, **variables):
        return subprocess.run(
            [sys.executable, "-c", CODE, *arguments],
            env={**os.environ, "COLLAPSE_JAX_CACHE": str(tmp_path / "cache"), **variables},
            capture_output=True,
            text=True,
            cwd=tmp_path,
        )

    return run


def test_a_second_run_compiles_nothing_and_has_the_same_bits(collapse, tmp_path):
    options = ["--policy.num-samples", "5", "--quiet"]
    kept = []
    for name in ("a", "b"):
        done = collapse(*_RUN, *options, "--out", name)
        assert done.returncode == 0, done.stderr
        kept.append(sorted(path for path in (tmp_path / "cache").rglob("*") if path.is_file()))
    assert any("jit_advance" in path.name for path in kept[0])
    assert kept[0] == kept[1], "the second run compiled nothing that was not kept"
    files = [
        sorted(path.relative_to(tmp_path / name) for path in (tmp_path / name).rglob("c.*"))
        for name in ("a", "b")
    ]
    assert files[0] == files[1] != []
    for file in files[0]:
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


def test_the_cache_is_shown_and_deleted(collapse, tmp_path):
    assert "0 files" in collapse("cache").stdout
    folder = tmp_path / "cache" / "programs" / "cpu"
    folder.mkdir(parents=True)
    (folder / "program").write_bytes(b"x" * 100_000)
    shown = collapse("cache").stdout
    assert "1 files, 0.1 MB" in shown
    assert str(folder.parent) in shown
    assert collapse("cache", "--clear").returncode == 0
    assert not folder.exists()
    assert "0 files" in collapse("cache").stdout


def test_a_cache_of_the_users_own_is_left_alone(collapse, tmp_path):
    own = tmp_path / "own"
    own.mkdir()
    done = collapse("cache", "--clear", JAX_COMPILATION_CACHE_DIR=str(own))
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert str(own) in done.stderr
    assert own.exists()
    done = collapse("cache", "--all")
    assert done.returncode == 2
    assert "--clear" in done.stderr


@pytest.mark.parametrize(
    ("name", "reason"),
    [("file", "it is a file"), ("file/a", "it cannot be made (Not a directory)")],
)
def test_a_cache_that_cannot_be_used_is_named_once(name, reason, collapse, tmp_path):
    (tmp_path / "file").touch()
    place = str(tmp_path / name)
    options = ["--policy.num-samples", "5", "--quiet", "--out", "a"]
    done = collapse(*_RUN, *options, JAX_COMPILATION_CACHE_DIR=place)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("\n") == 1, done.stderr
    for words in (place, reason, "name a folder that you may write", "unset JAX_COMPILATION"):
        assert words in done.stderr
    assert not (tmp_path / "cache").exists()


def test_a_file_is_no_cache_to_show(collapse, tmp_path):
    (tmp_path / "file").touch()
    done = collapse("cache", JAX_COMPILATION_CACHE_DIR=str(tmp_path / "file"))
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "it is a file, not a folder; name a folder" in done.stderr
