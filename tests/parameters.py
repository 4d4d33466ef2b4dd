"""Parameters of tests that many files share."""

import pytest


def uncompiled(*values):
    """Parameters that are not for JAX, which would compile anew for each, unless with ``-m ''``."""
    return [pytest.param(value, marks=pytest.mark.uncompiled) for value in values]
