"""How many clusters: a sweep over a range, what each criterion says, and what is taken."""

from typing import NamedTuple

import numpy as np

from kmeans_fx.cli.errors import BadInputError
from kmeans_fx.cli.words import aligned
from kmeans_fx.select import Sweep, choose_k, sweep

# By which k can be chosen, the default first, and their names in words.
METHODS = {
    "silhouette": "Silhouette",
    "elbow": "Elbow of the inertia",
    "gap": "Gap statistic",
    "davies_bouldin": "Davies-Bouldin",
    "calinski_harabasz": "Calinski-Harabasz",
}
SCORES = {
    "inertia": "Inertia",
    "silhouette": "Silhouette",
    "davies_bouldin": "Davies-Bouldin",
    "calinski_harabasz": "Calinski-Harabasz",
    "gap": "Gap",
    "gap_error": "Error of the gap",
}
_LAST, _PER_CLUSTER = 10, 20


class Swept(NamedTuple):
    """What a sweep found.

    Attributes
    ----------
    sweep : Sweep
        In NumPy arrays.
    choices : dict of str to Choice
        What each criterion says; one that was not computed is not there.
    method : str
        The criterion that chose.
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


def sweep_job(job, ks, method, references, sample, step):
    """Sweep over numbers of clusters, on a sample of the rows if there are many.

    ``step`` is that of `progress`, and the None of ``ks`` and ``method`` are the defaults.
    """
    sample = enough(sample, max(ks or [_LAST]))
    x, method = sampled(job, sample), method or next(iter(METHODS))
    if references == 0 and method == "gap":
        msg = "--choose gap needs references: give --references a number above 0"
        raise BadInputError(msg)
    ks = ks or range(1, min(_LAST, _distinct(np.asarray(x), _LAST + 1) - 1) + 1)
    options = {name: job.options[name] for name in ("metric", "n_init", "max_iter")}
    options |= {"key": job.options["seed"], "references": references}
    try:
        found = sweep(x, ks, callback=_moved(step), **options)
    except ValueError as error:
        raise BadInputError(str(error)) from error
    found = Sweep(*map(np.asarray, found))
    known = [name for name in METHODS if name != "gap" or references]
    choices = {name: choose_k(found, method=name) for name in known}
    k, reason = _taken(found, choices[method])
    return Swept(found, choices, method, k, reason, len(x))


def _moved(step):
    """A callback of `sweep` that moves a bar, which begins at the first call."""
    move = step("Trying numbers of clusters")

    def show(done, total, k):
        move(done, f"Trying k = {k}", total)

    return show


def score_rows(found):
    """Heading and cells of the criteria: one row for every k, none for what is not known."""
    fields = [name for name in SCORES if np.isfinite(getattr(found, name)).any()]
    columns = [aligned(getattr(found, name)) for name in fields]
    rows = list(zip(map(str, found.ks.tolist()), *columns, strict=True))
    return ["k", *(SCORES[name] for name in fields)], rows


def says(swept):
    """The name of each criterion, and what it says."""
    return [(METHODS[name], choice) for name, choice in swept.choices.items()]


def enough(size, k):
    """The size of a sample that can hold k clusters; 0 stays all rows."""
    return max(size, _PER_CLUSTER * k) if size else 0


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
        return choice.k, f"By {choice.method}: {choice.reason}"
    scores = np.nan_to_num(found.silhouette, nan=-np.inf)
    k = int(found.ks[np.argmax(scores)])
    why = f"the mean silhouette of those tried is largest for it, {scores.max():.3g}"
    if np.isneginf(scores).all():
        why = "it is the smallest one tried"
    return (
        k,
        f"No clear answer by {choice.method}: {choice.reason} Taken is k = {k}, because {why}.",
    )


def _distinct(values, enough):
    """How many rows differ, counted up to ``enough``."""
    for count in (1000, len(values)):
        distinct = len(np.unique(values[:count], axis=0))
        if distinct >= enough:
            break
    return min(distinct, enough)
