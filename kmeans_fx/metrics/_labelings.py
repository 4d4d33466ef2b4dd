"""Scores of several labelings of the same rows, which share the passes over the rows."""

from kmeans_fx._backend.fixed_point import differentiable
from kmeans_fx._backend.namespace import array_namespace
from kmeans_fx._backend.segment import one_hot, segment_sum
from kmeans_fx.distances import METRICS, as_metric
from kmeans_fx.metrics._between import by_label, copies, pairwise_sums
from kmeans_fx.metrics._clusters import broadcast, checked, unless_trivial
from kmeans_fx.metrics._silhouettes import all_silhouettes, samples_of
from kmeans_fx.metrics._sums import calinski_harabasz, davies_bouldin
from kmeans_fx.metrics.silhouette import weighted_mean

__all__ = ["center_scores", "mean_silhouettes"]


def mean_silhouettes(x, labels, weights, k, metric):
    """Mean silhouette (m,) of every labeling (m, n); NaN where one has no 2 to n - 1 clusters."""
    measure = as_metric(metric)
    clustering = checked(x, labels, k, weights)
    cheap = measure == METRICS["sqeuclidean"] or measure == METRICS["cosine"]
    samples_by = all_silhouettes if cheap else shared_silhouettes
    run = {"metric": metric, "portable": metric is measure}
    (samples,) = samples_by(*clustering[:3], k=k, **run)
    return unless_trivial(clustering, weighted_mean(samples, clustering.weights))


def center_scores(x, labels, weights, k):
    """Davies-Bouldin and Calinski-Harabasz scores, (m,) each, of every labeling (m, n)."""
    clustering = checked(x, labels, k, weights)
    scores = (function(*clustering[:3], k=k)[0] for function in (davies_bouldin, calinski_harabasz))
    return tuple(unless_trivial(clustering, result) for result in scores)


@differentiable("nd mn n", "mn")
def shared_silhouettes(x, labels, weights, *, k, metric):
    """Silhouettes (..., m, n) of m labelings, for which every distance is taken once."""
    metric = as_metric(metric)
    xp = array_namespace(x=x)
    m = labels.shape[-2]
    x, finest, share = broadcast(x, labels[..., -1, :], weights)
    counts = segment_sum(xp.broadcast_to(share[..., None, :], labels.shape)[..., None], labels, k)
    (x, share, columns), back = by_label(finest, x, share, xp.matrix_transpose(labels))

    def collect(distances, own, weight):
        members = one_hot(xp, own, k, distances.dtype) * weight[..., None, None]
        flat = xp.reshape(members, (*members.shape[:-2], m * k))
        return xp.matmul(xp.matrix_transpose(flat), distances)

    def finish(sums, itself, own, weight):
        sums = xp.reshape(sums, (*sums.shape[:-2], m, k, sums.shape[-1]))
        alone = (itself * copies(metric, weight))[..., None, :]
        own, weight = xp.matrix_transpose(own), weight[..., None, :]
        return xp.matrix_transpose(samples_of(sums, alone, own, weight, counts[..., 0]))

    samples = pairwise_sums(finish, x, (columns, share), lambda _, weight: weight, metric, collect)
    return (xp.matrix_transpose(back(samples)),)
