"""Sphinx configuration. Warnings are errors: see the ``docs`` session of noxfile.py."""

from importlib.metadata import version as installed_version

project = "kmeans_fx"
author = "kmeans_fx contributors"
copyright = author  # noqa: A001 (Sphinx asks for this name)
version = release = installed_version("kmeans-fx")

extensions = ["myst_nb", "numpydoc", "sphinx.ext.autosummary", "sphinx.ext.mathjax"]
exclude_patterns = ["_build"]
templates_path = ["_templates"]
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3

# Pages with {code-cell} blocks run at every build; an exception in one fails it.
nb_execution_mode = "force"
nb_render_markdown_format = "myst"  # tables
nb_execution_raise_on_error = True
nb_merge_streams = True  # what a cell prints is one block
nb_execution_timeout = 120  # seconds a cell may take, on a busy machine too

# Signatures without annotations and types as plain words: the docstrings say shape and dtype.
autodoc_typehints = "none"
numpydoc_show_class_members = False

html_theme = "furo"
html_title = f"kmeans_fx {release}"
