"""The static side of a fit, checked."""

from typing import Any, NamedTuple

from kmeans_fx._backend.checks import check_integer, check_option
from kmeans_fx._backend.transform import is_concrete
from kmeans_fx._empty import POLICIES
from kmeans_fx.assign import check_chunk_size
from kmeans_fx.converge import as_rule, plain, reads
from kmeans_fx.distances import as_metric

__all__ = ["Options", "check_options"]


class Options(NamedTuple):
    """The static side of a fit: everything that is not an array."""

    metric: Any
    rule: tuple
    empty: str
    max_iter: int
    algorithm: str
    chunk_size: int | None
    h: int
    reduce: Any = None
    callback: Any = None

    @property
    def portable(self):
        """Whether a callable keeps the fit from being one opaque operation."""
        return not (isinstance(self.metric, str) and self.reduce is None and self.callback is None)

    def crossing(self):
        """The fields that an operator boundary lets through, or all of them."""
        fields = self._asdict()
        return fields if self.portable else {f: fields[f] for f in self._fields[:-2]}


def check_options(
    x, metric, max_iter, tol, empty, key, algorithm, chunk_size, reduce, callback, history
):
    """The Options of a call, or an error that names the argument."""
    measure = as_metric(metric)
    max_iter = check_integer("max_iter", max_iter, 1)
    check_option("empty", empty, POLICIES)
    check_option("algorithm", algorithm, ("auto", "lloyd", "bounded"))
    if empty == "random" and key is None:
        msg = 'key must be given for empty="random"'
        raise ValueError(msg)
    rule = plain(as_rule(tol))
    if reduce is not None:
        _check_reduce(measure, rule, empty)
    if callback is not None and not is_concrete(x):
        msg = "callback needs an eager call: it cannot run under jit, vmap, grad or compile"
        raise ValueError(msg)
    return Options(
        metric,
        rule,
        empty,
        max_iter,
        algorithm,
        check_chunk_size(chunk_size),
        max_iter if history else 0,
        reduce,
        callback,
    )


def _check_reduce(metric, rule, empty):
    if empty in ("farthest", "random"):
        msg = f"empty must be 'split', 'merge' or 'keep' with reduce=, got {empty!r}"
        raise ValueError(msg)
    if metric.centre is not None:
        msg = "metric must have a centre that follows from the mean with reduce="
        raise ValueError(msg)
    if reads(rule, "labels"):
        msg = "tol must not read labels with reduce=, where each process sees its own"
        raise ValueError(msg)
