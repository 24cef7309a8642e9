"""Processes whose output cannot be written, or that are interrupted while they compile."""

import os
import signal
import subprocess
import sys
import time

import pytest

from collapse_jax.cli.errors import BROKEN_PIPE
from collapse_jax.cli.streams import interruptible

CODE = "import sys; from collapse_jax.cli import main; sys.exit(main())"


def started(arguments, **keywords):
    """Start the command in a process of its own."""
    command = [sys.executable, "-c", CODE, *arguments]
    return subprocess.Popen(command, stderr=subprocess.PIPE, **keywords)


def test_streams_of_a_process_that_cannot_be_written(tmp_path):
    """ASCII, full and closed standard output, and a reader that leaves at once."""
    help_of = ["run", "gaussian", "--help"]
    ascii_only = {**os.environ, "PYTHONIOENCODING": "ascii"}
    reader, writer = os.pipe()
    os.close(reader)
    shell = ["sh", "-c", f"exec '{sys.executable}' -c '{CODE}' {' '.join(help_of)} >&-"]
    closed = subprocess.Popen(shell, stderr=subprocess.PIPE)
    with open("/dev/full", "w") as full, open(os.devnull, "w") as null:
        processes = {
            "ascii": started(help_of, stdout=null, env=ascii_only),
            "full": started(help_of, stdout=full),
            "closed": closed,
            "gone": started(["list"], stdout=writer),
        }
    os.close(writer)
    errors = {name: one.communicate(timeout=120)[1].decode() for name, one in processes.items()}
    codes = {name: one.returncode for name, one in processes.items()}
    assert codes == {"ascii": 0, "full": 2, "closed": 0, "gone": BROKEN_PIPE}, errors
    assert errors.pop("full").startswith("collapse: the output cannot be used: No space left")
    assert set(errors.values()) == {""}


def test_an_interrupt_before_the_first_generation_is_one_line(tmp_path):
    """Ctrl-C while the program is compiled."""
    out = tmp_path / "run"
    with started(["run", "gmm", "--quiet", "--out", str(out)]) as process:
        begin = time.monotonic()
        while not (out / "command.json").exists():
            assert time.monotonic() < begin + 120
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        _, error = process.communicate(timeout=300)
    assert process.returncode == 130, error
    assert error.decode() == (f"collapse: interrupted; resume it with `collapse resume {out}`\n")


def test_an_interrupt_that_python_cannot_raise_is_sent_again():
    """Python only reports an exception that a finalizer raises."""

    class Interrupted:
        def __del__(self):
            raise KeyboardInterrupt

    def lose_an_interrupt():
        with interruptible():
            Interrupted()
            time.sleep(60)

    begin = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        lose_an_interrupt()
    assert time.monotonic() < begin + 30
