"""Damaged run directories: each kind is found, file and remedy are named, nothing is touched."""

import contextlib
import errno
import io
import json
import os
import pickle
import shutil
import subprocess

import numpy as np
import pytest

import collapse_jax as cj
from collapse_jax.store import files, journal
from collapse_jax.store.directory import check_removable
from collapse_jax.store.files import StoreError

SETTINGS = {"key": 1, "num_chains": 300, "num_generations": 40, "every": 2, "chain_batch": 128}
ALL_SYNCS = 1000  # more than a run makes
CASES = {
    "gaussian": cj.Chain(cj.Gaussian(1), cj.Normal(0.0, 1.0), cj.Replace(10)),
    "discrete": cj.Chain(cj.Discrete(), cj.Categorical(np.full(5, 0.2)), cj.Replace(20)),
}
SHARD = {"gaussian": "records.zarr/log_std/c.0.1", "discrete": "records.zarr/entropy/c.0.1"}


def run(name, path, **changes):
    return cj.simulate(CASES[name], store=path, **(SETTINGS | changes))


@pytest.fixture(scope="module", params=CASES)
def runs(request, tmp_path_factory):
    """Name, a whole run, and another of another key."""
    root = tmp_path_factory.mktemp(request.param)
    run(request.param, root / "run")
    run(request.param, root / "other", key=2)
    return request.param, root / "run", root / "other"


class Damage:
    """What is done to a copy of a run."""

    def __init__(self, name, path, other, outside):
        self.path, self.other, self.outside = path, other, outside
        self.shard = path / SHARD[name]
        self.state = sorted(path.glob("state/*.npy"))[1]
        self.journal = path / "journal.jsonl"
        self.lines = self.journal.read_bytes().splitlines(keepends=True)

    def flip(self, path):
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 4
        path.write_bytes(content)

    def link(self, path):
        """The content, or another place for it, beyond a symbolic link."""
        shutil.move(path, self.outside / path.name)
        path.symlink_to(self.outside / path.name)

    def forge(self, change):
        """A journal whose digests are right after its lines have been changed."""
        digest, text = "", b""
        for place, line in enumerate(self.lines):
            content = json.loads(line)
            del content["digest"]
            change(place, content)
            digest = journal._digest(digest, content)
            text += json.dumps({**content, "digest": digest}).encode() + b"\n"
        self.journal.write_bytes(text)

    def vouch(self, path):
        """Forge a journal that has the present content of a file."""
        name = str(path.relative_to(self.path))

        def change(place, content):
            if name in content.get("added", {}):
                content["added"][name] = files.entry_of(path)

        self.forge(change)


def swap(one, other):
    first, second = one.read_bytes(), other.read_bytes()
    one.write_bytes(second)
    other.write_bytes(first)


def pickled(path):
    """An archive whose arrays are pickled objects that leave a mark when they are loaded."""

    class Mark:
        def __reduce__(self):
            return (os.mkdir, (str(path.parents[1] / "unpickled"),))

    buffer = io.BytesIO()
    np.savez(buffer, about=np.array([Mark()], object))
    assert pickle.dumps(Mark())
    path.write_bytes(buffer.getvalue())


def zarr_codec(damage):
    path = damage.path / "records.zarr/zarr.json"
    text = path.read_text().replace('"name": "crc32c"', '"name": "numcodecs.pickle"')
    path.write_text(text)
    damage.vouch(path)


def add_path(name):
    def change(place, content):
        if place == 1:
            content["added"][name] = [3, "0" * 16]

    return lambda damage: damage.forge(change)


def directory(path):
    path.unlink()
    path.mkdir()


def pipe(path):
    os.mkfifo(path)


RECORDS = "records.zarr/"
KINDS = {
    "truncated shard": (lambda d: os.truncate(d.shard, 100), RECORDS),
    "empty shard": (lambda d: os.truncate(d.shard, 0), RECORDS),
    "longer shard": (lambda d: d.shard.write_bytes(d.shard.read_bytes() + b"0"), RECORDS),
    "flipped bit in a shard": (lambda d: d.flip(d.shard), RECORDS),
    "shard of zeros": (lambda d: d.shard.write_bytes(b"\0" * d.shard.stat().st_size), RECORDS),
    "missing shard": (lambda d: d.shard.unlink(), RECORDS),
    "swapped shards": (lambda d: swap(d.shard, d.shard.with_name("c.0.0")), RECORDS),
    "shard of another run": (
        lambda d: shutil.copy(d.other / d.shard.relative_to(d.path), d.shard),
        RECORDS,
    ),
    "shard of another variable": (
        lambda d: shutil.copy(d.path / "records.zarr/status/c.0.1", d.shard),
        RECORDS,
    ),
    "foreign shard": (lambda d: shutil.copy(d.shard, d.shard.with_name("c.0.7")), "c.0.7"),
    "foreign array": (
        lambda d: shutil.copytree(d.shard.parent, d.path / "records.zarr/more"),
        "records.zarr/more",
    ),
    "directory for a shard": (lambda d: directory(d.shard), RECORDS),
    "linked shard": (lambda d: d.link(d.shard), "symbolic link"),
    "linked records": (lambda d: d.link(d.path / "records.zarr"), "symbolic link"),
    "linked states": (lambda d: d.link(d.path / "state"), "symbolic link"),
    "linked config": (lambda d: d.link(d.path / "config.json"), "symbolic link"),
    "linked journal": (lambda d: d.link(d.journal), "journal.jsonl"),
    "linked figures": (lambda d: d.link(d.path / "figures"), "symbolic link"),
    "pipe among the states": (lambda d: pipe(d.path / "state/new"), "state/new"),
    "flipped bit in first events": (
        lambda d: d.flip(d.path / "records.zarr/first_event/c.1"),
        "first_event/c.1",
    ),
    "flipped bit in a coordinate": (
        lambda d: d.flip(d.path / "records.zarr/generation/c.0"),
        "generation/c.0",
    ),
    "flipped bit in theory": (
        lambda d: d.flip(sorted(d.path.glob("theory.zarr/*/c.0*"))[0]),
        "theory.zarr",
    ),
    "edited metadata": (
        lambda d: (d.path / "records.zarr/zarr.json").write_text("{}"),
        "records.zarr/zarr.json",
    ),
    "metadata of an array edited": (
        lambda d: d.flip(d.shard.parent / "zarr.json"),
        "zarr.json",
    ),
    "codec that unpickles, vouched for": (zarr_codec, "numcodecs.pickle"),
    "truncated state": (lambda d: os.truncate(d.state, 200), "state/"),
    "flipped bit in a state": (lambda d: d.flip(d.state), "state/"),
    "missing state": (lambda d: d.state.unlink(), "state/"),
    "state of another run": (
        lambda d: shutil.copy(sorted(d.other.glob("state/*.npy"))[1], d.path / "state"),
        "state/",
    ),
    "pickles for a state": (lambda d: pickled(d.state), "state/"),
    "pickles for a state, vouched for": (
        lambda d: (pickled(d.state), d.vouch(d.state)),
        "state/",
    ),
    "edited config": (
        lambda d: (d.path / "config.json").write_text(
            (d.path / "config.json").read_text().replace('"every": 2', '"every": 3')
        ),
        "config.json",
    ),
    "config of another run": (
        lambda d: (d.path / "config.json").write_text('{"chain": null}'),
        "config.json",
    ),
    "missing config": (lambda d: (d.path / "config.json").unlink(), "config.json"),
    "edited provenance": (lambda d: d.flip(d.path / "provenance.json"), "provenance.json"),
    "edited line of the journal": (
        lambda d: d.journal.write_bytes(
            b"".join(d.lines).replace(b'"event": "state"', b'"event": "State"')
        ),
        "journal.jsonl",
    ),
    "line missing in the journal": (
        lambda d: d.journal.write_bytes(b"".join(d.lines[:2] + d.lines[3:])),
        "journal.jsonl",
    ),
    "lines swapped in the journal": (
        lambda d: d.journal.write_bytes(b"".join([d.lines[0], d.lines[2], d.lines[1]])),
        "journal.jsonl",
    ),
    "bytes amid the journal": (
        lambda d: d.journal.write_bytes(b"".join([*d.lines[:2], b"\xff\n", *d.lines[2:]])),
        "journal.jsonl",
    ),
    "missing journal": (lambda d: d.journal.unlink(), "journal.jsonl"),
    "empty journal": (lambda d: os.truncate(d.journal, 0), "journal.jsonl"),
    "journal of another run beside": (
        lambda d: shutil.copy(d.other / "journal.jsonl", d.path / "journal-1.jsonl"),
        "journals list it with two different contents",
    ),
    "path that leaves the directory": (add_path("../outside/precious"), "../outside/precious"),
    "absolute path": (add_path("/etc/hostname"), "/etc/hostname"),
    "path through a parent": (add_path("state/../../precious"), "state/../../precious"),
}


def tree(root):
    """Everything below a directory: files with their content, links with their target."""
    found = {}
    for path in sorted(root.rglob("*")):
        if path.name.startswith("lock"):
            continue
        if path.is_symlink():
            found[path] = os.readlink(path)
        else:
            found[path] = path.read_bytes() if path.is_file() else None
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_damage_is_found_and_named_and_nothing_is_touched(kind, runs, tmp_path):
    name, whole, other = runs
    path, outside = tmp_path / "run", tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").write_text("abc")
    shutil.copytree(whole, path)
    act, named = KINDS[kind]
    act(Damage(name, path, other, outside))
    before = tree(tmp_path)
    for attempt in (lambda: cj.Records.load(path), lambda: run(name, path)):
        with pytest.raises(ValueError, match="; ") as caught:
            attempt()
        message = str(caught.value)
        assert named in message
        assert str(path) in message
        assert "\n" not in message
        assert tree(tmp_path) == before


def test_an_undamaged_run_is_not_refused(runs, tmp_path):
    name, whole, _ = runs
    shutil.copytree(whole, tmp_path / "run")
    assert not cj.Records.load(tmp_path / "run").missing
    run(name, tmp_path / "run")


def test_a_foreign_shard_is_not_overwritten(runs, tmp_path):
    """A file where a run that goes on would write, though no crash can have left it."""
    name, whole, _ = runs
    path = shutil.copytree(whole, tmp_path / "run")
    lines = (path / "journal.jsonl").read_bytes().splitlines(keepends=True)
    (path / "journal.jsonl").write_bytes(lines[0])
    shard = path / SHARD[name]
    shard.write_bytes(b"mine")
    with pytest.raises(ValueError, match="damaged: it holds other content") as caught:
        run(name, path)
    assert str(shard) in str(caught.value)
    assert shard.read_bytes() == b"mine"


def test_a_linked_lock_is_not_followed(runs, tmp_path):
    name, whole, _ = runs
    path = shutil.copytree(whole, tmp_path / "run")
    (path / "lock").unlink()
    (path / "lock").symlink_to(tmp_path / "new")
    with pytest.raises(ValueError, match="run/lock cannot be used"):
        run(name, path)
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("allowed", [*range(0, 40, 3), ALL_SYNCS])
def test_a_full_disk_is_told_and_gone_on_from(allowed, runs, tmp_path, monkeypatch):
    """The disk takes so many syncs and then nothing more."""
    name, whole, _ = runs
    path, count = tmp_path / "run", iter(range(10**6))
    sync = os.fsync

    def full(descriptor):
        if next(count) >= allowed:
            raise OSError(errno.ENOSPC, "No space left on device")
        sync(descriptor)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        full_disk = pytest.raises(ValueError, match="No space left on device; free some space")
        with full_disk if allowed < ALL_SYNCS else contextlib.nullcontext():
            run(name, path)
    records, right = run(name, path), cj.Records.load(whole)
    for variable in right.variables:
        np.testing.assert_array_equal(records[variable], right[variable])


def test_a_disk_that_is_really_full(runs, tmp_path):
    """On a file system of a few pages, where this process may make one."""
    name, _, _ = runs
    small = tmp_path / "small"
    small.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(small)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("only root may mount; the test above fills the disk by other means")
    try:
        with pytest.raises(ValueError, match="No space left on device; free some space"):
            run(name, small / "run", every=1)
        subprocess.run(["mount", "-o", "remount,size=64m", str(small)], check=True)
        records, right = run(name, small / "run", every=1), run(name, tmp_path / "run", every=1)
        for variable in right.variables:
            np.testing.assert_array_equal(records[variable], right[variable])
    finally:
        subprocess.run(["umount", str(small)], check=True)


@pytest.mark.parametrize(
    "name",
    ["mine.txt", "figures/mine.png", "records.zarr/notes.txt", "state/my/data", "parts/a/b.txt"],
)
def test_a_run_with_a_file_of_the_user_is_not_removed(tmp_path, name):
    path = tmp_path / "run"
    chain = cj.Chain(cj.Gaussian(1), cj.Normal(0.0, 1.0), cj.Replace(10))
    cj.simulate(chain, key=0, num_chains=2, num_generations=1, store=path)
    (path / "figures").mkdir(exist_ok=True)
    (path / "figures" / "captions.json").write_text('{"errors": "caption"}')
    (path / "figures" / "errors.png").write_bytes(b"")
    (path / "state" / "tmp-0123456789abcdef").mkdir(parents=True)
    (path / "state" / "tmp-0123456789abcdef" / "left").write_bytes(b"")
    check_removable(path)
    (path / name).parent.mkdir(parents=True, exist_ok=True)
    (path / name).write_text("mine")
    with pytest.raises(StoreError, match=f"{name}.*which no run writes"):
        check_removable(path)
