"""The rooms of the house: what lies at the top level, and who may name an array library."""

import ast
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TOP_LEVEL = {
    "CHANGELOG.md",
    "LICENSE",
    "README.md",
    "benchmarks",
    "docs",
    "kmeans_fx",
    "noxfile.py",
    "pyproject.toml",
    "tests",
}
ENGINES = {"cupy", "dask", "jax", "matplotlib", "numba", "torch", "triton"}
# These may name their own engine; everybody else asks _backend.
FREE_ROOMS = ("_backend/", "distributed/", "plot/")

PACKAGE = ROOT / "kmeans_fx"
SOURCES = sorted(path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py"))


def tracked_files():
    if not (ROOT / ".git").exists():
        pytest.skip("the tree is not a git checkout")
    listing = ["git", "-C", str(ROOT), "ls-files"]
    return subprocess.run(listing, check=True, capture_output=True, text=True).stdout.split("\n")


def engines_named(source):
    """Lines of code that name an engine; docstrings, comments and messages may."""
    for node in ast.walk(ast.parse(source)):
        for word in _words(node):
            if word.partition(".")[0] in ENGINES:
                yield node.lineno, word


def _words(node):
    match node:
        case ast.Import(names=names):
            return [name.name for name in names]
        case ast.ImportFrom(module=module, names=names):
            # `from array_api_compat import torch` names an engine too.
            return [module or "", *(name.name for name in names)]
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return [name]
        case ast.Constant(value=str(text)):
            return [text]  # "jax" or "jax.numpy" alone, as importlib would take it
    return []


def test_top_level_holds_what_the_design_names():
    visible = {path.partition("/")[0] for path in tracked_files() if not path.startswith(".")}
    assert visible - {""} <= TOP_LEVEL


@pytest.mark.parametrize("room", [path for path in SOURCES if not path.startswith(FREE_ROOMS)])
def test_only_the_backend_names_an_engine(room):
    source = (PACKAGE / room).read_text(encoding="utf-8")
    assert list(engines_named(source)) == []


@pytest.mark.parametrize(
    "line",
    [
        "import jax.numpy as jnp",
        "from torch import Tensor",
        "from array_api_compat import torch",
        "import_module('cupy')",
        "y = library.numba",
    ],
)
def test_the_check_sees_an_engine(line):
    assert list(engines_named(line))


def test_the_check_lets_documentation_speak():
    text = '"""Runs under jax.jit and on torch."""\n# torch too\nraise TypeError("no jax key")\n'
    assert list(engines_named(text)) == []
