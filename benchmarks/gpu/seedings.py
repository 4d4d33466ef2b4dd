"""k-means++ and its kin by contender: ``(x, k, seed) -> centroids``, tensors in and out.

A library is imported where it is called. Those whose seeding is a part of their fit, or that
begin from random rows, are not here.
"""

import math
from functools import cache


def kmeans_plusplus(x, k, seed):
    """Greedy, with as many trials as scikit-learn's."""
    import kmeans_fx

    return kmeans_fx.kmeans_plusplus(x, k, key=seed)


def kmeans_parallel(x, k, seed):
    """Another algorithm: few rounds, in which many rows are drawn at once."""
    import kmeans_fx

    return kmeans_fx.kmeans_parallel(x, k, key=seed)


def fast_pytorch_kmeans(x, k, seed):
    """Draws by distances that are not squared."""
    import torch
    from fast_pytorch_kmeans.init_methods import init_methods

    torch.manual_seed(seed)
    return init_methods["kmeans++"](x, k, -1)


def torch_kmeans(x, k, seed):
    """Holds an array of n x d for each of its trials."""
    import torch
    from torch_kmeans import KMeans

    model = KMeans(init_method="k-means++", n_clusters=k, num_init=1, seed=seed, verbose=False)
    return model._center_init(x[None], torch.asarray([k], device=x.device)).reshape(k, -1)


def ott(x, k, seed):
    """Greedy, as ours."""
    import jax
    from torch.utils import dlpack

    found = _ott_seeding(k)(jax.dlpack.from_dlpack(x), jax.random.key(seed))
    return dlpack.from_dlpack(jax.block_until_ready(found))


@cache
def _ott_seeding(k):
    import jax
    from ott.geometry.pointcloud import PointCloud
    from ott.tools.k_means import _k_means_plus_plus

    trials = 2 + int(math.log(k))
    return jax.jit(lambda x, key: _k_means_plus_plus(PointCloud(x), k, key, trials))


# The function of every contender, and the module that must be there.
SEEDINGS = {
    "kmeans_fx": (kmeans_plusplus, "kmeans_fx"),
    "kmeans_fx, k-means||": (kmeans_parallel, "kmeans_fx"),
    "fast_pytorch_kmeans": (fast_pytorch_kmeans, "fast_pytorch_kmeans"),
    "ott-jax": (ott, "ott"),
    "torch_kmeans": (torch_kmeans, "torch_kmeans"),
}
