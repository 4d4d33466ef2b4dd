"""The derivative of a fixed point c = F(c, theta): dc = (I - dF/dc)^-1 dF.

A step from the fixed point, c + M (F(c, theta) - c) with the constant M = (I - dF/dc)^-1,
has that derivative, whatever the framework. It is the chord form of Newton's method, which
gains one order in theta at every step: two steps have the second derivatives, too.
"""

from kmeans_fx._backend.namespace import device
from kmeans_fx._backend.transform import stop_gradient

__all__ = ["at_fixed_point", "guarded_inverse"]

# Derivatives up to this order are exact.
_ORDER = 2


def at_fixed_point(move, fixed, apply_inverse):
    """The value ``fixed``, with the derivative of the fixed point of ``move``."""
    point = fixed
    for _ in range(_ORDER):
        away = move(point) - point
        point = point + apply_inverse(away - stop_gradient(away))
    return point


def guarded_inverse(xp, matrix):
    """The inverse of symmetric matrices (..., m, m) of norm about 1, no matter how singular.

    The diagonal is raised by some roundings, by which the matrix is uncertain anyway.
    """
    eye = xp.eye(matrix.shape[-1], dtype=matrix.dtype, device=device(matrix))
    return xp.linalg.inv(matrix + 8 * float(xp.finfo(matrix.dtype).eps) * eye)
