"""Stopping rules and what a status means."""

from typing import Any, NamedTuple

from kmeans_fx._backend.namespace import array_namespace

__all__ = [
    "CONVERGED",
    "MAX_ITER",
    "NONFINITE",
    "RUNNING",
    "STOPPED",
    "Progress",
    "all_of",
    "any_of",
    "centroid_shift",
    "describe",
    "has_converged",
    "inertia_change",
    "label_change",
]

RUNNING, CONVERGED, MAX_ITER, NONFINITE, STOPPED = range(5)

_MESSAGES = {
    RUNNING: "The iteration has not finished.",
    CONVERGED: "The stopping rule was met.",
    MAX_ITER: (
        "The limit of iterations was reached before the stopping rule was met: raise "
        "max_iter, loosen tol, or start from better centroids."
    ),
    NONFINITE: (
        "A value is not usable: NaN or infinity in the data, squares that overflow the "
        "dtype, or weights that are negative or sum to zero."
    ),
    STOPPED: "The callback asked to stop.",
}


class Progress(NamedTuple):
    """What a stopping rule may look at; each a scalar, or an array over the batch.

    Attributes
    ----------
    shift : array
        Sum over the centroids of the squared distance moved, divided by the data's
        mean per-feature variance.
    changed : array
        Share of the total weight whose label changed.
    inertia, previous : array
        Inertia of the last two sets of centroids; computed only for a rule that
        reads it.
    """

    shift: Any
    changed: Any
    inertia: Any
    previous: Any


class Rule(NamedTuple):
    """A stopping rule: a name with its bound, or with the rules that it combines."""

    name: str
    bound: Any


def centroid_shift(tol):
    """Stop when the squared shift of all centroids is at most ``tol`` variances.

    The variance is the data's mean per-feature variance: scikit-learn's rule, and
    what a plain number for ``tol=`` means.

    Parameters
    ----------
    tol : float
        Not negative.

    Returns
    -------
    Rule

    Raises
    ------
    TypeError, ValueError
        If ``tol`` is not a finite non-negative number.

    Examples
    --------
    >>> from kmeans_fx import centroid_shift
    >>> centroid_shift(1e-4)
    Rule(name='shift', bound=0.0001)
    """
    return Rule("shift", _bound("tol", tol))


def inertia_change(rtol):
    """Stop when the inertia falls by at most ``rtol`` of itself in an iteration.

    Parameters
    ----------
    rtol : float
        Not negative.

    Returns
    -------
    Rule

    Raises
    ------
    TypeError, ValueError
        If ``rtol`` is not a finite non-negative number.

    Notes
    -----
    Costs a pass more in every iteration, for the inertia.

    Examples
    --------
    >>> from kmeans_fx import inertia_change
    >>> inertia_change(1e-3)
    Rule(name='inertia', bound=0.001)
    """
    return Rule("inertia", _bound("rtol", rtol))


def label_change(fraction):
    """Stop when at most this fraction of the total weight changes its label.

    Parameters
    ----------
    fraction : float
        From 0, the fixed point, upwards.

    Returns
    -------
    Rule

    Raises
    ------
    TypeError, ValueError
        If ``fraction`` is not a finite non-negative number.

    Examples
    --------
    >>> from kmeans_fx import label_change
    >>> label_change(0.01)
    Rule(name='labels', bound=0.01)
    """
    return Rule("labels", _bound("fraction", fraction))


def any_of(*rules):
    """Stop as soon as one of the rules is met.

    Parameters
    ----------
    *rules : Rule or float

    Returns
    -------
    Rule

    Examples
    --------
    >>> from kmeans_fx import any_of, inertia_change, label_change
    >>> any_of(inertia_change(1e-3), label_change(0.01)).name
    'any'
    """
    return Rule("any", _parts(rules))


def all_of(*rules):
    """Stop when all rules are met in the same iteration.

    Parameters
    ----------
    *rules : Rule or float

    Returns
    -------
    Rule

    Examples
    --------
    >>> from kmeans_fx import all_of, inertia_change, label_change
    >>> all_of(inertia_change(1e-3), label_change(0.01)).name
    'all'
    """
    return Rule("all", _parts(rules))


def as_rule(tol):
    """The rule that ``tol=`` stands for: a Rule, or a bound on the centroid shift.

    Raises
    ------
    TypeError, ValueError
        If ``tol`` is neither a Rule nor a non-negative number.
    """
    return tol if isinstance(tol, Rule) else centroid_shift(tol)


def _parts(rules):
    if not rules:
        msg = "rules must not be empty"
        raise ValueError(msg)
    return tuple(as_rule(rule) for rule in rules)


def has_converged(progress, rule):
    """Whether a rule is met.

    Parameters
    ----------
    progress : Progress
    rule : Rule or float

    Returns
    -------
    bool array of the batch's shape

    Notes
    -----
    A fixed point, where no label changes, ends Lloyd's algorithm under every rule.

    References
    ----------
    .. [1] S. P. Lloyd, "Least squares quantization in PCM", IEEE Trans. Inf. Theory
       28(2), 1982 (Method I: stop when nothing changes).

    Examples
    --------
    >>> import numpy as np
    >>> from kmeans_fx import Progress, has_converged
    >>> quantities = (np.asarray(q) for q in (1e-5, 0.2, 3.0, 4.0))
    >>> bool(has_converged(Progress(*quantities), 1e-4))
    True
    """
    xp = array_namespace(shift=progress.shift)
    name, bound = rule if isinstance(rule, tuple) else as_rule(rule)
    if name == "shift":
        return progress.shift <= bound
    if name == "labels":
        return progress.changed <= bound
    if name == "inertia":
        return progress.previous - progress.inertia <= bound * xp.abs(progress.inertia)
    met = [has_converged(progress, part) for part in bound]
    result = met[0]
    for other in met[1:]:
        result = result | other if name == "any" else result & other
    return result


def plain(rule):
    """A rule as nested plain tuples, which every operator boundary lets through."""
    name, bound = rule
    return name, (tuple(plain(part) for part in bound) if name in ("any", "all") else bound)


def reads(rule, name):
    """Whether a rule, or a part of it, looks at the quantity of that name."""
    own, bound = rule
    return own == name or (own in ("any", "all") and any(reads(part, name) for part in bound))


def describe(status):
    """The sentence that a status stands for.

    Parameters
    ----------
    status : int or integer array with one element
        The ``status`` of a result.

    Returns
    -------
    str

    Raises
    ------
    ValueError
        If there is no such status.

    Examples
    --------
    >>> from kmeans_fx import CONVERGED, describe
    >>> describe(CONVERGED)
    'The stopping rule was met.'
    """
    code = int(status)
    if code not in _MESSAGES:
        msg = f"status must be from 0 to {max(_MESSAGES)}, got {code}"
        raise ValueError(msg)
    return _MESSAGES[code]


def _bound(name, value):
    try:
        value = float(value)
    except (TypeError, ValueError):
        msg = f"{name} must be a number or a stopping rule, got {value!r}"
        raise TypeError(msg) from None
    if not 0 <= value < float("inf"):
        msg = f"{name} must be finite and not negative, got {value}"
        raise ValueError(msg)
    return value
