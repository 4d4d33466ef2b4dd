"""Laws that every public name keeps: listed, documented and called in the same way."""

import inspect
import re
from pathlib import Path

import pytest

import kmeans_fx

NAMES = kmeans_fx.__all__
FUNCTIONS = [name for name in NAMES if inspect.isfunction(getattr(kmeans_fx, name))]
PARAMETERS = {name: inspect.signature(getattr(kmeans_fx, name)).parameters for name in FUNCTIONS}
TAKE_DATA = [name for name, p in PARAMETERS.items() if {"x", "stats", "state"} & p.keys()]
RESULTS = [name for name in NAMES if hasattr(getattr(kmeans_fx, name), "_fields")]
API_PAGE = Path(__file__).parents[1] / "docs" / "api.md"


def sections(doc):
    """Map the underlined titles of a numpydoc docstring to what is below them."""
    parts = re.split(r"^(\w[\w ]*)\n-{3,}$", doc, flags=re.M)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def documented(section):
    """The names that a Parameters or Attributes section describes."""
    lines = re.findall(r"^(\S[^:\n]*?)(?: :.*)?$", section, re.M)
    return [name for line in lines for name in line.replace("*", "").split(", ")]


def test_all_has_no_duplicates_and_every_name_exists():
    assert len(NAMES) == len(set(NAMES))
    assert all(hasattr(kmeans_fx, name) for name in NAMES)


def test_all_is_sorted():
    """Constants, then classes, then functions, each in alphabetic order."""
    assert list(NAMES) == sorted(NAMES, key=lambda n: (not n.isupper(), not n[0].isupper(), n))


@pytest.mark.parametrize("name", NAMES)
def test_every_name_is_in_the_api_page(name):
    assert re.search(rf"(^ +|`){name}(`|$)", API_PAGE.read_text(encoding="utf-8"), re.M)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_have_numpydoc_docstrings(name):
    parts = sections(inspect.getdoc(getattr(kmeans_fx, name)) or "")
    assert parts.keys() >= {"Parameters", "Returns", "Examples"}
    assert documented(parts["Parameters"]) == list(PARAMETERS[name])


@pytest.mark.parametrize("name", RESULTS)
def test_results_document_their_fields(name):
    result = getattr(kmeans_fx, name)
    parts = sections(inspect.getdoc(result) or "")
    assert documented(parts.get("Attributes", "")) == list(result._fields)


@pytest.mark.parametrize("name", TAKE_DATA)
def test_data_is_positional_and_options_are_keywords(name):
    kinds = {parameter.kind for parameter in PARAMETERS[name].values()}
    assert kinds <= {inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.KEYWORD_ONLY}
