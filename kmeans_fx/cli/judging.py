"""How good a clustering is and how far to trust it, in numbers and in plain words."""

from typing import NamedTuple

import numpy as np

from kmeans_fx import metrics, stability
from kmeans_fx.cli.sweeping import sampled, sampled_rows

# How often the rows are drawn anew to see which clusters come back.
REFITS = 30

# L. Kaufman, P. J. Rousseeuw, "Finding groups in data", Wiley 1990, chapter 2, table 4.
_STRUCTURE = (
    (0.70, "a strong structure"),
    (0.50, "a reasonable structure"),
    (0.25, "a weak structure, which may be artificial"),
    (-1.0, "no substantial structure"),
)


# C. Hennig, "Cluster-wise assessment of cluster stability", CSDA 52, 2007.
_TRUST = (
    (0.85, "highly stable"),
    (0.75, "stable"),
    (0.60, "a pattern, but which rows belong to it is doubtful"),
    (-1.0, "not to be trusted"),
)


class Quality(NamedTuple):
    """Scores of a clustering; NaN where there is but one cluster.

    Attributes
    ----------
    silhouette : float
        The mean of ``silhouettes``.
    davies_bouldin, calinski_harabasz : float
    silhouettes, labels : array (m,)
        Of the rows, or of a sample of them.
    """

    silhouette: float
    davies_bouldin: float
    calinski_harabasz: float
    silhouettes: np.ndarray
    labels: np.ndarray


def judge(job, clusters, sample):
    """Score clusters: the silhouette on a sample of the rows if there are many."""
    xp, nothing = job.xp, float("nan")
    rows = sampled_rows(job, sample)
    labels = clusters.labels if rows is None else clusters.labels[rows]
    if len(np.unique(labels)) < 2 or len(np.unique(labels)) == len(labels):
        return Quality(nothing, nothing, nothing, np.full(len(labels), nothing), labels)
    metric = job.options["metric"]
    own = "euclidean" if metric == "sqeuclidean" else metric
    silhouettes = np.asarray(
        metrics.silhouette_samples(sampled(job, sample), xp.asarray(labels), metric=own)
    )
    everywhere = job.prepared.x, xp.asarray(clusters.labels)
    return Quality(
        silhouette=float(silhouettes.mean()),
        davies_bouldin=float(metrics.davies_bouldin_score(*everywhere)),
        calinski_harabasz=float(metrics.calinski_harabasz_score(*everywhere)),
        silhouettes=silhouettes,
        labels=labels,
    )


class Trust(NamedTuple):
    """Whether the clusters come back.

    Attributes
    ----------
    jaccard : array (k,)
        Of each cluster with what other samples of the rows make of it, from 0 to 1; NaN for
        one without a row among those that were sampled.
    agreement : array (r, r)
        Adjusted Rand index of each two starts; without numbers for a single start.
    mean : float
        Its mean over the pairs.
    rows : int
        On how many rows this was found out.
    """

    jaccard: np.ndarray
    agreement: np.ndarray
    mean: float
    rows: int


def retry(job, clusters, sample):
    """Cluster samples of the rows, and from several starts, and compare."""
    x, k = sampled(job, sample), len(clusters.sizes)
    options = {"key": job.options["seed"], "metric": job.options["metric"]}
    refits = stability.bootstrap_stability(x, k, n_samples=REFITS, **options)
    starts = stability.restart_agreement(x, k, n_init=max(2, job.options["n_init"]), **options)
    rows = sampled_rows(job, sample)
    labels = clusters.labels if rows is None else clusters.labels[rows]
    # The clusters of the refits have numbers of their own.
    shared = np.zeros((k, k))
    np.add.at(shared, (labels, np.asarray(refits.labels)), 1)
    jaccard = np.asarray(refits.jaccard)[shared.argmax(axis=1)]
    return Trust(
        jaccard=np.where(shared.any(axis=1), jaccard, np.nan),
        agreement=np.asarray(starts.agreement),
        mean=float(starts.mean),
        rows=len(labels),
    )


def trust_words(jaccard):
    """What the Jaccard similarity of a cluster with its like in other samples means."""
    return _words(_TRUST, jaccard, at_least=True)


def structure(silhouette):
    """What a mean silhouette speaks of."""
    return _words(_STRUCTURE, silhouette, at_least=False)


def _words(table, value, *, at_least):
    """The words of the highest step that a value reaches."""
    if np.isnan(value):
        return "not known: too small for the sample"
    return next(words for step, words in table if value > step or (at_least and value == step))
