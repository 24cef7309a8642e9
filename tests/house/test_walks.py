"""Ten walks of a newcomer, scripted from the documents alone: no dead end.

Commands and programs are read from README.md and docs/, made small, and run one after the other in
an empty folder with the files that the documents name. Paths and commands that a step prints must
lead on.
"""

import re
import shlex
import threading
import urllib.request
from pathlib import Path

import numpy as np
import pytest

from collapse_jax.cli import main

ROOT = Path(__file__).parents[2]
SMALL = {
    "--num-chains": "8",
    "--num-generations": "3",
    "--generations": "2",
    "--rows": "200",
    "--scale": "smoke",
    "--policy.num-samples": None,
}
"""Values of options in a walk; those without a value stay."""
WALKS = {
    "the answer of the first screen": ("README.md", ["python:1"]),
    "what there is, and one run": ("README.md", ["collapse list", "run gaussian --num-chains"]),
    "a run with original rows": ("docs/tour.md", ["run gaussian policy:mixing"]),
    "a table of mine": ("README.md", ["run gaussian --source people.csv"]),
    "a book of mine": ("README.md", ["run discrete --source text:book.txt"]),
    "a longer run": ("README.md", ["run gaussian --num-chains", "resume", "extend"]),
    "which sizes and shares": ("docs/tour.md", ["sweep gaussian"]),
    "how much to keep": ("docs/how_much.md", ["plan table --source data.csv"]),
    "the statements of the paper": ("README.md", ["reproduce --only gaussian"]),
    "a page with sliders": ("docs/which_policy.md", ["explore"]),
}
QUICK = {"the answer of the first screen"}


def commands_of(page):
    """Return the commands of a page in the order of its lines."""
    text = (ROOT / page).read_text()
    lines = [line.split("  #")[0].strip() for line in text.splitlines()]
    spans = re.findall(r"`(collapse [^`]+)`", text)
    return [line for line in lines if line.startswith("collapse ")] + spans


def command_of(page, words):
    """Return the first command of a page with these words."""
    found = [one for one in commands_of(page) if words in one]
    assert found, f"{page} has no command with {words!r}"
    return found[0]


def made_small(command):
    """Return the arguments of a command with small numbers."""
    arguments = shlex.split(command)[1:]
    for place, word in enumerate(arguments[:-1]):
        if SMALL.get(word):
            arguments[place + 1] = SMALL[word]
    given = set(arguments)
    if arguments[0] in ("run", "sweep"):
        for option in ("--num-chains", "--num-generations"):
            if option not in given:
                arguments[2:2] = [option, SMALL[option]]
    if arguments[0] == "extend":
        arguments[arguments.index("--num-chains") + 1] = "12"
    if arguments[0] == "plan":  # too few rows meet no demand
        arguments += ["--rows", "2000", "--generations", SMALL["--generations"]]
    if arguments[0] == "reproduce":
        arguments[arguments.index("--only") + 1] = "one-shot,discrete"
        arguments += ["--out", "runs/reproduction"]
    return [*arguments, *(["--quiet"] if arguments[0] in ("run", "sweep", "extend") else [])]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The files that the documents name."""
    monkeypatch.chdir(tmp_path)
    rows = np.random.default_rng(0).normal([170, 70], [10, 12], (300, 2))
    for name, columns in (("people.csv", "height,weight"), ("data.csv", "income,age")):
        np.savetxt(name, rows, delimiter=",", header=columns, comments="")
    Path("book.txt").write_text("the rain in spain falls mainly on the plain of a king\n" * 40)
    return tmp_path


def check_leads_on(text):
    """Require that printed paths exist, and that commands in the text are known."""
    for path in re.findall(r"^(?:report|figures): (\S+)", text, re.MULTILINE):
        assert Path(path).exists(), path
    for command in re.findall(r"`(collapse [^`]+)`", text):
        assert main([*shlex.split(command)[1:2], "--help"]) == 0, command


def serve_and_look(capsys):
    """Start the explorer in another thread, open its page and stop it."""
    from collapse_jax import explorer

    served = threading.Event()
    made = []

    class Noted(explorer.Explorer):
        def serve(self):
            made.append(self)
            served.set()
            super().serve()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(explorer, "Explorer", Noted)
        thread = threading.Thread(target=main, args=[["explore", "--no-browser"]])
        thread.start()
        assert served.wait(60)
        with urllib.request.urlopen(made[0].url, timeout=30) as page:
            assert b"Explore model collapse" in page.read()
        made[0].close()
        thread.join()


def program_of(page, number):
    """Return a program of a page."""
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / page).read_text(), re.DOTALL)
    return blocks[number - 1]


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    "walk",
    [pytest.param(name, marks=() if name in QUICK else pytest.mark.thorough) for name in WALKS],
)
def test_a_walk_has_no_dead_end(walk, capsys):
    page, steps = WALKS[walk]
    for step in steps:
        if step.startswith("python:"):
            program = program_of(page, int(step.partition(":")[2]))
            assert len([line for line in program.splitlines() if line]) == 5
            exec(program, {})
            assert len(re.findall(r"\d+\.", capsys.readouterr().out)) == 11
        elif step == "explore":
            command_of(page, "collapse explore")
            serve_and_look(capsys)
        else:
            code = main(made_small(command_of(page, step)))
            shown = capsys.readouterr()
            assert code == 0, shown.err
            assert shown.out
            check_leads_on(shown.out + shown.err)
            capsys.readouterr()
    reports = list(Path("runs").rglob("report.html")) if Path("runs").exists() else []
    for report in reports:
        is_plan = report.parent.name.startswith("plan")  # its headline is the answer
        assert is_plan or '<p class="finding">' in report.read_text()


def test_there_are_ten_walks_and_their_steps_are_in_the_documents():
    assert len(WALKS) == 10
    for page, steps in WALKS.values():
        for step in steps:
            if not step.startswith("python:"):
                assert command_of(page, step).startswith("collapse ")
    with pytest.raises(AssertionError, match="has no command"):
        command_of("README.md", "run gausian")
