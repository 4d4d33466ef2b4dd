"""The suites by name. Each yields pairs of a workload and what is timed on it."""

from collections.abc import Callable
from typing import NamedTuple

from . import default, fit, iteration, scaling, seeding, small


class Suite(NamedTuple):
    """A name, a sentence for the head of its table, its cases, and how often each is repeated."""

    title: str
    cases: Callable
    repeats: int


SUITES = {
    name: Suite(module.__doc__.splitlines()[0], module.cases, module.REPEATS)
    for name, module in (
        ("iteration", iteration),
        ("seeding", seeding),
        ("fit", fit),
        ("default", default),
        ("small", small),
        ("scaling", scaling),
    )
}
