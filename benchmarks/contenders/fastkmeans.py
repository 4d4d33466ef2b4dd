"""fastkmeans on the CPU, without Triton. Random rows are its only start."""

import os

from .base import Contender, Outcome


class FastKMeans(Contender):
    name = "fastkmeans"
    requires = ("fastkmeans", "torch")
    imports = ("fastkmeans",)
    own_start = True

    def lloyd(self, max_iter):
        return self._fit(niter=max_iter, tol=0.0)

    def fit(self, key):
        return self._fit(seed=key)

    def _fit(self, **options):
        import torch
        from fastkmeans import FastKMeans as Model

        torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
        model = Model(self.x.shape[1], self.k, gpu=False, **options)
        labels = model.fit_predict(self.x)
        return Outcome(model.centroids, labels, options.get("niter"))
