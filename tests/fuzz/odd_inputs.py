"""Random images, texts and command lines: accepted, or refused by one line, and nothing else."""

import contextlib
import io
from pathlib import Path

import numpy as np
from hypothesis import strategies as st
from odd_tables import message_of

import collapse_jax as cj
from collapse_jax.cli import COMMANDS, main

TYPES = ("uint8", "int64", "float32", "float64", "bool", "complex64", "U3")

VALUES = ([0], [0, 1], [0.5, 1], [0, 255], [-1, 2], [np.nan, 1], [np.inf])


def _array(parts):
    kind, shape, values = parts
    with np.errstate(invalid="ignore"):  # NaN as an integer
        return np.resize(np.array(values), shape).astype(kind)


@st.composite
def image_files(draw):
    """Draw arrays for an .npz file, or bytes for the images of a folder."""
    if draw(st.booleans()):
        shapes = st.sampled_from(
            [(20, 4, 4), (20, 16), (3, 4, 4), (20, 4, 5), (0, 4, 4), (20,), ()]
        )
        names = st.sampled_from(["x", "y", "x_test", "y_test", "images", "labels", "z"])
        made = st.tuples(st.sampled_from(TYPES), shapes, st.sampled_from(VALUES))
        return draw(st.dictionaries(names, made.map(_array), max_size=4))
    kinds = st.sampled_from((".png", ".jpg", ".tiff", ".gif", ".pgm", ".txt", ""))
    heads = st.sampled_from(
        (b"", b"\x89PNG\r\n\x1a\n", b"P5 4 4 255\n", b"GIF89a", b"\xff\xd8\xff")
    )
    files = st.tuples(heads, st.binary(max_size=40)).map(b"".join)
    names = st.tuples(st.sampled_from(("a", "b/c", "1", "é")), kinds).map("".join)
    return draw(st.dictionaries(names, files, max_size=4))


def check_images(files, folder):
    """Load images of a file or a folder."""
    if any(isinstance(value, np.ndarray) for value in files.values()):
        path = Path(folder, "images.npz")
        np.savez(path, **files)
    else:
        path = Path(folder, "images")
        path.mkdir()
        for name, content in files.items():
            (path / name).parent.mkdir(exist_ok=True)
            (path / name).write_bytes(content)
    return message_of(lambda: cj.Images.load(str(path), side=4)) is None


def texts():
    """Draw texts, and bytes for a text file."""
    return st.text(max_size=30) | st.binary(max_size=40)


def check_text(text, folder):
    """Find the words of a text, or of a file of these bytes."""
    if isinstance(text, str):
        return message_of(lambda: cj.Empirical.words(text)) is None
    path = Path(folder, "text.txt")
    path.write_bytes(text)
    return message_of(lambda: cj.Empirical.words(path)) is None


ODD = ("", "-1", "0", "1", "2", "nan", "inf", "1e3", "x", "1,2", "é", "a b", "--", "-", "=", "None")
OPTIONS = (
    "--out --num-chains --num-generations --every --source --seed --policy.num-samples --quiet "
    "--overwrite --help --scale --only --lane policy:mixing policy:accumulate --policy.gamma"
).split()
NAMED = ("gaussian", "discrete", "nowhere", "out", "")
SOURCES = ("normal", "zipf:3", "zipf:x", "text:", "t.csv", "t.csv:x", "none.npy:x", "t.csv:y:z")


@st.composite
def command_lines(draw):
    """Draw the arguments of a command; those that are valid ask for little work."""
    command = draw(st.sampled_from([*sorted(COMMANDS), "what"]))
    if command in ("verify", "reproduce"):  # their shortest runs take minutes
        return [command, draw(st.sampled_from(("--what", "--lane", "--only", "x", "--help")))]
    values = st.sampled_from((*ODD, *SOURCES))
    words = st.lists(st.sampled_from(OPTIONS) | values, max_size=4)
    small = ["--num-chains", "2", "--num-generations", "1", "--policy.num-samples", "3"]
    return [command, draw(st.sampled_from(NAMED)), *small, *draw(words)]


def check_command_line(arguments, folder):
    """Run a command in a folder of its own: it succeeds, or prints one line and returns 2."""
    Path(folder, "t.csv").write_text("x,y:z\n1,2\n")
    output, errors = io.StringIO(), io.StringIO()
    with (
        contextlib.chdir(folder),
        contextlib.redirect_stdout(output),
        contextlib.redirect_stderr(errors),
    ):
        code = main(arguments)
    assert "internal error" not in errors.getvalue(), errors.getvalue()
    assert "Traceback" not in errors.getvalue(), errors.getvalue()
    assert code in (0, 1, 2), f"exit code {code}"
    return code == 0
