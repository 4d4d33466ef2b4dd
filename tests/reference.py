"""k-means in plain Python loops: slow, in float64, and plain enough to be right."""

import numpy as np


def squared(row, centroid):
    """Squared Euclidean distance."""
    return sum((a - b) ** 2 for a, b in zip(row, centroid, strict=True))


def nearest(x, centroids):
    """Label and distance of every row; ties go to the first centroid."""
    labels, distances = [], []
    for row in x.tolist():
        far = [squared(row, centroid) for centroid in centroids]
        distances.append(min(far))
        labels.append(far.index(distances[-1]))
    return labels, distances


def means(x, labels, weights, previous):
    """Weighted mean of every cluster; an empty one stays."""
    centroids = []
    for cluster, old in enumerate(previous):
        members = [i for i, label in enumerate(labels) if label == cluster and weights[i] > 0]
        total = sum(weights[i] for i in members)
        columns = range(x.shape[1])
        mean = (
            [sum(weights[i] * x[i, j] for i in members) / total for j in columns] if total else old
        )
        centroids.append(mean)
    return centroids


def lloyd(x, centroids, weights=None, max_iter=300):
    """Lloyd's algorithm to its fixed point: centroids, labels, inertia, n_iter."""
    x = np.asarray(x, dtype=np.float64)
    weights = [1.0] * len(x) if weights is None else list(weights)
    centroids, previous = np.asarray(centroids, dtype=np.float64).tolist(), None
    for n_iter in range(1, max_iter + 1):  # noqa: B007 - the count is a result
        labels, _ = nearest(x, centroids)
        centroids = means(x, labels, weights, centroids)
        present = [label for label, weight in zip(labels, weights, strict=True) if weight > 0]
        if present == previous:
            break
        previous = present
    labels, distances = nearest(x, centroids)
    inertia = sum(w * far for w, far in zip(weights, distances, strict=True))
    return np.asarray(centroids), np.asarray(labels), inertia, n_iter


def farthest_first(x, k, first):
    """Indices of Gonzalez's traversal from one row."""
    chosen = [first]
    while len(chosen) < k:
        reach = [min(squared(row, x[i]) for i in chosen) for row in x]
        chosen.append(reach.index(max(reach)))
    return chosen


def plusplus_pairs(x, weights):
    """Probability of every ordered pair of first two rows in plain k-means++."""
    n, pairs = len(x), {}
    for i in range(n):
        mass = [weights[j] * squared(x[i], x[j]) for j in range(n)]
        for j in range(n):
            if mass[j] > 0:
                pairs[i, j] = weights[i] / sum(weights) * mass[j] / sum(mass)
    return pairs
