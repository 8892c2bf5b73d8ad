"""Higher layers may import lower ones, never the reverse, and never sideways."""

import ast
import importlib
import pkgutil
import re
from pathlib import Path

import pytest

import sparrow
from workshop import architecture
from workshop.architecture import LAYERS

SRC = Path(sparrow.__file__).parent

RANK = {name: rank for rank, names in enumerate(LAYERS) for name in names}


def unit(module: str) -> str:
    """`sparrow.model.mla` belongs to `model`."""
    return module.split(".")[1] if "." in module else ""


def modules() -> list[str]:
    found = pkgutil.walk_packages([str(SRC)], "sparrow.")
    return sorted(each.name for each in found)


def imports(module: str) -> set[str]:
    """Every sparrow module that this one imports, late imports included."""
    spec = importlib.util.find_spec(module)
    tree = ast.parse(Path(spec.origin).read_text("utf-8"))
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return {name for name in found if name.startswith("sparrow.")}


@pytest.mark.parametrize("module", modules())
def test_a_module_imports_only_what_lies_below_it(module):
    here = unit(module)
    assert here in RANK, f"say in which layer {here} lies"
    for name in imports(module):
        there = unit(name)
        if there in ("Config", "Sparrow"):
            there = {"Config": "config", "Sparrow": "model"}[there]
        if there not in RANK or there == here:
            continue
        sideways_ok = there == "language" or (here, there) == ("runtime", "config")
        assert RANK[there] > RANK[here] or sideways_ok, f"{module} imports {name}"


def test_sparrow_never_imports_the_instructors_tools():
    for path in SRC.rglob("*.py"):
        assert "import workshop" not in path.read_text("utf-8")
        assert "from workshop" not in path.read_text("utf-8")


def test_only_runtime_reads_the_environment():
    first = SRC / "__init__.py"  # which says how long threads wait
    for path in SRC.rglob("*.py"):
        if path.name != "runtime.py":
            found = re.findall(r"\b(environ|getenv)\b.*", path.read_text("utf-8"))
            assert len(found) == (path == first), path


def test_every_part_of_the_library_has_a_layer_and_says_its_idea():
    for name, idea in architecture.ideas().items():
        assert name in RANK, name
        assert idea.endswith("."), name


def test_the_picture_of_the_architecture_is_fresh():
    assert architecture.PICTURE.read_text("utf-8") == architecture.draw()
