"""What the harness asks of a contender."""

from typing import Any, NamedTuple

import numpy as np


class Outcome(NamedTuple):
    """What a task returns, in the library's own arrays."""

    centroids: Any
    labels: Any = None
    n_iter: Any = None


class Score(NamedTuple):
    """What a task returns that scores given labels."""

    value: Any
    n_iter: Any = None


class Contender:
    """One library behind some of the tasks that are listed at the end of the class.

    A subclass defines the tasks that its library offers, and the harness skips the others by name.
    Tasks are timed whole, so they must return only when the result is there (JAX is asynchronous),
    and conversions to the library's arrays belong in ``setup``, which is not timed.
    Modules of contenders import their library inside methods only: the parent reads the class
    attributes without having the library.

    Attributes
    ----------
    name : str
    requires : tuple of str
        Distributions that must be installed, as `importlib.metadata` knows them.
    imports : tuple of str
        Modules to import before anything is timed or weighed.
    dtypes : tuple of str
        What it computes in. Without "float16" it gets such rows as float32, converted before
        anything is timed; without "float64" it is skipped by name there.
    own_start : bool
        The library cannot start from given centroids; its ``lloyd`` draws its own.
        Such a contender has a time per iteration but no time to a given inertia.
    batched : bool
        Takes ``x (b, n, d)`` and does all ``b`` problems in one task.
    """

    name: str
    requires: tuple[str, ...] = ()
    imports: tuple[str, ...] = ()
    dtypes: tuple[str, ...] = ("float32",)
    own_start = False
    batched = False

    def setup(self, x: np.ndarray, start: np.ndarray) -> None:
        """Take the data ``(..., n, d)`` and the start ``(..., k, d)``, in one of `dtypes`."""
        self.x, self.start, self.k = x, start, start.shape[-2]

    @staticmethod
    def needs(n: int, d: int, k: int) -> int:
        """Bytes beyond the data that a fit takes, where that is known to be large."""
        return 0

    @classmethod
    def offers(cls, task: str) -> bool:
        """Tell whether this library has a form of ``task``."""
        return hasattr(cls, "lloyd" if task == "iterate" else task)

    def iterate(self, max_iter: int) -> Outcome:
        """Iterate plainly, every row against every centroid: ``lloyd``, unless that skips rows."""
        return self.lloyd(max_iter)

    # lloyd(self, max_iter) -> Outcome   exactly max_iter iterations, or fewer at the fixed point
    # seed(self, key) -> Outcome         k-means++ alone
    # minibatch(self, key, size) -> Outcome   from batches of that many rows, without labels
    # fit(self, key) -> Outcome          seeding and fit, with the library's defaults, one start
    # search(self, key) -> Outcome       ten fits of which the best is kept, or a search instead
    # silhouette(self) -> Score          of the labels 0, 1, ..., k - 1, 0, 1, ... of the rows
