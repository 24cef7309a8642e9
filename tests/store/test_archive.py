"""Archives of runs: one file with the same numbers, made whole or not at all."""

import shutil
import zipfile

import numpy as np
import pytest
import xarray
from zarr.storage import ZipStore

import collapse_jax as cj
from collapse_jax.cli import main
from collapse_jax.store import archive
from collapse_jax.store.lock import locked

WORDS = cj.Chain(cj.Discrete(), cj.Empirical(["b", "a", "b"]), cj.Replace(20))
SETTINGS = {"key": 1, "num_chains": 300, "num_generations": 20, "chain_batch": 128}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    path = tmp_path_factory.mktemp("runs") / "a run"
    cj.simulate(WORDS, store=path, metrics=("probabilities",), **SETTINGS)
    return path


@pytest.fixture(scope="module")
def packed(run):
    target = run.with_name("a.zip")
    archive.pack(run, target)
    return target


def assert_same(one, other):
    assert one.dataset.variables.keys() == other.dataset.variables.keys()
    for name, variable in other.dataset.variables.items():
        assert one.dataset[name].dims == variable.dims
        np.testing.assert_array_equal(one[name], other[name])
    assert one.theory.equals(other.theory)
    assert (one.config, one.provenance) == (other.config, other.provenance)
    assert (one.state is None) is (other.state is None)
    leaves = [() if each.state is None else each.state.leaves for each in (one, other)]
    for mine, theirs in zip(*leaves, strict=True):
        np.testing.assert_array_equal(mine, theirs)


def test_an_archive_is_the_run(run, packed):
    loaded = cj.Records.load(packed)
    assert_same(loaded, cj.Records.load(run))
    resumed = cj.simulate(
        WORDS,
        metrics=("probabilities",),
        **(SETTINGS | {"num_generations": 22, "chain_batch": None}),
        state=loaded.state,
    )
    assert resumed["generation"].tolist() == [21, 22]


def test_xarray_opens_an_archive_without_this_library(run, packed):
    with xarray.open_zarr(ZipStore(packed, mode="r"), chunks=None) as dataset:
        assert dict(dataset.sizes) == {"generation": 21, "chain": 300, "state": 2}
        np.testing.assert_array_equal(dataset.entropy, cj.Records.load(run)["entropy"])


def test_the_same_run_gives_the_same_bytes(run, packed, tmp_path):
    copied = shutil.copytree(run, tmp_path / "copy")
    (copied / "lock-held-end").touch()
    archive.pack(copied, tmp_path / "again.zip")
    assert (tmp_path / "again.zip").read_bytes() == packed.read_bytes()


def test_the_command_prints_what_opens_the_archive(run, tmp_path, capsys):
    path = shutil.copytree(run, tmp_path / "b")
    assert main(["pack", str(path)]) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith(f"archive: {tmp_path / 'b.zip'} (")
    assert path.is_dir()
    names = {}
    exec(second.replace("xarray.open_zarr", "found = xarray.open_zarr"), names)
    assert names["found"].sizes["generation"] == 21
    assert main(["pack", str(path)]) == 2
    assert "b.zip is not allowed: it exists" in capsys.readouterr().err
    assert main(["pack", str(path), "--out", str(tmp_path / "c.zip"), "--remove"]) == 0
    assert not path.exists()
    assert_same(cj.Records.load(tmp_path / "c.zip"), cj.Records.load(run))
    assert main(["report", str(tmp_path / "c.zip")]) == 2
    assert "figures and report lie in a run directory" in capsys.readouterr().err


def test_a_saved_run_is_packed_too(tmp_path):
    chain = cj.Chain(cj.Gaussian(1), cj.Normal(0.0, 1.0), cj.Replace(10))
    for reduce in (None, cj.Reduce()):
        path = tmp_path / f"{reduce is None}"
        records = cj.simulate(chain, key=0, num_chains=4, num_generations=3, reduce=reduce)
        records.save(path)
        archive.pack(path, path.with_suffix(".zip"))
        assert_same(cj.Records.load(path.with_suffix(".zip")), cj.Records.load(path))


@pytest.mark.parametrize("name", ["n" * 250, "é" * 120])
def test_a_name_may_be_as_long_as_a_file_system_allows(name, packed, tmp_path):
    saved = tmp_path / name
    cj.Records.load(packed).save(saved)
    archive.pack(saved, tmp_path / f"{name}.zip")
    assert {one.name for one in tmp_path.iterdir()} == {name, f"{name}.zip"}


def refused(message, use):
    with pytest.raises(cj.ArgumentError, match=message) as no:
        use()
    assert "\n" not in str(no.value)


def test_a_run_that_is_not_whole_is_not_packed(run, tmp_path):
    target = tmp_path / "x.zip"
    refused("is no run directory", lambda: archive.pack(tmp_path, target))
    path = shutil.copytree(run, tmp_path / "run")
    with locked(path, (0, 1)):
        refused("being written by another process", lambda: archive.pack(path, target))
    journal = path / "journal.jsonl"
    whole = journal.read_bytes()
    journal.write_bytes(b"".join(whole.splitlines(keepends=True)[:-1]))
    refused("not complete; end it with `collapse resume", lambda: archive.pack(path, target))
    journal.write_bytes(whole)
    (path / "config.json").write_text("{}")
    refused("config.json is damaged", lambda: archive.pack(path, target))
    assert [one.name for one in tmp_path.iterdir()] == ["run"]
    refused("cannot be used", lambda: archive.pack(run, tmp_path / "none" / "x.zip"))


def test_an_archive_that_differs_from_the_run_gets_no_name(run, tmp_path, monkeypatch):
    write = archive._write

    def lossy(path, root, names):
        write(path, root, names[:-1])
        with zipfile.ZipFile(path, "a") as file:
            file.writestr(archive.member_name(names[-1]), b"other")

    monkeypatch.setattr(archive, "_write", lossy)
    refused("it differs from the run", lambda: archive.pack(run, tmp_path / "x.zip"))
    assert not list(tmp_path.iterdir())


def changed(packed, target, change):
    """Copy an archive with the members that `change` makes of its members."""
    with zipfile.ZipFile(packed) as source, zipfile.ZipFile(target, "w") as file:
        members = {name: source.read(name) for name in source.namelist()}
        for name, content in change(members).items():
            file.writestr(name, content)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda all: all | {"entropy/c.0.0": b"1"}, "entropy/c.0.0 is damaged: it differs"),
        (lambda all: all | {"run-files/config.json": b"{}"}, "config.json is damaged: it differs"),
        (lambda all: {k: all[k] for k in all if k != "zarr.json"}, "no item named 'zarr.json'"),
        (lambda all: all | {"more/zarr.json": b"{}"}, "this run did not write it"),
        (lambda all: all | {"run-files/state/x.npy": b"{}"}, "this run did not write it"),
        (
            lambda all: {k: all[k] for k in all if "journal" not in k},
            "no archive of `collapse pack",
        ),
    ],
)
def test_a_changed_archive_is_refused(packed, tmp_path, change, message):
    changed(packed, tmp_path / "x.zip", change)
    refused(message, lambda: cj.Records.load(tmp_path / "x.zip"))


def test_a_cut_archive_and_other_files_are_refused(packed, tmp_path):
    content = packed.read_bytes()
    for text in (content[:-100], content[: len(content) // 2], b"", b"hello"):
        (tmp_path / "x.zip").write_bytes(text)
        refused("no archive of `collapse pack`", lambda: cj.Records.load(tmp_path / "x.zip"))
    middle = bytearray(content)
    middle[len(content) // 2] ^= 1
    (tmp_path / "x.zip").write_bytes(bytes(middle))
    refused("is damaged", lambda: cj.Records.load(tmp_path / "x.zip"))
