"""The picture of the house is what docs/house.py draws of today's imports."""

import importlib.util
import pathlib
import xml.etree.ElementTree

import pytest

DOCS = pathlib.Path(__file__).parents[2] / "docs"
_SPEC = importlib.util.spec_from_file_location("house", DOCS / "house.py")
assert _SPEC is not None
assert _SPEC.loader is not None
house = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(house)

ROOMS = house.rooms()


def test_the_committed_picture_is_current():
    drawn = house.draw(ROOMS)
    assert house.PICTURE.read_text() == drawn, "run `python docs/house.py` and commit the picture"


def test_every_room_has_words_that_fit():
    assert house.WORDS.keys() == ROOMS.keys()
    assert set(house.READ) <= ROOMS.keys()
    for floor in house.floors(ROOMS):
        width = (house.WIDTH - house.LEFT - house.MARGIN) / len(floor) - house.GAP
        for name in floor:
            assert len(house.wrapped(house.WORDS[name], width)) <= 2, name
            assert house.NAME_WIDTH * (len(name) + 3) < width, name  # 3: a space and the number


def test_the_picture_is_svg_with_every_room():
    root = xml.etree.ElementTree.fromstring(house.draw(ROOMS))
    assert root.get("width") == "800"
    texts = {element.text for element in root.iter("{http://www.w3.org/2000/svg}text")}
    assert ROOMS.keys() <= texts


def test_floors_are_longest_paths():
    imports = {"a": set(), "b": {"a"}, "c": {"b", "a"}, "d": {"a"}, "e": set()}
    assert house.floors(imports) == [["a", "e"], ["b", "d"], ["c"]]
    with pytest.raises(ValueError, match="import each other: a, b"):
        house.floors({"a": {"b"}, "b": {"a"}})


def test_all_kinds_of_imports_are_found(tmp_path):
    package = tmp_path / "collapse_jax"
    for folder in ("top", "low", "core", "deep"):
        (package / folder).mkdir(parents=True)
        (package / folder / "__init__.py").touch()
    (package / "config.py").touch()
    (package / "__init__.py").write_text("from collapse_jax.low import name\n")
    (package / "top" / "mine.py").write_text(
        "import ast\nimport collapse_jax.core.chain as chain\n"
        "from collapse_jax import config\nfrom collapse_jax.top import other\n"
        "def f():\n    from collapse_jax.deep.far import name\n    import collapse_jax as cj\n"
        "from collapse_jaxes.low import name\n"
    )
    found = house.rooms(package)
    assert found["top"] == {"core", "config.py", "deep", "__init__.py"}
    assert found["__init__.py"] == {"low"}
    assert found["core"] == set()
