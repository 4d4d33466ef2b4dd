"""This library, on each of its backends, with its compiled kernels ("fast") and without."""

import os
import sys
from functools import cache

from .base import Contender, Outcome, Score


class _KMeansFx(Contender):
    batched = True
    dtypes = ("float16", "float32", "float64")
    kernels = False

    def setup(self, x, start):
        if not self.kernels:
            sys.modules["numba"] = None  # as if it were not installed
        super().setup(x, start)

    def lloyd(self, max_iter):
        import kmeans_fx

        return _outcome(kmeans_fx.lloyd(self.x, self.start, max_iter=max_iter, tol=0.0))

    def iterate(self, max_iter):
        import kmeans_fx

        options = {"max_iter": max_iter, "tol": 0.0, "algorithm": "lloyd"}
        return _outcome(kmeans_fx.lloyd(self.x, self.start, **options))

    def seed(self, key):
        import kmeans_fx

        return Outcome(kmeans_fx.kmeans_plusplus(self.x, self.k, key=key))

    def fit(self, key):
        import kmeans_fx

        return _outcome(kmeans_fx.kmeans(self.x, self.k, key=key))

    def search(self, key):
        import kmeans_fx

        return _outcome(kmeans_fx.kmeans(self.x, self.k, key=key, search="breathing"))

    def silhouette(self):
        from kmeans_fx.metrics import silhouette_score

        return Score(silhouette_score(self.x, self.labels()))

    def minibatch(self, key, size):
        import kmeans_fx

        options = {"batch_size": size, "labels": False}
        result = kmeans_fx.minibatch_kmeans(self.x, self.k, key=key, **options)
        return Outcome(result.centroids, n_iter=result.n_iter)


class NumPy(_KMeansFx):
    name = "kmeans_fx-numpy"
    requires = ("numpy",)
    imports = ("kmeans_fx",)

    def labels(self):
        import numpy

        return numpy.arange(self.x.shape[0]) % self.k


class Restarts(NumPy):
    """Ten fits where the others search."""

    name = "kmeans_fx-restarts"

    @classmethod
    def offers(cls, task):
        return task == "search"

    def search(self, key):
        import kmeans_fx

        return _outcome(kmeans_fx.kmeans(self.x, self.k, key=key, n_init=10))


class Torch(_KMeansFx):
    name = "kmeans_fx-torch"
    requires = ("torch",)
    imports = ("kmeans_fx", "torch")

    def setup(self, x, start):
        import torch

        torch.set_num_threads(_threads())
        super().setup(torch.from_numpy(x), torch.from_numpy(start))

    def labels(self):
        import torch

        return torch.arange(self.x.shape[0]) % self.k


class Jax(_KMeansFx):
    """Every task under `jax.jit`, compiled once per set of options, and waited for."""

    name = "kmeans_fx-jax"
    requires = ("jax",)
    imports = ("kmeans_fx", "jax")

    def setup(self, x, start):
        import jax

        jax.config.update("jax_enable_x64", x.dtype.name == "float64")
        super().setup(*jax.block_until_ready((jax.numpy.asarray(x), jax.numpy.asarray(start))))

    def lloyd(self, max_iter):
        return _outcome(_wait(_jitted_lloyd(max_iter, "auto")(self.x, self.start)))

    def iterate(self, max_iter):
        return _outcome(_wait(_jitted_lloyd(max_iter, "lloyd")(self.x, self.start)))

    def seed(self, key):
        return Outcome(_wait(_jitted_seed(self.k)(self.x, _key(key))))

    def fit(self, key):
        return _outcome(_wait(_jitted_fit(self.k)(self.x, _key(key))))

    def search(self, key):
        return _outcome(_wait(_jitted_fit(self.k, search="breathing")(self.x, _key(key))))

    def silhouette(self):
        return Score(_wait(_jitted_silhouette(self.k)(self.x)))


class _Fast:
    """With the extra ``fast``."""

    kernels = True

    @classmethod
    def offers(cls, task):
        return task != "silhouette" and super().offers(task)  # there is no kernel for it


class FastNumPy(_Fast, NumPy):
    name = "kmeans_fx-fast-numpy"
    requires = (*NumPy.requires, "numba")


class FastTorch(_Fast, Torch):
    name = "kmeans_fx-fast-torch"
    requires = (*Torch.requires, "numba")


class FastJax(_Fast, Jax):
    name = "kmeans_fx-fast-jax"
    requires = (*Jax.requires, "numba")


@cache
def _jitted_lloyd(max_iter, algorithm):
    import jax

    import kmeans_fx

    options = {"max_iter": max_iter, "tol": 0.0, "algorithm": algorithm}
    return jax.jit(lambda x, start: kmeans_fx.lloyd(x, start, **options))


@cache
def _jitted_seed(k):
    import jax

    import kmeans_fx

    return jax.jit(lambda x, key: kmeans_fx.kmeans_plusplus(x, k, key=key))


@cache
def _jitted_fit(k, **options):
    import jax

    import kmeans_fx

    return jax.jit(lambda x, key: kmeans_fx.kmeans(x, k, key=key, **options))


@cache
def _jitted_silhouette(k):
    import jax

    from kmeans_fx.metrics import silhouette_score

    return jax.jit(lambda x: silhouette_score(x, jax.numpy.arange(x.shape[0]) % k, k=k))


def _key(seed):
    import jax

    return jax.random.key(seed)


def _wait(result):
    import jax

    return jax.block_until_ready(result)


def _outcome(result):
    return Outcome(result.centroids, result.labels, result.n_iter)


def _threads():
    return int(os.environ["OMP_NUM_THREADS"])
