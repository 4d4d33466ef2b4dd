"""The capabilities table: complete, shown in docs as it is, and true of plain calls everywhere."""

import inspect

import numpy as np
import pytest

import kmeans_fx
from docs.capabilities import PAGE, page
from kmeans_fx._backend.capabilities import ROWS, TRANSFORMS
from tests.cases import CASES, expected, leaves, problems

# They make or read a stopping rule or a status; no rows go in.
ABOUT_STOPPING = {
    "all_of",
    "any_of",
    "centroid_shift",
    "describe",
    "has_converged",
    "inertia_change",
    "label_change",
}
FUNCTIONS = {n for n in kmeans_fx.__all__ if inspect.isfunction(getattr(kmeans_fx, n))}


def test_every_function_has_a_row():
    assert {row.call for row in ROWS} >= FUNCTIONS - ABOUT_STOPPING


def test_every_row_has_a_case():
    assert [row.call for row in ROWS] == list(CASES)


@pytest.mark.parametrize("row", ROWS, ids=[row.call for row in ROWS])
def test_a_row_refuses_only_transforms_that_exist(row):
    assert all(name in TRANSFORMS[backend] and no.reason for (backend, name), no in row.no.items())
    assert not any(name == "call" for _, name in row.no)


def test_the_page_shows_the_table():
    text = PAGE.read_text(encoding="utf-8")
    assert text == page(), "run `python -m nox -s transforms`"


# JAX's calls are tested next to its transforms, where what they compile is counted.
@pytest.mark.uncompiled
@pytest.mark.parametrize("row", CASES)
def test_call(xp, asarray, to_numpy, row):
    found = leaves(CASES[row](asarray(xp, problems()[0], "float64")))
    for ours, theirs in zip(found, expected(row)[0], strict=True):
        np.testing.assert_allclose(to_numpy(ours), theirs[0], rtol=1e-9, atol=1e-9)
