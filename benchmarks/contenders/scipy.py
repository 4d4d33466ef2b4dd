"""SciPy's kmeans2. It never stops early."""

from .base import Contender, Outcome


class SciPy(Contender):
    name = "scipy"
    requires = ("scipy",)
    imports = ("scipy.cluster.vq",)
    dtypes = ("float32", "float64")

    def lloyd(self, max_iter):
        from scipy.cluster.vq import kmeans2

        result = kmeans2(self.x, self.start, iter=max_iter, minit="matrix", check_finite=False)
        return Outcome(*result, max_iter)

    def fit(self, key):
        """Fit with the default 10 iterations from its k-means++."""
        from scipy.cluster.vq import kmeans2

        return Outcome(*kmeans2(self.x, self.k, minit="++", rng=key), 10)
