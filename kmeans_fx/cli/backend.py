"""The array library that ``--backend`` names."""

import os
from importlib import import_module
from importlib.util import find_spec

from kmeans_fx.cli.errors import BadInputError

CHOICES = "numpy|torch|jax"


def load_namespace(name):
    """Import an array library, through array-api-compat where that wraps it."""
    # JAX reads this once, when it is imported: tables are clustered in 64 bits everywhere.
    os.environ.setdefault("JAX_ENABLE_X64", "1")
    wrapper = f"array_api_compat.{name}"
    try:
        return import_module(wrapper if find_spec(wrapper) else f"{name}.numpy")
    except ModuleNotFoundError as error:
        msg = f'--backend {name} is not installed: python -m pip install "kmeans-fx[{name}]"'
        raise BadInputError(msg) from error
