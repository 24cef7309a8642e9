"""Who may import whom, and what `import collapse_jax` costs."""

import ast
import pathlib
import subprocess
import sys

import pytest

import collapse_jax

ROOT = pathlib.Path(collapse_jax.__file__).parent
FLOORS = (
    ("utils",),
    ("config",),
    ("random", "store", "text", "plots"),
    ("core", "lm", "results", "theory"),
    ("sources", "policies", "metrics"),
    ("families", "report", "engine"),
    ("planning", "explorer"),
    ("experiments", "testing", ""),  # "": the public names, collapse_jax/__init__.py
    ("verify",),
    ("cli",),
)
FLOOR = {room: floor for floor, rooms in enumerate(FLOORS, 1) for room in rooms}
HEAVY = (
    "transformers datasets flax matplotlib scipy.special scipy.stats xarray pandas torch zarr "
    "tyro rich optax"
).split()


def module_of(path):
    """Name of a file below the package, without the package's own."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    parts = ("cli", *parts) if parts == ("__main__",) else parts  # the door to the command line
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


FILES = {module_of(path): path for path in ROOT.rglob("*.py")}


def imports(path):
    """Modules of the package that a file imports, anywhere in it, without the package's name."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("collapse_jax"):
            base = (node.module or "").removeprefix("collapse_jax").removeprefix(".")
            for alias in node.names:
                below = f"{base}.{alias.name}".removeprefix(".")
                yield below if below in FILES else base
        elif isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.startswith("collapse_jax"):
                    yield alias.name.removeprefix("collapse_jax").removeprefix(".")


@pytest.mark.parametrize("module", FILES)
def test_imports_point_down(module):
    room = module.split(".")[0]
    for imported in imports(FILES[module]):
        other = imported.split(".")[0]
        assert other == room or FLOOR[other] < FLOOR[room], f"{module} imports {imported}"


def test_an_upward_import_would_be_found(tmp_path):
    file = tmp_path / "chain.py"
    file.write_text(
        "from collapse_jax.engine.simulate import simulate\n"
        "def f():\n    import collapse_jax.cli\n"
        "    from collapse_jax.utils import check\n"
    )
    assert list(imports(file)) == ["engine.simulate", "cli", "utils.check"]
    assert FLOOR["engine"] > FLOOR["core"]


def circle(graph):
    """Modules that import each other, directly or not; empty if there are none."""
    left = {name: set(others) & graph.keys() - {name} for name, others in graph.items()}
    while free := [name for name, others in left.items() if not others]:
        for name in free:
            del left[name]
        for others in left.values():
            others.difference_update(free)
    return sorted(left)


def test_no_file_imports_itself_by_way_of_others():
    assert circle({name: set(imports(path)) for name, path in FILES.items()}) == []
    assert circle({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": set()}) == ["a", "b", "c"]


def test_the_house_has_few_rooms_and_floors():
    assert {name.split(".")[0] for name in FILES} == FLOOR.keys()
    assert len([*FLOOR, "benchmarks"]) <= 24
    assert len(FLOORS) <= 10
    assert sorted(path.name for path in ROOT.glob("*.py")) == [
        "__init__.py",
        "__main__.py",
        "config.py",
    ]


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
