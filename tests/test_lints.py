"""Small lints of the sources: arrays are made on a device, and functions are tested everywhere."""

import ast
import inspect
from functools import cache
from pathlib import Path

import pytest

import kmeans_fx

ROOT = Path(__file__).parents[1]
# It makes arrays for itself, on one library.
OTHER_ROOMS = ("cli/",)
CREATE = {"arange", "asarray", "empty", "eye", "full", "linspace", "ones", "zeros"}
PACKAGE = ROOT / "kmeans_fx"
SOURCES = sorted(
    path.relative_to(PACKAGE).as_posix()
    for path in PACKAGE.rglob("*.py")
    if not path.relative_to(PACKAGE).as_posix().startswith(OTHER_ROOMS)
)
FUNCTIONS = [n for n in kmeans_fx.__all__ if inspect.isfunction(getattr(kmeans_fx, n))]


def homeless(source):
    """Lines that make an array with ``xp`` and do not say on which device."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Call(func=ast.Attribute(value=ast.Name(id="xp"), attr=name)):
                if name in CREATE and not _says_where(node.keywords):
                    yield node.lineno


def _says_where(keywords):
    # **like may hold the device, and copy= is for an array, which stays where it is.
    return any(keyword.arg in ("device", "copy", None) for keyword in keywords)


@pytest.mark.parametrize("room", SOURCES)
def test_arrays_are_made_on_a_device(room):
    assert list(homeless((PACKAGE / room).read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("xp.zeros(3)", True),
        ("xp.asarray([1.0], dtype=x.dtype)", True),
        ("xp.zeros(3, device=device(x))", False),
        ("xp.full((), 1.0, **like)", False),
        ("xp.zeros_like(x)", False),
        ("np.zeros(3)", False),
    ],
)
def test_the_lint_sees_a_missing_device(line, found):
    assert bool(list(homeless(line))) == found


@cache
def names_tested_everywhere():
    """Public names in the files of tests that use the ``xp`` fixture."""
    files = (ROOT / "tests").glob("test_*.py")
    trees = [list(ast.walk(ast.parse(path.read_text(encoding="utf-8")))) for path in files]
    return {_name(node) for tree in trees if any(map(_takes_xp, tree)) for node in tree}


def _takes_xp(node):
    if not isinstance(node, ast.FunctionDef) or not node.name.startswith("test_"):
        return False
    # A test for one library alone is none for all.
    marks = {ast.unparse(mark).partition("(")[0] for mark in node.decorator_list}
    return "xp" in {a.arg for a in node.args.args} and "pytest.mark.backend" not in marks


def _name(node):
    match node:
        case ast.Attribute(attr=name) | ast.Name(id=name):
            return name
    return None


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_function_is_tested_on_every_library(name):
    assert name in names_tested_everywhere()
