"""torch_kmeans. It builds an array of n x k x d, and takes a batch of problems."""

import os

from .base import Contender, Outcome


class TorchKMeans(Contender):
    name = "torch_kmeans"
    requires = ("torch_kmeans", "torch")
    imports = ("torch_kmeans",)
    batched = True

    @staticmethod
    def needs(n, d, k):
        return 3 * 4 * n * k * d

    def setup(self, x, start):
        import torch

        torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
        super().setup(torch.from_numpy(x), torch.from_numpy(start))

    def lloyd(self, max_iter):
        start = self.start if self.x.ndim == 3 else self.start[None]
        return self._run(start, max_iter=max_iter, tol=0.0)

    def fit(self, key):
        return self._run(None, init_method="k-means++", seed=key)

    def _run(self, centers, **options):
        from torch_kmeans import KMeans

        x = self.x if self.x.ndim == 3 else self.x[None]
        model = KMeans(num_init=1, n_clusters=self.k, verbose=False, **options)
        result = model(x, k=self.k, centers=centers)
        one = self.x.ndim == 2
        pick = (lambda a: a[0]) if one else (lambda a: a)
        return Outcome(pick(result.centers), pick(result.labels), options.get("max_iter"))
