"""How the fixed points of soft and fuzzy k-means answer to a change of their equations."""

from kmeans_fx._backend.members import map_members
from kmeans_fx._backend.namespace import array_namespace, device
from kmeans_fx._backend.pairs import squared_block
from kmeans_fx._implicit import guarded_inverse
from kmeans_fx._partition import map_rows
from kmeans_fx._ranks import total
from kmeans_fx.algorithms._memberships import KINDS

__all__ = ["response"]


def response(x, centroids, weights, parameter, pulls, space, kind, reduce=None):
    """The function from moves F(c) - c (..., k, d) to those of the fixed point.

    It applies (I - dF/dc)^-1. With pulls Q_j, row weights w and the slopes a, b of the
    memberships,

        Q_j dF_j/dc_l = H_jl = sum_i w_i a_ij b_il (delta_jl - u_il) (x_i - c_j)(x_i - c_l)^T.

    H is a second derivative of the objective, a sum over the rows of all ranks: symmetric.
    So is the matrix inverted here, I - Q^-1/2 H Q^-1/2, and positive definite at a strict
    minimum.
    """
    xp = array_namespace(x=x)
    k, d = centroids.shape[-2:]

    def each(x, centroids, weights, parameter, origin):
        here = space._replace(origin=origin)
        return (_sensitivity(xp, x, centroids, weights, parameter, here, kind),)

    arrays = [x, centroids, weights, parameter, space.origin]
    # A batch in groups, because one problem alone is in blocks of rows.
    (slopes,) = map_members(each, arrays, [2, 2, 1, 0, 1], 2 * x.shape[-2] * k * d)
    slopes = total(slopes, reduce)
    scale = xp.sqrt(xp.where(pulls > 0, pulls, xp.ones_like(pulls)))[..., None]
    roots = xp.broadcast_to(scale, (*scale.shape[:-1], d))
    roots = xp.reshape(roots, (*scale.shape[:-2], k * d))
    eye = xp.eye(k * d, dtype=slopes.dtype, device=device(slopes))
    slopes = slopes / (roots[..., :, None] * roots[..., None, :])
    inverse = guarded_inverse(xp, eye - slopes)

    def apply_inverse(moves):
        columns = xp.reshape(moves * scale, (*moves.shape[:-2], k * d, 1))
        return xp.reshape(xp.matmul(inverse, columns), moves.shape) / scale

    return apply_inverse


def _sensitivity(xp, x, centroids, weights, parameter, space, kind):
    """The matrices H (..., kd, kd)."""
    k, d = centroids.shape[-2:]
    parameter = parameter[..., None, None]

    def block(part, share):
        rows = space.rows(part)
        squares = squared_block(rows, centroids)
        shares, _, _ = KINDS[kind].memberships(squares, parameter)
        pull, steep = KINDS[kind].slopes(squares, parameter)
        pull = pull if share is None else pull * share[..., None]
        away = xp.matrix_transpose(rows)[..., None, :, :] - centroids[..., None]  # (k, d, rows)
        left = away * xp.matrix_transpose(pull)[..., None, :]
        right = away * xp.matrix_transpose(steep)[..., None, :]
        own = xp.matmul(left, xp.matrix_transpose(right))
        lead = left.shape[:-3]
        left = xp.reshape(left, (*lead, k * d, -1))
        right = xp.reshape(right * xp.matrix_transpose(shares)[..., None, :], (*lead, k * d, -1))
        return (), (own, xp.matmul(left, xp.matrix_transpose(right)))

    _, (own, both) = map_rows(block, (x, weights), centroids, 4 * k * d, space.chunk_size)
    same = xp.eye(k, dtype=own.dtype, device=device(own))[:, None, :, None]
    # (..., k, d, 1, d) where both centroids are the same, then (..., kd, kd).
    own = xp.reshape(own[..., :, :, None, :] * same, both.shape)
    return own - both
