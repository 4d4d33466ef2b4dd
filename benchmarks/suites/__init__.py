"""The suites by name. A case is a workload and a function of its data that gives the plan."""

from typing import NamedTuple

from . import default, fit, iteration, minibatch, scaling, search, seeding, silhouette, small


class Suite(NamedTuple):
    """A name, a sentence for the head of its table, its cases, and how often each is repeated."""

    title: str
    cases: list
    repeats: int


SUITES = {
    name: Suite(module.__doc__.splitlines()[0], module.CASES, module.REPEATS)
    for name, module in (
        ("iteration", iteration),
        ("seeding", seeding),
        ("fit", fit),
        ("default", default),
        ("small", small),
        ("scaling", scaling),
        ("silhouette", silhouette),
        ("minibatch", minibatch),
        ("search", search),
    )
}
