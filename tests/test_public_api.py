"""Laws that every public name keeps: listed, documented and called in the same way."""

import inspect
import re
from pathlib import Path

import pytest

import kmeans_fx

NAMES = kmeans_fx.__all__
FUNCTIONS = [name for name in NAMES if inspect.isfunction(getattr(kmeans_fx, name))]
RESULTS = [name for name in NAMES if hasattr(getattr(kmeans_fx, name), "_fields")]
API_PAGE = Path(__file__).parents[1] / "docs" / "api.md"


def sections(doc):
    """The underlined section titles of a numpydoc docstring."""
    return re.findall(r"^ *(\w[\w ]*)\n *-{3,}$", doc, flags=re.MULTILINE)


def documented_parameters(doc):
    """The names of a docstring's Parameters section."""
    body = re.search(r"^Parameters\n-+\n(.*?)(?=\n\n\w[\w ]*\n-{3,}|\Z)", doc, re.S | re.M)
    lines = re.findall(r"^(\w[\w, *]*?)(?= :|$)", body.group(1), re.M) if body else []
    return [name for line in lines for name in line.split(", ")]


def test_all_is_sorted_and_complete():
    assert sorted(set(NAMES)) == list(NAMES)
    assert all(hasattr(kmeans_fx, name) for name in NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_every_name_is_in_the_api_page(name):
    assert re.search(rf"^ +{name}$", API_PAGE.read_text(encoding="utf-8"), re.M)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_have_numpydoc_docstrings(name):
    function = getattr(kmeans_fx, name)
    doc = inspect.getdoc(function)
    assert {"Parameters", "Returns", "Examples"} <= set(sections(doc))
    assert documented_parameters(doc) == list(inspect.signature(function).parameters)


@pytest.mark.parametrize("name", RESULTS)
def test_results_document_their_fields(name):
    result = getattr(kmeans_fx, name)
    doc = inspect.getdoc(result)
    assert sections(doc)
    assert all(re.search(rf"^{field} :", doc, re.M) for field in result._fields)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_data_is_positional_and_options_are_keywords(name):
    kinds = {p.kind for p in inspect.signature(getattr(kmeans_fx, name)).parameters.values()}
    assert inspect.Parameter.POSITIONAL_OR_KEYWORD not in kinds
