"""Who may import whom, and what `import collapse_jax` costs."""

import ast
import pathlib
import subprocess
import sys

import pytest

import collapse_jax

ROOT = pathlib.Path(collapse_jax.__file__).parent
LAYERS = (
    ("config", "check", "memory", "progress", "workplace", "chains_last"),
    ("random",),
    ("linear", "in_turn", "optimizer"),
    ("corpus",),
    ("mixture", "text", "vae"),
    ("source", "policy", "history"),
    ("family",),
    ("metrics", "theory", "sources", "policies"),
    ("families", "draws"),
    ("chain",),
    ("store",),
    ("results",),
    ("execution",),
    ("host",),
    ("devices",),
    ("batching",),
    ("plan",),
    ("recording",),
    ("storing",),
    ("together",),
    ("simulate",),
    ("sweep",),
    ("testing",),
    ("verify",),
    ("plots", "report"),
    ("experiments",),
    ("cli",),
)
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}
# What draws figures and writes reports sees results and theory, never the engine.
PRESENTATION = {"plots", "report"}
SEEN_BY_PRESENTATION = PRESENTATION | {"results", "theory"}
HEAVY = (
    "transformers datasets flax matplotlib scipy.special scipy.stats xarray pandas torch zarr "
    "tyro rich optax"
).split()


def imports(path):
    """Modules of the package that a file imports, as parts after the package's name."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("collapse_jax"):
            parts = (node.module or "").split(".")[1:]
            yield from [parts] if parts else ([alias.name] for alias in node.names)
        elif isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.startswith("collapse_jax."):
                    yield alias.name.split(".")[1:]


FILES = [path for path in ROOT.rglob("*.py") if path != ROOT / "__init__.py"]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_point_down(path):
    own = path.relative_to(ROOT).parts[0].removesuffix(".py")
    for parts in imports(path):
        assert LEVEL[parts[0]] <= LEVEL[own], f"{own} imports {'.'.join(parts)}"
        if own in PRESENTATION:
            assert parts[0] in SEEN_BY_PRESENTATION


def test_an_upward_import_would_be_found(tmp_path):
    file = tmp_path / "chain.py"
    file.write_text("from collapse_jax.simulate import simulate\nimport collapse_jax.cli\n")
    assert list(imports(file)) == [["simulate"], ["cli"]]
    assert LEVEL["simulate"] > LEVEL["chain"]


def run(code):
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120
    )
    return found.stdout.strip()


def test_importing_the_package_is_light():
    loaded = run("import sys, collapse_jax; print(*sys.modules)").split()
    assert not set(HEAVY) & set(loaded)


def test_importing_the_package_allocates_nothing():
    code = "import collapse_jax, jax; print(len(jax.live_arrays()))"
    assert run(code) == "0"


def modules_of(module):
    """Modules loaded by an import: a measure of its cost that no busy machine disturbs."""
    return int(run(f"import sys, {module}; print(len(sys.modules))"))


def test_the_package_adds_few_modules_to_jax():
    assert modules_of("collapse_jax") < 1.3 * modules_of("jax")
