"""Validate the docstring of every public name with numpydoc: ``python -m docs.docstrings``."""

import inspect
import sys

from numpydoc.docscrape import get_doc_object
from numpydoc.validate import validate

import kmeans_fx

ALLOWED = {
    "ES01": "the summary may say it all",
    "EX01": "tests/test_public_api.py asks functions for examples",
    "GL01": "the summary starts on the line of the quotes",
    "GL08": "a constant has no docstring of its own",
    "PR04": "options that are those of `lloyd` say only so",
    "PR06": "'integer array' is no misspelt int",
    "PR07": "the type and shape of a parameter may say it all",
    "RT03": "the type and shape of a result may say it all",
    "SA01": "not every function has a relative",
    "SS02": "k-means is written so",
    "SS05": "'Indices drawn by ...' is no third person",
    "SS06": "a summary may take two lines",
}


def public_objects(module):
    """Full names and objects of a module's ``__all__``, and of the modules named there."""
    for name in module.__all__:
        item = getattr(module, name)
        if inspect.ismodule(item):
            yield from public_objects(item)
        elif callable(item):
            yield f"{module.__name__}.{name}", item


def complaints():
    """Yield one line for each rule that a public docstring breaks."""
    for name, item in public_objects(kmeans_fx):
        for code, message in validate(get_doc_object(item))["errors"]:
            as_attributes = code == "PR01" and inspect.isclass(item)  # a NamedTuple's fields
            if code not in ALLOWED and not as_attributes:
                yield f"{name}: {code} {message}"


if __name__ == "__main__":
    sys.exit("\n".join(complaints()) or 0)
