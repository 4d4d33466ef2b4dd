"""k-means on Ray: tasks on blocks in the object store, or a pipeline of ray.data."""

import numpy as np
import ray

from docs.models.kmeans_spark import fit, stats_of
from kmeans_fx import ClusterStats, merge_stats


@ray.remote
def block_stats(x, centroids):
    """The statistics of a block, where it is."""
    return stats_of(x, centroids)


@ray.remote
def merge(first, second):
    return merge_stats(first, second)


def tree(parts):
    """The total of references to statistics, merged in pairs."""
    while len(parts) > 1:
        pairs = [merge.remote(*parts[i : i + 2]) for i in range(0, len(parts) - 1, 2)]
        parts = pairs + parts[2 * len(pairs) :]
    return ray.get(parts[0])


def kmeans_tasks(blocks, centroids):
    """Of references to arrays (m, d): ``[ray.put(x), ...]``."""

    def step(centroids):
        shared = ray.put(centroids)
        return tree([block_stats.remote(x, shared) for x in blocks])

    return fit(step, centroids)


def kmeans_dataset(dataset, column, centroids):
    """Of a column of vectors of a ray.data.Dataset, which streams from Parquet and others."""

    def step(centroids):
        def partial(batch):
            stats = stats_of(np.stack(batch[column]), centroids)
            return {name: value[None] for name, value in stats._asdict().items()}

        parts = dataset.map_batches(partial, batch_size=65536).take_all()
        return ClusterStats(*(sum(p[name] for p in parts) for name in ClusterStats._fields))

    return fit(step, centroids)
