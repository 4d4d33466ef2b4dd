"""geokmeans: float64, its own start.

Of its seven algorithms the default, "geo", leaves version 0.1.2 with all rows in one cluster on
normal noise; Hamerly's gives the answer of Lloyd, and is what is timed.
"""

import numpy as np

from .base import Contender, Outcome


class GeoKMeans(Contender):
    name = "geokmeans"
    requires = ("geokmeans",)
    imports = ("geokmeans",)
    dtypes = ("float32", "float64")
    own_start = True

    def setup(self, x, start):
        super().setup(x.astype(np.float64), start)  # it would convert in every call

    def lloyd(self, max_iter):
        return self._fit(max_iter=max_iter, tol=0.0)

    def fit(self, key):
        return self._fit(random_state=key + 1)

    def _fit(self, **options):
        from geokmeans import GeoKMeans as Model

        options.setdefault("random_state", 1)
        model = Model(self.k, algorithm="hamerly", **options).fit(self.x)
        return Outcome(model.cluster_centers_, model.labels_, model.n_iter_)
