"""Importing kmeans_fx imports no array library; using it with one imports no other."""

import subprocess
import sys

import pytest

# Nothing that a user of one array library did not ask for.
FRAMEWORKS = {"cupy", "dask", "jax", "numpy", "torch"}
TOOLS = {
    "kneed",
    "matplotlib",
    "numba",
    "pandas",
    "pyarrow",
    "rich",
    "scipy",
    "sklearn",
    "triton",
    "typer",
}

IMPORT = "import kmeans_fx"
USE = """
import kmeans_fx
x = xp.asarray([[0.0, 0.0], [0.0, 1.0], [9.0, 9.0], [9.0, 8.0]])
result = kmeans_fx.kmeans(x, 2, key=0)
assert type(result.centroids) is type(x)
"""


def modules_after(code):
    """Top-level names in sys.modules after ``code`` ran in a fresh interpreter."""
    code += "\nimport sys\nprint(*{name.partition('.')[0] for name in sys.modules})"
    command = [sys.executable, "-W", "ignore", "-c", code]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    return set(run.stdout.split())


@pytest.mark.backend("numpy", "array-api-strict", "jax", "torch")
def test_import_imports_no_array_library():
    assert modules_after(IMPORT) & (FRAMEWORKS | TOOLS) == set()


@pytest.mark.parametrize(
    ("namespace", "needs"),
    [
        pytest.param("numpy", {"numpy"}, marks=pytest.mark.backend("numpy")),
        pytest.param("array_api_strict", {"numpy"}, marks=pytest.mark.backend("array-api-strict")),
        pytest.param("jax.numpy", {"jax", "numpy"}, marks=pytest.mark.backend("jax")),
        pytest.param("torch", {"numpy", "torch"}, marks=pytest.mark.backend("torch")),
    ],
)
def test_use_with_one_library_imports_no_other(namespace, needs):
    before = modules_after(f"import {namespace} as xp")
    added = modules_after(f"import {namespace} as xp\n{USE}") - before
    assert added & ((FRAMEWORKS | TOOLS) - needs) == set()


@pytest.mark.backend("torch")
def test_an_eager_call_imports_no_compiler():
    """It takes seconds."""
    modules_after(
        f"import torch as xp\n{USE}\nimport sys\nassert 'torch._dynamo' not in sys.modules"
    )
