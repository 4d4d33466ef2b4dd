"""How many clusters: a sweep over a range, what each criterion says, and what is taken."""

from typing import NamedTuple

import numpy as np

from kmeans_fx.cli.errors import BadInputError
from kmeans_fx.select import Sweep, choose_k, sweep

METHODS = ("silhouette", "elbow", "gap", "davies_bouldin", "calinski_harabasz")
SCORES = ("inertia", "silhouette", "davies_bouldin", "calinski_harabasz", "gap", "gap_error")
_LAST = 10


class Swept(NamedTuple):
    """What a sweep found.

    Attributes
    ----------
    sweep : Sweep
        In NumPy arrays.
    choices : dict of str to Choice
        What each criterion says; one that was not computed is not there.
    method : str
        The criterion that was asked for.
    k : int
        What is taken.
    reason : str
        Why, in one or more sentences.
    rows : int
        On how many rows k was chosen.
    """

    sweep: Sweep
    choices: dict
    method: str
    k: int
    reason: str
    rows: int


def sweep_range(job, ks, *, method, references, sample, callback):
    """Sweep over numbers of clusters, on a sample of the rows if there are many."""
    x = sampled(job, sample)
    if ks is None:
        ks = range(1, min(_LAST, _distinct(np.asarray(x), _LAST + 1) - 1) + 1)
    options = {name: job.options[name] for name in ("metric", "n_init", "max_iter")}
    if references == 0 and method == "gap":
        msg = "--choose gap needs references: give --references a number above 0"
        raise BadInputError(msg)
    try:
        found = sweep(
            x, ks, key=job.options["seed"], references=references, callback=callback, **options
        )
    except ValueError as error:
        raise BadInputError(str(error)) from error
    found = Sweep(*map(np.asarray, found))
    known = [name for name in METHODS if name != "gap" or references]
    choices = {name: choose_k(found, method=name) for name in known}
    return Swept(found, choices, method, *_taken(found, choices[method]), len(x))


def sampled(job, size):
    """The prepared rows, or so many of them drawn without replacement; 0 is all."""
    x = job.prepared.x
    rows = sampled_rows(job, size)
    return x if rows is None else job.xp.take(x, job.xp.asarray(rows), axis=0)


def sampled_rows(job, size):
    """Which rows a sample takes, in rising order; None is all."""
    n = len(job.selection.values)
    if not 0 < size < n:
        return None
    return np.sort(np.random.default_rng(job.options["seed"]).choice(n, size, replace=False))


def _taken(found, choice):
    """The k of a choice; with no clear answer, that of the largest mean silhouette."""
    if choice.k is not None:
        return choice.k, choice.reason
    scores = np.nan_to_num(found.silhouette, nan=-np.inf)
    k = int(found.ks[np.argmax(scores)])
    why = f"the mean silhouette of those tried is largest for it, {scores.max():.3g}"
    if np.isneginf(scores).all():
        why = "it is the smallest one tried"
    return k, f"No clear answer. {choice.reason} Taken is k = {k}, because {why}."


def _distinct(values, enough):
    """How many rows differ, counted up to ``enough``."""
    for count in (1000, len(values)):
        distinct = len(np.unique(values[:count], axis=0))
        if distinct >= enough:
            break
    return min(distinct, enough)
