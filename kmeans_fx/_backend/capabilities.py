"""What works where: the one table behind the tests of transforms and the page in docs.

A row is a way to call the library. It works on every backend under every transform of
``TRANSFORMS``, except for what it lists with a reason.
"""

from typing import NamedTuple

__all__ = ["ROWS", "TRANSFORMS", "No", "Row"]

# How a framework can run a call; the derivatives are those of floating results in x.
TRANSFORMS = {
    "numpy": ("call",),
    "array-api-strict": ("call",),
    "jax": ("call", "jit", "vmap", "grad", "jvp", "jit(vmap(grad))", "hessian"),
    "torch": (
        "call",
        "vmap",
        "func.grad",
        "backward",
        "jvp",
        "hessian",
        "compile",
        "compile(vmap)",
        "compile(grad)",
        "compile(vmap(grad))",
        "compile, backward",
    ),
}


class No(NamedTuple):
    """Why something does not work, and whether it raises or is a derivative of zero."""

    reason: str
    raises: bool = True


class Row(NamedTuple):
    """A way to call the library; ``no`` maps (backend, transform) to a No."""

    call: str
    no: dict


def _except(no, jax=(), torch=()):
    asked = {"jax": jax, "torch": torch}
    return {(backend, name): no for backend, names in asked.items() for name in names}


def _eager_only(reason):
    return _except(
        No(reason),
        jax=TRANSFORMS["jax"][1:],
        torch=[name for name in TRANSFORMS["torch"][1:] if name != "backward"],
    )


_CALLBACK = _eager_only("the caller is called back in an eager call only")
_CELLS = _eager_only("the clusters of the first level have as many rows as they have")
_BLOCKS = _eager_only("blocks are read in an eager call only, and the fit has no derivative")
_BLOCKS |= _except(No("the fit has no derivative"), torch=("backward",))
# The loop is in the open, because the callable cannot cross an operator's border.
_OPEN_LOOP = _except(
    No("torch.while_loop, which runs a caller's function while compiling, has no vmap and no grad"),
    torch=("compile(vmap)", "compile(grad)", "compile(vmap(grad))"),
)


def _no_slope(reason):
    return _except(
        No(reason, raises=False),
        jax=("grad", "jvp", "jit(vmap(grad))", "hessian"),
        torch=("func.grad", "jvp", "hessian", "compile(grad)", "compile(vmap(grad))"),
    ) | _except(No(reason), torch=("backward", "compile, backward"))


_NO_SLOPE = _no_slope(
    "a state of the loop has no derivative; that of the fit is made after the loop"
)
_MIXTURE = _no_slope("a mixture is fitted without derivatives; its densities have them")

ROWS = (
    Row("pairwise_distances", {}),
    Row("assign", {}),
    Row("soft_assign", {}),
    Row("cluster_stats", {}),
    Row("merge_stats", {}),
    Row("update_centroids", {}),
    Row("random_points", {}),
    Row("random_partition", {}),
    Row("kmeans_plusplus", {}),
    Row("kmeans_parallel", {}),
    Row("kmeans_coreset", {}),
    Row("farthest_first", {}),
    Row("lloyd", {}),
    Row("lloyd_init", _NO_SLOPE),
    Row("lloyd_step", _NO_SLOPE),
    Row("kmeans", {}),
    Row("kmeans, weights", {}),
    Row("kmeans, n_init > 1", {}),
    Row("kmeans, history", {}),
    Row('kmeans, search="breathing"', {}),
    Row('kmeans, metric="euclidean"', {}),
    Row('kmeans, metric="cosine"', {}),
    Row('kmeans, metric="manhattan"', {}),
    Row("kmeans, a Metric", _OPEN_LOOP),
    Row("kmeans, a callable init", {}),
    Row("kmeans, reduce", _OPEN_LOOP),
    Row("kmeans, k_each", {}),
    Row("kmeans, callback", _CALLBACK),
    Row("kmeans_blocks", _BLOCKS),
    Row("minibatch_init", {}),
    Row("minibatch_step", _NO_SLOPE),
    Row("minibatch_kmeans", _NO_SLOPE),
    Row("stream_init", {}),
    Row("stream_step", _NO_SLOPE),
    Row('lloyd, empty="farthest"', {}),
    Row('lloyd, empty="random"', {}),
    Row('lloyd, empty="split"', {}),
    Row('lloyd, empty="merge"', {}),
    Row('lloyd, empty="keep"', {}),
    Row("bisecting_kmeans", {}),
    Row("balanced_kmeans", {}),
    Row("kmeans_1d", {}),
    Row("two_level_kmeans", _CELLS),
    Row("trimmed_kmeans", {}),
    Row("masked_kmeans", {}),
    Row("masked_assign", {}),
    Row("anomaly_scores", {}),
    Row("anomaly_threshold", {}),
    Row("soft_kmeans", {}),
    Row('soft_kmeans, gradient="unrolled"', {}),
    Row("soft_kmeans, reduce", _OPEN_LOOP),
    Row("fuzzy_cmeans", {}),
    Row("fuzzy_assign", {}),
    Row("straight_through_assign", {}),
    Row("gumbel_assign", {}),
    Row("sinkhorn_assign", {}),
    Row("gaussian_mixture", _MIXTURE),
    Row("mixture_init", _MIXTURE),
    Row("mixture_step", _MIXTURE),
    Row("mixture_log_prob", {}),
    Row("mixture_responsibilities", {}),
    Row("mixture_bic", {}),
    Row("mixture_aic", {}),
)
