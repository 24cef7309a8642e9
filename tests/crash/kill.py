"""Kill runs at random instants and see that each goes on to the same bits.

    python tests/crash/kill.py --times 200

A process makes a run into a directory and is killed (SIGKILL) after a random part of the time
that the whole run takes, and in half of the cases the process that continues it is killed
once more. What lies there then must be read as right or as missing; the run is continued
and its records, states and theory must be those of a run that nobody disturbed. Networks,
which take longer, are killed by name: --only lm, --only vae.
"""

import argparse
import collections
import concurrent.futures
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from pathlib import Path

import numpy as np
from killed_runs import COSTLY, RUNS, run

import collapse_jax as cj
from collapse_jax.store.directory import is_run

HERE = Path(__file__).parent
STARTING = 4.0  # seconds until the first generation
COMPUTING = threading.Lock()  # one run at a time in this process


def start(name, path, lines):
    """A process that makes a run; returns once its journal has grown by so many lines."""
    command = [sys.executable, str(HERE / "killed_runs.py"), name, str(path)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    before = length_of_journal(path)
    while process.poll() is None and length_of_journal(path) < before + lines:
        time.sleep(0.001)
    return process


def length_of_journal(path):
    journal = path / "journal.jsonl"
    return journal.read_bytes().count(b"\n") if journal.exists() else 0


def kill(name, path, longest, rng):
    """Start a run, or go on with it, and kill it at some time; whether it lived until then.

    One in five is killed in its first seconds: before the directory is whole, or while
    programs are compiled.
    """
    is_new, is_early = not path.exists(), rng.random() < 0.2
    process = start(name, path, lines=0 if is_early else 1 + is_new)
    time.sleep(rng.uniform(0, STARTING if is_early else longest))
    lived = process.poll() is None
    process.send_signal(signal.SIGKILL)
    error = process.communicate()[1].decode()
    assert process.returncode in (0, -signal.SIGKILL), error
    return lived


def seconds_of_run(name, path):
    """How long a run takes from its first records on."""
    process = start(name, path, lines=2)
    begin = time.monotonic()
    assert process.wait() == 0, process.communicate()[1].decode()
    process.stderr.close()
    return time.monotonic() - begin


def check_partial(path, whole):
    """What can be read of a killed run is right, or says that it is missing."""
    records = cj.Records.load(path)
    names = [*whole.variables, *(["first_event"] if "first_event" in whole.coordinates else [])]
    for name in names:
        found, right = records[name], whole[name]
        if found.dtype.kind != "b":  # truth values have no fill of their own
            fill = np.isnan(found) if found.dtype.kind == "f" else found == -1
            assert np.all((found == right) | fill), name
    return bool(records.missing)


def check_same(records, whole):
    assert records.variables.keys() == whole.variables.keys()
    for name in [*whole.variables, *whole.coordinates]:
        assert np.array_equal(bits(records[name]), bits(whole[name])), name
    for one, other in zip(records.state.leaves, whole.state.leaves, strict=True):
        assert np.array_equal(bits(one), bits(other))
    assert records.theory.keys() == whole.theory.keys()


def bits(values):
    values = np.ascontiguousarray(values)
    return values.view(np.uint8) if values.dtype.kind in "fi" else values


def attempt(name, root, place, longest, rng, whole):
    """One run, killed once or twice and continued; what was found between."""
    path = root / f"{name}-{place}"
    found = collections.Counter()
    for _ in range(rng.choice((1, 2))):
        found["kills"] += kill(name, path, longest, rng)
        found["in a write"] += bool(list(path.glob("state/tmp-*")))
        if length_of_journal(path) == 0:
            found["before a journal"] += 1
            continue
        if not is_run(path):  # the next writer puts in place what the journal names
            found["before files were in place"] += 1
            continue
        journal = (path / "journal.jsonl").read_bytes()
        found["in a line"] += not journal.endswith(b"\n")
        lines = [json.loads(line) for line in journal.split(b"\n")[:-1]]
        named = {file for line in lines for file in line.get("added", {})}
        files = {str(one.relative_to(path)) for one in path.glob("records.zarr/*/c.*")}
        found["before a line"] += any((path / one).is_file() for one in files - named)
        with COMPUTING:
            found["unfinished"] += check_partial(path, whole)
    with COMPUTING:
        check_same(run(name, store=path), whole)
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--times", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", choices=[*RUNS, *COSTLY])
    options = parser.parse_args()
    warnings.simplefilter("error")
    names = [options.only] if options.only else list(RUNS)
    wholes = {name: run(name) for name in names}
    total = collections.Counter()
    with tempfile.TemporaryDirectory() as directory:
        root = Path(directory)
        os.environ["JAX_COMPILATION_CACHE_DIR"] = str(root / "cache")
        os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
        longest = {name: seconds_of_run(name, root / name) for name in names}
        rng = random.Random(options.seed)
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            futures = []
            for place in range(options.times):
                name, own = names[place % len(names)], random.Random(rng.random())
                arguments = (name, root, place, longest[name], own, wholes[name])
                futures.append(pool.submit(attempt, *arguments))
            for future in futures:
                total += future.result()
    facts = ", ".join(f"{count} {what}" for what, count in sorted(total.items()))
    sys.stdout.write(f"{options.times} of {options.times} runs ended bit-equal: {facts}\n")


if __name__ == "__main__":
    main()
