"""The code in README.md, CONTRIBUTING.md and docs/ runs, or says why it does not.

- Python blocks are run: those of a file in their order, with one namespace, in an empty
  directory. `{code-cell}` blocks are run by `make docs`.
- A block after `<!-- not run: REASON -->` is not. Run or not, what a block names of the library
  must exist, with the arguments that it is given.
- `collapse` commands go through the real command line up to where it would simulate, targets of
  `make` must be in the Makefile, and scripts must be there. Any other command takes a reason.
- Code within sentences that is a command, or begins with `cj.`, `collapse_jax` or a public name
  that is called, is held to the same, and links lead to files.
"""

import ast
import importlib
import inspect
import pathlib
import re
import shlex
import subprocess
import textwrap
import types
from typing import NamedTuple

import pytest

import collapse_jax as cj
from collapse_jax.cli import COMMANDS, main
from collapse_jax.cli import run as run_module
from collapse_jax.cli.command import Command
from collapse_jax.core import policy
from collapse_jax.experiments import EXPERIMENTS
from collapse_jax.results.grid import Grid
from collapse_jax.results.records import Records

ROOT = pathlib.Path(__file__).parents[2]
FILES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
DOCUMENTS = {
    str(path.relative_to(ROOT)): path.read_text() for path in FILES if "_build" not in path.parts
}
COMMAND_LANGUAGES = ("console", "bash")
DATA_LANGUAGES = ("text", "json", "toml", "csv", "bibtex")  # nothing to run
FENCE = re.compile(r"^( *)(```+|~~~+)([^\n`]*)\n(.*?)^\1\2 *$", re.MULTILINE | re.DOTALL)
INDENTED = re.compile(r"(?:\A|(?<=\n\n)) {4}.*\n?(?:(?: {4}.*)?\n)*")
COMMAND = re.compile(rf"(collapse|make) \w|.*\bcollapse ({'|'.join(COMMANDS)})\b")
PUBLIC = re.compile(rf"cj\.\w|collapse_jax\b[^-/]*\Z|({'|'.join(cj.__all__)})\(.*\)\Z")
REASON = re.compile(r"<!--\s*not run:((?:(?!-->).)*)-->\s*\Z", re.DOTALL)


class Block(NamedTuple):
    """Code of a document; `reason` is None where it is to be run."""

    language: str
    code: str
    line: int
    reason: str | None


@pytest.fixture(autouse=True)
def registered_names(monkeypatch):
    """Forget the policies and studies that the code of a page registers."""
    monkeypatch.setattr(policy, "POLICIES", dict(policy.POLICIES))
    before = dict(EXPERIMENTS)
    yield
    EXPERIMENTS.clear()
    EXPERIMENTS.update(before)


def blocks_of(text):
    """All blocks in their order, and the text with blank lines in their place."""
    found = []

    def take(match, language, code, start):
        reason = REASON.search(match.string[: match.start()])
        line = match.string.count("\n", 0, start) + 1
        code = textwrap.dedent(code)
        found.append(Block(language, code, line, reason and reason[1].strip()))
        if language.startswith("{") and language != "{code-cell}":  # a note, say
            found.extend(one._replace(line=one.line + line - 1) for one in blocks_of(code)[0])
        return "\n" * match[0].count("\n")

    def fenced(match):
        words = match[3].replace("{code-block}", "").split()
        return take(match, words[0] if words else "", match[4], match.start(4))

    def indented(match):
        return take(match, "indented", match[0], match.start())

    rest = INDENTED.sub(indented, FENCE.sub(fenced, text))
    return sorted(found, key=lambda block: block.line), rest


def python_blocks(text):
    return [block for block in blocks_of(text)[0] if block.language == "python"]


def code_in_sentences(text):
    rest = re.sub(r"<!--.*?-->", "", blocks_of(text)[1], flags=re.DOTALL)
    return [" ".join(span.split()) for span in re.findall(r"`([^`]+)`", rest)]


# --- Python


def run_blocks(name, text):
    namespace = {"__name__": "__main__"}
    for block in python_blocks(text):
        if block.reason is None:
            code = compile("\n" * (block.line - 1) + block.code, name, "exec")
            exec(code, namespace)


def check_names(code):
    """Names of collapse_jax in code that is not run, and the arguments they are given.

    Raises:
      ImportError, AttributeError, TypeError: for what does not exist.
    """
    unknown = object()
    names = {"cj": cj, "collapse_jax": cj, **{name: getattr(cj, name) for name in cj.__all__}}
    tree = ast.parse(code)
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("collapse_jax"):
            exec(compile(ast.Module([node], []), "<import>", "exec"), names)

    def value(node):
        if isinstance(node, ast.Name):
            return names.get(node.id, unknown)
        if not isinstance(node, ast.Attribute) or (owner := value(node.value)) is unknown:
            return unknown
        if isinstance(owner, types.ModuleType) and not hasattr(owner, node.attr):
            return importlib.import_module(f"{owner.__name__}.{node.attr}")
        return getattr(owner, node.attr)

    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            value(node)
        elif isinstance(node, ast.Call) and callable(function := value(node.func)):
            if inspect.isbuiltin(function):
                continue  # of a dict, say; it has no signature
            given = {keyword.arg: None for keyword in node.keywords if keyword.arg}
            inspect.signature(function).bind_partial(**given)


@pytest.mark.parametrize(
    "name",
    [
        name
        for name, text in DOCUMENTS.items()
        if any(block.reason is None for block in python_blocks(text))
    ],
)
def test_python_blocks_run(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run_blocks(name, DOCUMENTS[name])


@pytest.mark.parametrize("name", DOCUMENTS)
def test_what_is_not_run_has_a_reason_and_names_what_exists(name):
    blocks, _ = blocks_of(DOCUMENTS[name])
    for block in blocks:
        check_block(f"{name}:{block.line}", block)
    for span in code_in_sentences(DOCUMENTS[name]):
        if PUBLIC.match(span):
            check_names(re.sub(r"=(?=[,)])", "=0", span))


def check_block(place, block):
    assert block.reason != "", f"{place}: say why it is not run"
    if block.language in ("python", "{code-cell}"):
        options = r"\A(?:(?::[^\n]*\n)+|---\n.*?\n---\n)"  # of a cell
        check_names(re.sub(options, "", block.code, flags=re.DOTALL))
    elif not block.language.startswith("{") and block.reason is None:
        known = ("indented", *COMMAND_LANGUAGES, *DATA_LANGUAGES)
        allowed = f"python, {', '.join(known)}"
        assert block.language in known, f"{place}: name one of {allowed}, or say why it is not run"
    if block.language in COMMAND_LANGUAGES and block.reason is None:
        for words in commands_of(block.code):
            assert is_checked(words), f"{place}: {words} is not checked; say why it is not run"


# --- Commands


def commands_of(code):
    """Words of every command; in a block with prompts, `$ `, other lines are its output."""
    lines = code.replace("\\\n", " ").splitlines()
    prompted = [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]
    for line in prompted or lines:
        words: list[str] = []
        for word in [*shlex.split(line, comments=True), ";"]:
            if word not in (";", "&&", "|", "&"):
                words.append(word)
            elif words:
                yield words
                words = []


def of_collapse(words):
    """The arguments of `collapse`, started by itself, by a launcher or within a quoted command."""
    for place, word in enumerate(words):
        if word == "collapse":
            return words[place + 1 :]
        if word.startswith("collapse "):
            return shlex.split(word)[1:]
    return None


def of_make(words):
    return words[1:] if words[0] == "make" else None


def script_of(words):
    """The program that is started, if it is one of this repository's."""
    words = words[1:] if words[0] == "python" else words
    return words[0] if re.fullmatch(r"[\w.]+(/\w+)+(\.py)?", words[0]) else None


def is_checked(words):
    return any(
        found is not None for found in (of_collapse(words), of_make(words), script_of(words))
    )


def all_commands(text):
    """Commands of all blocks and sentences, each once."""
    found = []
    blocks, _ = blocks_of(text)
    for block in blocks:
        if block.language in COMMAND_LANGUAGES:
            found += commands_of(block.code)
        elif block.language == "indented":  # it may be a listing of anything
            lines = block.code.replace("\\\n", " ").splitlines()
            found += commands_of("\n".join(line for line in lines if COMMAND.match(line)))
    for span in code_in_sentences(text):
        if re.match(r"(collapse|make|python) ", span):
            plain = re.sub(r"\[[^]]*\]|\.\.\.", "", span)  # what may be left out
            words = shlex.split(re.sub("EXPERIMENT|NAME", "gaussian", plain))
            if words[0] == "collapse" and len(words) == 2:
                assert words[1] in COMMANDS, span
            else:
                found.append(words)
    return [list(words) for words in dict.fromkeys(map(tuple, found))]


class ReachedError(Exception):
    """Where the command would begin to simulate."""


def reached(*_, **__):
    raise ReachedError


def start_of(out, command, options, remedy=""):
    experiment = command.config()
    if "$" not in options.process:
        run_module.process_of(options, False) if options.process else None
    assert experiment.joins_processes in (False, True)
    raise ReachedError


class PointsOnly(Grid):
    """Every point of a sweep must be one that could be run."""

    def fail(self, point, error):
        if not isinstance(error, ReachedError):
            raise error

    def records(self):
        raise ReachedError


@pytest.fixture
def only_parsed(tmp_path, monkeypatch):
    """Commands end where they would read a run or simulate."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLLAPSE_JAX_DEBUG", "1")  # what ends a command is an internal error
    for kind in EXPERIMENTS.values():
        monkeypatch.setattr(kind, "run", reached)
        monkeypatch.setattr(kind, "check", lambda *_: None)
    # First where it is imported: that module must not find it replaced when it is loaded.
    monkeypatch.setattr("collapse_jax.cli.reproduce.run_to", start_of)
    monkeypatch.setattr("collapse_jax.cli.run.run_to", start_of)
    monkeypatch.setattr("collapse_jax.results.grid.Grid", PointsOnly)
    monkeypatch.setattr("collapse_jax.verify.suite.verify", reached)
    monkeypatch.setattr("collapse_jax.planning.plan.plan", reached)
    monkeypatch.setattr("collapse_jax.utils.accelerators.describe", reached)
    for options in ("WordsOptions", "TableOptions"):
        monkeypatch.setattr(f"collapse_jax.cli.plan.{options}.source_of", reached)
    monkeypatch.setattr("collapse_jax.store.directory.remove", reached)
    monkeypatch.setattr("collapse_jax.store.archive.pack", reached)
    # --isa starts the command again in a process of its own.
    monkeypatch.setattr("collapse_jax.cli.limit_instructions", lambda *_, **__: None)
    monkeypatch.setattr(Records, "load", reached)
    monkeypatch.setattr(Command, "load", lambda path: Command("gaussian"))


def check_command(words, capsys):
    if (arguments := of_collapse(words)) is not None:
        try:
            code = main(arguments)
        except ReachedError:
            return
        assert code == 0, capsys.readouterr().err
    elif (arguments := of_make(words)) is not None:
        command = ["make", "--dry-run", "--directory", str(ROOT), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
    elif (script := script_of(words)) is not None:
        assert (ROOT / script).is_file(), f"{script} is not there"


@pytest.mark.parametrize("name", DOCUMENTS)
def test_commands_are_those_of_the_command_line(name, only_parsed, capsys):
    for words in all_commands(DOCUMENTS[name]):
        check_command(words, capsys)


def test_make_docs_is_there_for_the_cells():
    cells = [name for name, text in DOCUMENTS.items() if "```{code-cell}" in text]
    if cells:
        check_command(["make", "docs"], None)


@pytest.mark.parametrize("name", DOCUMENTS)
def test_links_lead_to_files(name):
    for link in re.findall(r"\]\(([^)\s]+)\)", blocks_of(DOCUMENTS[name])[1]):
        if not link.startswith(("http:", "https:", "#", "mailto:")):
            assert (ROOT / name).parent.joinpath(link.partition("#")[0]).exists(), link


# --- Negative controls


@pytest.mark.parametrize(
    "command",
    [
        "collapse run gaussian --num-chain 10",
        "collapse run gausian",
        "collapse run gaussian policy:mixing --policy.gamma 2",
        "collapse run gaussian \\\n    --policy.num-sample 100",
        "srun --ntasks=4 collapse run gaussian --process 4/4",
        "collapse sweep gaussian policy:mixing --policy.gamma 0,2",
        "collapse extend runs/mine --num-chain 100",
        "collapse reproduce --only gausian",
        "collapse verify --lane long",
        "collapse rerun runs/mine",
        "make demonstration",
        "python tests/crash/killer.py --times 200",
    ],
)
def test_a_wrong_command_is_found(command, only_parsed, capsys):
    text = f"Text:\n\n```bash\n{command}\n```\n\nand, as it may stand, too,\n\n    make test\n"
    (wrong, right) = all_commands(text)
    check_command(right, capsys)
    with pytest.raises(AssertionError):
        check_command(wrong, capsys)


@pytest.mark.parametrize(
    "code",
    [
        "cj.simulation(None, key=0)",
        "cj.simulate(None, key=0, chains=10)",
        "from collapse_jax.families import language_models",
        "from collapse_jax.families import language_model as lm\nlm.generate(1, 2, beams=5)",
        "cj.Mixing(100, delta=0.1)",
    ],
)
def test_a_wrong_name_is_found_whether_run_or_not(code):
    text = f"```python\nimport collapse_jax as cj\n{code}\n```\n"
    with pytest.raises((ImportError, AttributeError, TypeError)):
        run_blocks("planted", text)
    (block,) = python_blocks(f"<!-- not run: takes\n     an hour -->\n{text}")
    assert block.reason == "takes\n     an hour"
    (cell,) = blocks_of(f"```{{code-cell}}\n:tags: [hide-input]\n{code}\n```\n")[0]
    for one in (block, cell):
        with pytest.raises((ImportError, AttributeError, TypeError)):
            check_block("planted", one)


def test_blocks_are_found_wherever_they_stand():
    text = """- In a list:

  ```python
  x = 1
  ```

````{note}
```python
y = 2
```
````

    make test
"""
    found = [(block.language, block.code.strip(), block.line) for block in blocks_of(text)[0]]
    assert found[0] == ("python", "x = 1", 4)
    assert found[2:] == [("python", "y = 2", 9), ("indented", "make test", 13)]


@pytest.mark.parametrize(
    "text",
    [
        "<!-- not run: -->\n```python\n1 / 0\n```\n",
        "```\n1 / 0\n```\n",
        "```julia\n1 / 0\n```\n",
        "```console\n$ pip install something\n```\n",
    ],
)
def test_a_missing_reason_is_found(text):
    (block,) = blocks_of(text)[0]
    with pytest.raises(AssertionError):
        check_block("planted", block)
