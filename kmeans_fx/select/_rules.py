"""The rules by which each criterion answers: functions of a sweep to (k or None, reason)."""

import math
import warnings
from functools import partial

__all__ = ["CHOICES"]

# Kaufman and Rousseeuw: at most this much is no substantial structure.
_NO_STRUCTURE = 0.25


def _elbow(ks, sweep):
    inertia = _values(sweep, "inertia")
    if len(ks) < 3:
        return None, f"An elbow needs at least three values of k, and {len(ks)} were tried."
    if not inertia[-1] < inertia[0]:
        return None, "The inertia does not fall with k."
    knee = _knee(ks, inertia)
    if knee is None:
        return None, f"The inertia has no knee from k = {ks[0]} to {ks[-1]}."
    at = ks.index(knee)
    before = (inertia[0] - inertia[at]) / (knee - ks[0])
    after = (inertia[at] - inertia[-1]) / (ks[-1] - knee)
    return knee, (
        f"The inertia has its knee at k = {knee}: up to there each cluster more takes away "
        f"{before:.3g} of it, beyond {after:.3g}."
    )


def _knee(ks, inertia):
    try:
        from kneed import KneeLocator
    except ImportError as error:
        msg = 'method="elbow" needs kneed: python -m pip install "kmeans-fx[select]"'
        raise ImportError(msg) from error
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that there is no knee is an answer
        knee = KneeLocator(ks, inertia, curve="convex", direction="decreasing").knee
    return None if knee is None else int(knee)


def _best(ks, sweep, *, field, name, sign, least=-math.inf):
    """The k at which a criterion is largest (sign 1) or smallest (sign -1)."""
    values = _values(sweep, field)
    known = [i for i, value in enumerate(values) if not math.isnan(value)]
    if len(known) < 2:
        return None, f"{name} is known for {len(known)} value(s) of k only, and needs more."
    best = max(known, key=lambda i: sign * values[i])
    k, value = ks[best], values[best]
    what = f"{name} is {'largest' if sign > 0 else 'smallest'}, {value:.3g}, at k = {k}"
    if value <= least:
        return None, f"{what}, which at {least} or less speaks of no substantial structure."
    if best == known[-1]:
        return None, f"{what}, the largest k tried: better ones may lie beyond."
    if best == known[0] and k > 2:
        return None, f"{what}, the smallest k tried: better ones may lie below."
    second = max((i for i in known if i != best), key=lambda i: sign * values[i])
    return k, f"{what}; next comes k = {ks[second]} with {values[second]:.3g}."


def _gap(ks, sweep):
    gap, error = _values(sweep, "gap"), _values(sweep, "gap_error")
    if len(ks) < 2:
        return None, "The gap needs at least two values of k, and one was tried."
    for i in range(len(ks) - 1):
        bound = gap[i + 1] - error[i + 1]
        if gap[i] >= bound:
            lower = f"; fewer than {ks[0]} were not tried" if i == 0 and ks[0] > 1 else ""
            return ks[i], (
                f"Gap({ks[i]}) = {gap[i]:.3f} is the first that the next one, less its "
                f"standard error, does not exceed ({bound:.3f}){lower}."
            )
    return None, f"The gap rises by more than its standard error up to k = {ks[-1]}."


def _values(sweep, field):
    """A field as Python floats, some of which must be known."""
    array = getattr(sweep, field)
    values = [float(array[i]) for i in range(array.shape[0])]
    if all(math.isnan(value) for value in values) and any(int(k) > 1 for k in _ks(sweep)):
        msg = f"sweep must hold {field}, got NaN for every k: see references= and sample_size="
        raise ValueError(msg)
    return values


def _ks(sweep):
    return (sweep.ks[i] for i in range(sweep.ks.shape[0]))


CHOICES = {
    "elbow": _elbow,
    "silhouette": partial(
        _best, field="silhouette", name="The mean silhouette", sign=1, least=_NO_STRUCTURE
    ),
    "gap": _gap,
    "davies_bouldin": partial(
        _best, field="davies_bouldin", name="The Davies-Bouldin score", sign=-1
    ),
    "calinski_harabasz": partial(
        _best, field="calinski_harabasz", name="The Calinski-Harabasz score", sign=1
    ),
}
