"""Locks of run directories where flock works, and where it fails, does nothing or stays local."""

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import collapse_jax as cj
from collapse_jax.store import lock, lock_file
from collapse_jax.store.files import StoreError
from collapse_jax.store.lock import exclusive, has_flock, locked

CHAIN = cj.Chain(cj.Gaussian(1), cj.Normal(0.0, 1.0), cj.Replace(10))


def run(path, **more):
    return cj.simulate(CHAIN, key=0, num_chains=4, num_generations=3, store=path, **more)


def refuse(code):
    def flock(*_):
        raise OSError(code, os.strerror(code))

    return flock


MOUNTS = r"""
22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
30 22 0:44 / {place} rw,noatime - {kind} server:/export rw,vers=3,{option}
"""


@pytest.fixture(params=["ENOLCK", "ENOSYS", "EOPNOTSUPP", "no-op", "nfs", "no fcntl"])
def no_flock(request, tmp_path, monkeypatch):
    """Take flock away from a directory in one of the ways of file systems."""
    if request.param == "no-op":
        monkeypatch.setattr(lock.fcntl, "flock", lambda *_: None)
    elif request.param == "nfs":
        mounts = tmp_path / "mountinfo"
        mounts.write_text(
            MOUNTS.format(place=tmp_path, kind="nfs", option="local_lock=all").strip()
        )
        monkeypatch.setattr(lock, "_MOUNTS", mounts)
    elif request.param == "no fcntl":
        monkeypatch.setattr(lock, "fcntl", None)
    else:
        monkeypatch.setattr(lock.fcntl, "flock", refuse(getattr(errno, request.param)))
    path = tmp_path / "run"
    path.mkdir()
    return path


def names(path):
    return sorted(one.name for one in path.iterdir() if one.name.startswith("lock"))


def test_lock_files_stand_in_for_flock(no_flock):
    path = no_flock
    assert not has_flock(path)
    with locked(path, (0, 1)):
        owner = lock_file.read(path / "lock-held")
        assert owner is not None
        assert owner.pid == os.getpid()
        with pytest.raises(
            StoreError, match=rf"process {os.getpid()} on .*delete .*lock-held"
        ) as no:
            run(path)
        assert "\n" not in str(no.value)
        with pytest.raises(StoreError, match="by another process"), locked(path, (1, 2)):
            pass
    with locked(path, (0, 2)), locked(path, (1, 2)), exclusive(path):
        assert names(path)[-3:] == ["lock-held-0", "lock-held-1", "lock-held-end"]
        with pytest.raises(StoreError, match=r"delete .*lock-held-[01] "), locked(path, (0, 1)):
            pass
        with pytest.raises(StoreError, match="by another process"), locked(path, (1, 2)):
            pass
    assert not [name for name in names(path) if "held" in name]


def test_a_run_without_flock_is_the_run_with(no_flock):
    stored = run(no_flock)
    np.testing.assert_array_equal(cj.Records.load(no_flock)["log_std"], stored["log_std"])
    run(no_flock)
    assert not [name for name in names(no_flock) if "held" in name or "tmp" in name]


@pytest.fixture
def path(tmp_path, monkeypatch):
    """Return a directory without flock."""
    monkeypatch.setattr(lock.fcntl, "flock", refuse(errno.ENOLCK))
    return tmp_path


def ended_process():
    """Return the lock file that a process left which was killed."""
    with subprocess.Popen(
        [sys.executable, "-S", "-c", "input()"], stdin=subprocess.PIPE
    ) as process:
        owner = lock_file.Owner.new()
        identity = lock_file._identity(process.pid)
        process.kill()
    return owner._replace(pid=process.pid, process=identity)


def test_the_lock_of_a_killed_process_of_this_host_is_removed(path):
    left = ended_process()
    for name in ("lock-held", "lock-held-3", "lock-held-end"):
        (path / name).write_text(json.dumps(left._asdict()))
    with exclusive(path), locked(path, (0, 1)):
        assert lock_file.read(path / "lock-held").pid == os.getpid()
    assert names(path) == ["lock"]


def test_a_process_with_the_number_of_another_is_not_taken_for_it(path):
    alive = lock_file.Owner.new()
    earlier = alive._replace(process=f"{alive.process}0")
    (path / "lock-held").write_text(json.dumps(earlier._asdict()))
    with locked(path, (0, 1)):
        pass


@pytest.mark.parametrize(
    "changes",
    [{"host": "another"}, {"process": "another-boot pid:[1] 5"}, {"process": ""}],
    ids=["host", "boot", "unknown"],
)
def test_a_lock_that_may_be_held_elsewhere_stays(path, changes, monkeypatch):
    left = json.dumps(ended_process()._replace(**changes)._asdict())
    monkeypatch.setattr(lock, "_PATIENCE", 0.0)
    for name, context in (("lock-held", locked(path, (0, 1))), ("lock-held-end", exclusive(path))):
        (path / name).write_text(left)
        message = rf"if it was killed, delete {path / name} "
        with pytest.raises(StoreError, match=message) as no, context:
            pass
        assert "\n" not in str(no.value)
        assert (path / name).read_text() == left
        (path / name).unlink()


def test_an_empty_lock_file_is_no_lock_to_remove(path, monkeypatch):
    monkeypatch.setattr(lock_file, "_ATTEMPTS", 1)
    (path / "lock-held").touch()
    with pytest.raises(StoreError, match=r"\(another process\).*delete"), locked(path, (0, 1)):
        pass


def test_only_one_of_two_processes_removes_a_stale_lock(path):
    held = path / "lock-held"
    left = ended_process()
    held.write_text(json.dumps(left._asdict()))
    claim = path / f"lock-held-{left.token}"
    claim.touch()
    assert not lock_file.remove_stale(held), "another process is about to"
    claim.unlink()
    assert lock_file.remove_stale(held)
    assert lock_file.take(held) is not None
    assert lock_file.take(held) is None


def test_a_lock_file_counts_where_flock_works(tmp_path):
    assert has_flock(tmp_path)
    own = lock_file.take(tmp_path / "lock-held")
    with pytest.raises(StoreError, match="by another process"), locked(tmp_path, (0, 1)):
        pass
    lock_file.release(tmp_path / "lock-held", own)
    with locked(tmp_path, (0, 1)):
        pass
    assert names(tmp_path) == ["lock"]


@pytest.mark.parametrize(
    ("kind", "option", "is_local"),
    [
        ("nfs4", "local_lock=none", False),
        ("nfs4", "local_lock=flock", True),
        ("lustre", "flock", False),
        ("lustre", "localflock", True),
        ("dvs", "blksize=1", True),
        ("ext4", "nolock", False),
    ],
)
def test_mounts_whose_locks_other_hosts_do_not_see(kind, option, is_local, tmp_path, monkeypatch):
    place = tmp_path / "a b"
    place.mkdir()
    mounts = tmp_path / "mountinfo"
    escaped = str(place).replace(" ", r"\040")
    mounts.write_text(MOUNTS.format(place=escaped, kind=kind, option=option).strip())
    monkeypatch.setattr(lock, "_MOUNTS", mounts)
    assert has_flock(place) is not is_local
    assert has_flock(tmp_path)


def test_the_system_tells_its_mounts():
    assert not lock._is_of_one_host(Path("/"))
