"""Libraries by name: ``(x, start, max_iter) -> (centroids, labels or None)``, tensors in and out.

Each makes exactly so many iterations from the given start, or says by a ValueError that it
cannot. A library is imported where it is called.
"""

from functools import cache


def kmeans_fx(x, start, max_iter):
    """Float32 as PyTorch was told, which is exactly, and half precision with all digits."""
    import kmeans_fx

    result = kmeans_fx.lloyd(x, start, max_iter=max_iter, tol=0.0, empty="keep")
    return result.centroids, result.labels


def kmeans_fx_fast(x, start, max_iter):
    """Centroids rounded to the dtype of the rows for the search, as the others round them."""
    import torch

    torch.set_float32_matmul_precision("medium")
    try:
        return kmeans_fx(x, start, max_iter)
    finally:
        torch.set_float32_matmul_precision("highest")


def kmeans_fx_jax(x, start, max_iter):
    """The rows go to JAX and the results come back without a copy."""
    import jax
    from torch.utils import dlpack

    rows, centroids = (jax.dlpack.from_dlpack(a) for a in (x, start))
    found = jax.block_until_ready(kmeans_fx(rows, centroids, max_iter))
    return tuple(dlpack.from_dlpack(a) for a in found)


def portable(run):
    """Without kernels: blocks of products."""

    def without(x, start, max_iter):
        import os

        os.environ["KMEANS_FX_KERNELS"] = "0"
        try:
            return run(x, start, max_iter)
        finally:
            del os.environ["KMEANS_FX_KERNELS"]

    return without


def flash_kmeans(x, start, max_iter):
    """TF32 where the rows are float32."""
    from flash_kmeans import batch_kmeans_Euclid

    one = x.ndim == 2
    rows, centroids = (x[None], start[None]) if one else (x, start)
    labels, centroids, *_ = batch_kmeans_Euclid(
        rows, start.shape[-2], max_iters=max_iter, tol=-1.0, init_centroids=centroids
    )
    return (centroids[0], labels[0]) if one else (centroids, labels)


def fast_pytorch_kmeans(x, start, max_iter):
    """One problem at a time."""
    from fast_pytorch_kmeans import KMeans

    _one_problem(x)
    model = KMeans(start.shape[0], max_iter=max_iter, tol=0.0)
    labels = model.fit_predict(x, start.clone())
    return model.centroids, labels


def torch_kmeans(x, start, max_iter):
    """Holds an array of n x k x d."""
    from torch_kmeans import KMeans

    one = x.ndim == 2
    rows, centroids = (x[None], start[None]) if one else (x, start)
    if rows.numel() * start.shape[-2] > 1 << 32:
        raise ValueError("needs n x k x d numbers")
    options = {"n_clusters": start.shape[-2], "max_iter": max_iter, "tol": 0.0, "num_init": 1}
    result = KMeans(verbose=False, **options)(rows, k=start.shape[-2], centers=centroids)
    return (result.centers[0], result.labels[0]) if one else (result.centers, result.labels)


def ott(x, start, max_iter):
    """Holds an array of n x k."""
    import jax
    from torch.utils import dlpack

    _one_problem(x)
    if x.shape[0] * start.shape[0] > 1 << 32:
        raise ValueError("needs n x k numbers")
    rows, centroids = (jax.dlpack.from_dlpack(a) for a in (x, start))
    found = _ott_fit(start.shape[0], max_iter)(rows, centroids)
    return dlpack.from_dlpack(jax.block_until_ready(found)), None


@cache
def _ott_fit(k, max_iter):
    """Compiled once; ott-jax would compile anew for every start."""
    import jax
    from ott.tools.k_means import k_means

    bounds = {"min_iterations": max_iter, "max_iterations": max_iter, "tol": 0.0}

    def fit(rows, centroids):
        return k_means(rows, k, init=lambda *_: centroids, n_init=1, **bounds).centroids

    return jax.jit(fit)


def faiss(x, start, max_iter):
    """Copies the rows to the host and back: its Clustering takes NumPy."""
    import faiss
    import numpy as np
    import torch

    _one_problem(x)
    options = {"niter": max_iter, "gpu": True, "max_points_per_centroid": x.shape[0] + 1}
    model = faiss.Kmeans(x.shape[1], start.shape[0], **options)
    rows, centroids = (np.ascontiguousarray(a.float().cpu().numpy()) for a in (x, start))
    model.train(rows, init_centroids=centroids)
    return torch.asarray(model.centroids, device=x.device), None


def cuml(x, start, max_iter):
    """float32 alone."""
    import cupy
    import torch
    from cuml.cluster import KMeans

    _one_problem(x)
    rows, centroids = (cupy.asarray(a.float()) for a in (x, start))
    options = {"max_iter": max_iter, "tol": 1e-30, "n_init": 1, "output_type": "cupy"}
    model = KMeans(start.shape[0], init=centroids, **options).fit(rows)
    return (torch.as_tensor(a, device=x.device) for a in (model.cluster_centers_, model.labels_))


def fastkmeans(x, start, max_iter):
    """Begins from rows of its own."""
    raise ValueError("cannot start from given centroids")


def _one_problem(x):
    if x.ndim > 2:
        raise ValueError("takes one problem at a time")


# The function of every contender, and the module that must be there.
CONTENDERS = {
    "kmeans_fx": (kmeans_fx, "kmeans_fx"),
    "kmeans_fx, medium precision": (kmeans_fx_fast, "kmeans_fx"),
    "kmeans_fx, portable": (portable(kmeans_fx), "kmeans_fx"),
    "kmeans_fx, JAX": (kmeans_fx_jax, "jax"),
    "kmeans_fx, JAX, portable": (portable(kmeans_fx_jax), "jax"),
    "flash-kmeans": (flash_kmeans, "flash_kmeans"),
    "cuML": (cuml, "cuml"),
    "faiss": (faiss, "faiss"),
    "fast_pytorch_kmeans": (fast_pytorch_kmeans, "fast_pytorch_kmeans"),
    "fastkmeans": (fastkmeans, "fastkmeans"),
    "ott-jax": (ott, "ott"),
    "torch_kmeans": (torch_kmeans, "torch_kmeans"),
}
