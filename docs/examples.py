"""A pytest plugin that runs every Python example of README, docs and docstrings.

Use: ``python -m pytest -p docs.examples README.md docs kmeans_fx``. The examples of one file
share their names, in order, as a reader would type them. Pages with pictures hold
``{code-cell}`` blocks instead, which the Sphinx build runs and shows.
"""

from doctest import ELLIPSIS, NORMALIZE_WHITESPACE
from pathlib import Path

from sybil import Sybil
from sybil.parsers.doctest import DocTestParser
from sybil.parsers.myst import PythonCodeBlockParser

ROOT = Path(__file__).parents[1]
OPTIONS = ELLIPSIS | NORMALIZE_WHITESPACE

pages = Sybil(
    parsers=[PythonCodeBlockParser(doctest_optionflags=OPTIONS)],
    path=str(ROOT),
    patterns=["README.md", "docs/*.md"],
)
docstrings = Sybil(
    parsers=[DocTestParser(OPTIONS)],
    path=str(ROOT / "kmeans_fx"),
    patterns=["*.py"],
)
pytest_collect_file = (pages + docstrings).pytest()
