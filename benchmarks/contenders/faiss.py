"""faiss-cpu. It never stops early, and subsamples unless it is told not to."""

import numpy as np

from .base import Contender, Outcome


class Faiss(Contender):
    name = "faiss"
    requires = ("faiss-cpu",)
    imports = ("faiss",)

    def setup(self, x, start):
        super().setup(x, start)
        self.options = {"max_points_per_centroid": len(x), "min_points_per_centroid": 1}

    def lloyd(self, max_iter):
        return self._train(max_iter, init_centroids=self.start)

    def fit(self, key):
        """Fit with the defaults (25 iterations from random rows), on all rows."""
        return self._train(25, seed=key)

    def seed(self, key):
        """Seed by plain D-squared sampling: one trial per centroid; the others take several."""
        import faiss

        draw = faiss.ClusteringInitialization(self.x.shape[1], self.k)
        draw.method = faiss.ClusteringInitMethod_KMEANS_PLUS_PLUS
        draw.seed = key
        out = np.empty_like(self.start)
        draw.init_centroids(len(self.x), faiss.swig_ptr(self.x), faiss.swig_ptr(out))
        return Outcome(out)

    def _train(self, niter, seed=0, **start):
        import faiss

        model = faiss.Kmeans(self.x.shape[1], self.k, niter=niter, seed=seed, **self.options)
        model.train(self.x, **start)
        return Outcome(model.centroids, model.assign(self.x)[1], niter)
