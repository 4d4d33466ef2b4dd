"""ott-jax's k-means, under jit. It builds the whole matrix of costs."""

from functools import cache

from .base import Contender, Outcome


class Ott(Contender):
    name = "ott-jax"
    requires = ("ott-jax", "jax")
    imports = ("ott.tools.k_means",)

    @staticmethod
    def needs(n, d, k):
        return 3 * 4 * n * k

    def setup(self, x, start):
        import jax

        super().setup(*jax.block_until_ready((jax.numpy.asarray(x), jax.numpy.asarray(start))))

    def lloyd(self, max_iter):
        return _outcome(_jitted_lloyd(max_iter)(self.x, self.start))

    def fit(self, key):
        import jax

        return _outcome(_jitted_fit(self.k)(self.x, jax.random.key(key)))


@cache
def _jitted_lloyd(max_iter):
    import jax
    from ott.tools.k_means import k_means

    def fit(x, start):
        # equal bounds: exactly max_iter iterations
        options = {"min_iterations": max_iter, "max_iterations": max_iter, "tol": 0.0}
        return k_means(x, start.shape[0], init=lambda *_: start, n_init=1, **options)

    return jax.jit(fit)


@cache
def _jitted_fit(k):
    import jax
    from ott.tools.k_means import k_means

    return jax.jit(lambda x, key: k_means(x, k, n_init=1, rng=key))


def _outcome(result):
    import jax

    jax.block_until_ready(result)
    return Outcome(result.centroids, result.assignment, result.iteration)
