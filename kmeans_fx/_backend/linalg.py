"""Linear algebra: the standard's optional extension, and products in full precision."""

from kmeans_fx._backend.namespace import array_namespace, is_jax_namespace
from kmeans_fx._backend.transform import as_given

__all__ = ["eigh", "matmul", "svd"]


def matmul(a, b):
    """The product, without the shorter floats of accelerators by default, or of autocast."""
    xp = array_namespace(a=a, b=b)
    if is_jax_namespace(xp):
        return xp.matmul(a, b, precision="highest")
    with as_given(a):
        return xp.matmul(a, b)


def eigh(a):
    """Eigenvalues (..., d), ascending, and eigenvectors (..., d, d) of symmetric matrices."""
    values, vectors = _extension(a).eigh(a)
    return values, vectors


def svd(a):
    """Singular values (..., r), descending, and right singular vectors (..., r, d)."""
    _, values, vectors = _extension(a).svd(a, full_matrices=False)
    return values, vectors


def _extension(array):
    xp = array_namespace(array=array)
    if not hasattr(xp, "linalg"):
        msg = f"x must be an array of a library with the extension linalg, got {xp.__name__}"
        raise TypeError(msg)
    return xp.linalg
