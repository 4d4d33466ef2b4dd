"""scikit-learn: the reference, and two of its other algorithms."""

import numpy as np

from .base import Contender, Outcome, Score


class Lloyd(Contender):
    """A batch of problems is a loop of fits, which is what a user of scikit-learn would write."""

    name = "scikit-learn"
    requires = ("scikit-learn",)
    imports = ("sklearn.cluster",)
    dtypes = ("float32", "float64")
    algorithm = "lloyd"
    batched = True

    def lloyd(self, max_iter):
        options = {"max_iter": max_iter, "tol": 0.0}
        return _each(self.x, self.start, lambda x, c: self._fit(x, init=c, **options))

    def fit(self, key):
        return _each(self.x, self.start, lambda x, c: self._fit(x, random_state=key))

    def seed(self, key):
        from sklearn.cluster import kmeans_plusplus

        return Outcome(kmeans_plusplus(self.x, self.k, random_state=key)[0])

    def silhouette(self):
        from sklearn.metrics import silhouette_score

        return Score(silhouette_score(self.x, np.arange(len(self.x)) % self.k))

    def search(self, key):
        return outcome(self._fit(self.x, random_state=key, n_init=10))

    def _fit(self, x, n_init=1, **options):
        return self._estimator()(self.k, n_init=n_init, algorithm=self.algorithm, **options).fit(x)

    @staticmethod
    def _estimator():
        from sklearn.cluster import KMeans

        return KMeans


class Elkan(Lloyd):
    name = "scikit-learn-elkan"
    algorithm = "elkan"

    @staticmethod
    def needs(n, d, k):
        return 4 * n * k  # a lower bound per row and centroid

    @classmethod
    def offers(cls, task):
        return task not in ("search", "seed", "silhouette") and super().offers(task)  # as Lloyd's


# Batches of ``minibatch``: what kmeans_fx needs until its smoothed inertia falls no more.
STEPS = 300


class MiniBatch(Contender):
    """Another algorithm, with another result: its inertia belongs beside its time."""

    name = "scikit-learn-minibatch"
    requires = ("scikit-learn",)
    imports = ("sklearn.cluster",)
    dtypes = ("float32", "float64")

    def fit(self, key):
        from sklearn.cluster import MiniBatchKMeans

        return outcome(MiniBatchKMeans(self.k, n_init=1, random_state=key).fit(self.x))

    def minibatch(self, key, size):
        from sklearn.cluster import MiniBatchKMeans

        options = {"init_size": 3 * size, "compute_labels": False, "batch_size": size}
        model = MiniBatchKMeans(self.k, n_init=1, random_state=key, **options)
        # From another place in each repeat.
        first = key * STEPS * size % len(self.x)
        model.partial_fit(self.x[first : first + 3 * size])
        for step in range(3, STEPS):
            rows = self.x[first + step * size : first + (step + 1) * size]
            if len(rows):  # a quick look has fewer
                model.partial_fit(rows)
        return Outcome(model.cluster_centers_, n_iter=STEPS)


def outcome(model):
    """Read a fitted estimator."""
    return Outcome(model.cluster_centers_, model.labels_, model.n_iter_)


def _each(x, start, fit):
    if x.ndim == 2:
        return outcome(fit(x, start))
    parts = [outcome(fit(x[i], start[i])) for i in range(x.shape[0])]
    return Outcome(*(np.stack(field) for field in zip(*parts, strict=True)))
