"""k-means on Spark: statistics of partitions, merged by ``treeReduce`` or by the driver."""

import numpy as np
import pyarrow as pa

from kmeans_fx import ClusterStats, assign, cluster_stats, merge_stats, update_centroids


def stats_of(x, centroids):
    """What one array of rows says about the clusters."""
    found = assign(x, centroids)
    return cluster_stats(x, found.labels, len(centroids), distances=found.distances)


def fit(step, centroids, max_iter=300):
    """Lloyd's algorithm; ``step(centroids)`` gives the statistics of all rows."""
    for _ in range(max_iter):
        moved = update_centroids(step(centroids), centroids)
        if np.array_equal(moved, centroids):
            break
        centroids = moved
    return centroids


def kmeans_rdd(blocks, centroids):
    """Of an RDD of NumPy arrays (m, d)."""
    blocks = blocks.persist()
    return fit(lambda c: blocks.map(lambda x: stats_of(x, c)).treeReduce(merge_stats), centroids)


def kmeans_frame(rows, centroids):
    """Of a DataFrame of numeric columns; works over Spark Connect, too."""
    k, d = centroids.shape

    def step(centroids):
        def partial(batches):
            for batch in batches:
                x = np.column_stack([column.to_numpy() for column in batch.columns])
                if len(x):
                    stats = stats_of(x.astype(centroids.dtype), centroids)
                    packed = np.concatenate([stats.sums.ravel(), stats.counts, [stats.inertia]])
                    yield pa.RecordBatch.from_pydict({"packed": [packed.tolist()]})

        parts = rows.mapInArrow(partial, "packed array<double>").collect()
        total = np.sum([part.packed for part in parts], axis=0)
        sums, counts, inertia = np.split(total, [k * d, k * d + k])
        return ClusterStats(sums.reshape(k, d), counts, inertia[0])

    return fit(step, centroids.astype("float64"))
