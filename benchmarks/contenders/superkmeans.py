"""SuperKMeans. It draws its own start, so only its time per iteration compares."""

import os

from .base import Contender, Outcome


class SuperKMeans(Contender):
    name = "superkmeans"
    requires = ("superkmeans",)
    imports = ("superkmeans",)
    own_start = True

    def lloyd(self, max_iter):
        return self._train(max_iter, early_termination=False)

    def fit(self, key):
        """Fit with its defaults (10 iterations, stopping early) but flat, and on all rows."""
        return self._train(10, seed=key)

    def _train(self, iters, **options):
        from superkmeans import SuperKMeans as Model

        n, d = self.x.shape
        model = Model(
            self.k,
            d,
            iters=iters,
            hierarchical=False,
            sampling_fraction=1.0,
            max_points_per_cluster=n,
            n_threads=int(os.environ["OMP_NUM_THREADS"]),
            **options,
        )
        centroids = model.train(self.x)
        return Outcome(centroids, model.assign(self.x, centroids), iters)
