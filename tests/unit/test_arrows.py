"""The folder is the diagram: imports go training -> dicom_node, adapters -> stories -> domain, and never back.

Read from the source, not by importing, so that imports inside functions count as well.
"""

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

DOMAIN = (
    "regions",
    "bodypart",
    "wording",
    "content",
    "instance",
    "verdict",
    "policy",
    "rules",
    "retry",
    "errors",
    "commitment",
    "label",
    "record",
    "standing",
    "closing",
    "repair",
    "ports",
)
STORIES = ("receive", "classify", "correct", "forward", "study", "retention", "promise", "commit")
INFRASTRUCTURE = {"sqlalchemy", "alembic", "psycopg", "pynetdicom", "fastapi", "uvicorn", "onnxruntime", "apscheduler"}


def test_the_domain_imports_the_standard_library_numpy_and_itself_alone() -> None:
    # `terms` holds the standard's tables as data files; reading one imports no code of ours.
    allowed = {f"dicom_node.{name}" for name in DOMAIN} | {"dicom_node", "dicom_node.terms", "numpy"}
    strangers = {
        f"dicom_node.{name} -> {imported}"
        for name in DOMAIN
        for imported in imports_of(f"dicom_node.{name}")
        if not (_top(imported) in sys.stdlib_module_names or imported in allowed or _top(imported) == "numpy")
    }
    assert strangers == set()


@pytest.mark.parametrize("story", STORIES)
def test_a_story_reaches_no_infrastructure_not_even_through_others(story: str) -> None:
    reached = {
        f"{module} -> {imported}"
        for module in reachable_from(modules_under(f"dicom_node.{story}"))
        for imported in imports_of(module)
        if _top(imported) in INFRASTRUCTURE
    }
    assert reached == set()


def test_the_node_never_imports_torch_or_training() -> None:
    forbidden = {"torch", "torchvision", "training", "onnx", "tests"}
    arrows = {
        f"{module} -> {imported}"
        for module in modules_under("dicom_node")
        for imported in imports_of(module)
        if _top(imported) in forbidden
    }
    assert arrows == set()


def test_training_takes_pixels_labels_and_terms_from_the_node_and_none_of_its_servers() -> None:
    served = {"dicom_node.dimse", "dicom_node.ledger", "dicom_node.web", "dicom_node.node", "dicom_node.workers"}
    # `prepare` learns from what a node has taken in: one module asks the ledger for it.
    arrows = {
        f"{module} -> {imported}"
        for module in modules_under("training")
        for imported in imports_of(module)
        if (module, imported) != ("training.ledger_files", "dicom_node.ledger")
        and any(imported == room or imported.startswith(f"{room}.") for room in served)
    }
    assert arrows == set()


def test_only_the_command_line_and_the_entry_point_know_the_composition_root() -> None:
    knowing = {
        module
        for module in modules_under("dicom_node")
        if "dicom_node.node" in imports_of(module) and module != "dicom_node.node"
    }
    assert {module for module in knowing if not module.startswith("dicom_node.cli")} <= {"dicom_node.__main__"}


def test_a_command_waits_for_no_library_that_it_does_not_need() -> None:
    """Every command imports all commands: what is heavy has to stay inside the functions that want it."""
    heavy = {"pydicom", "numpy", "cv2", "PIL", *INFRASTRUCTURE}
    ask = "import sys, dicom_node.cli; print(*sys.modules)"
    told = subprocess.run([sys.executable, "-c", ask], check=True, capture_output=True, text=True, timeout=60)
    assert heavy & set(told.stdout.split()) == set()


def test_every_room_that_this_test_guards_is_there() -> None:
    guarded = {f"dicom_node.{name}" for name in (*DOMAIN, *STORIES)}
    assert guarded <= set(modules())


def test_no_module_is_named_after_a_heap() -> None:
    heaps = {"utils", "util", "helpers", "helper", "common", "base", "manager", "misc"}
    assert {module for module in modules() if heaps & set(module.split("."))} == set()


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ("import torch.nn as nn", {"torch.nn"}),
        ("from dicom_node import imaging", {"dicom_node", "dicom_node.imaging"}),
        ("from . import grey", {"dicom_node.imaging", "dicom_node.imaging.grey"}),
        ("from ..model.session import Model", {"dicom_node.model.session"}),
        ("def late():\n    import sqlalchemy", {"sqlalchemy"}),
        ("import importlib\nimportlib.import_module('torch')", {"importlib", "torch"}),
    ],
)
def test_an_import_is_seen_in_whatever_form_it_is_written(statement: str, expected: set[str]) -> None:
    found = set(_imports_in(ast.parse(statement), package="dicom_node.imaging"))
    assert expected <= found
    assert {name for name in found - expected if name in modules()} == set()


@cache
def modules() -> dict[str, Path]:
    """Every module of both packages, by dotted name."""
    found = {}
    for path in sorted([*ROOT.glob("dicom_node/**/*.py"), *ROOT.glob("training/**/*.py")]):
        parts = path.relative_to(ROOT).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def modules_under(name: str) -> set[str]:
    """A module and, where it is a package, everything inside it."""
    return {module for module in modules() if module == name or module.startswith(f"{name}.")}


@cache
def imports_of(module: str) -> frozenset[str]:
    """The dotted names that a module imports, anywhere in its source."""
    path = modules()[module]
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    return frozenset(_imports_in(ast.parse(path.read_text(encoding="utf-8")), package=package))


def reachable_from(start: set[str]) -> set[str]:
    """These modules of ours, and all that they import, at first or second hand."""
    reached: set[str] = set()
    waiting = set(start)
    while waiting:
        module = waiting.pop()
        reached.add(module)
        parents = {module.rpartition(".")[0]} - {""}
        waiting |= ((imports_of(module) | parents) & set(modules())) - reached
    return reached


def _imports_in(tree: ast.AST, *, package: str) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            source = _absolute(node, package)
            yield source
            # `from package import module` brings in the module too; names that are no modules match nothing.
            yield from (f"{source}.{alias.name}" for alias in node.names if f"{source}.{alias.name}" in modules())
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module"):
            yield from (arg.value for arg in node.args if isinstance(arg, ast.Constant) and isinstance(arg.value, str))


def _absolute(node: ast.ImportFrom, package: str) -> str:
    if not node.level:
        return node.module or ""
    parents = package.split(".")
    base = parents[: len(parents) - node.level + 1]
    return ".".join([*base, node.module] if node.module else base)


def _top(module: str) -> str:
    return module.partition(".")[0]
