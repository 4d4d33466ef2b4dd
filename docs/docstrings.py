"""Validate the docstring of every public name with numpydoc: ``python -m docs.docstrings``."""

import ast
import inspect
import sys
from pathlib import Path

from numpydoc.docscrape import get_doc_object
from numpydoc.hooks.validate_docstrings import AstValidator
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


def public_nodes(path):
    """Names, syntax trees and module of what a file's ``__all__`` names."""
    module = ast.parse(path.read_text(encoding="utf-8"))
    named = {item.value for item in ast.walk(_all_of(module)) if isinstance(item, ast.Constant)}
    for node in module.body:
        if getattr(node, "name", None) in named:
            yield f"{path.stem}.{node.name}", node, module


def _all_of(module):
    for node in module.body:
        match node:
            case ast.Assign(targets=[ast.Name(id="__all__")], value=value):
                return value
    return ast.List([])


def faults():
    """Names, whether they are of a class, and what numpydoc finds in their docstrings."""
    for name, item in public_objects(kmeans_fx):
        yield name, inspect.isclass(item), validate(get_doc_object(item))["errors"]
    # Each of these imports an engine that need not be here, so they are read.
    for path in sorted((Path(kmeans_fx.__file__).parent / "distributed").glob("[!_]*.py")):
        for name, node, module in public_nodes(path):
            tree = {"ast_node": node, "filename": path, "ancestry": [module]}
            is_class = isinstance(node, ast.ClassDef)
            yield name, is_class, validate(f"distributed.{name}", AstValidator, **tree)["errors"]


def complaints():
    """Yield one line for each rule that a public docstring breaks."""
    for name, is_class, errors in faults():
        for code, message in errors:
            as_attributes = code == "PR01" and is_class  # a NamedTuple's fields
            if code not in ALLOWED and not as_attributes:
                yield f"{name}: {code} {message}"


if __name__ == "__main__":
    sys.exit("\n".join(complaints()) or 0)
