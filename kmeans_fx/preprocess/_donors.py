"""The nearest rows that have a value where another row has none."""

from kmeans_fx._backend.fixed_point import program
from kmeans_fx._backend.linalg import matmul
from kmeans_fx._backend.members import broadcast_shapes
from kmeans_fx._backend.namespace import array_namespace, index_dtype
from kmeans_fx._backend.segment import take_rows
from kmeans_fx._backend.smallest import smallest
from kmeans_fx._partition import map_rows

__all__ = ["nearest_donors", "pick"]

# Distances that a block may hold at a time.
_BUDGET = 1 << 20


@program("qd kd k d n", "nr:index nr")
def nearest_donors(x, donors, weights, centre, cells, *, r):
    """The r nearest donors for every cell, row * d + column, and how far they are.

    The distance is Euclidean over the columns that both rows have, scaled up to all; it is
    infinite where they share none, and from a donor without a value or without weight.
    """
    xp = array_namespace(x=x)
    m, d = donors.shape[-2:]
    there, table = _table(xp, donors, centre)
    # A donor for a column: presence as rows of numbers, to be taken by column.
    usable = xp.matrix_transpose(there * xp.astype(weights > 0, there.dtype)[..., None])

    def block(cells):
        own = cells[..., 0]
        rows = take_rows(xp, x, own // d)
        far = _distances(xp, rows, centre, there, table)
        offered = take_rows(xp, usable, own % d) > 0
        far = xp.where(offered, far, xp.full_like(far, xp.inf))
        places = smallest(far + 0.0, r)
        return (places, xp.take_along_axis(far, places, axis=-1)), ()

    (places, far), _ = map_rows(block, (cells[..., None],), donors, m, max(1, _BUDGET // m))
    return xp.astype(places, index_dtype(xp, x), copy=False), far


def _table(xp, donors, centre):
    """Presence (m, d), and what the product with rows makes sums of squares of, (3 d, m)."""
    missing = xp.isnan(donors)
    there = xp.astype(~missing, donors.dtype)
    values = xp.where(missing, xp.zeros_like(donors), donors - centre[..., None, :])
    table = xp.concat([there, values * -2.0, values * values], axis=-1)
    return there, xp.matrix_transpose(table)


def _distances(xp, rows, centre, there, table):
    """Squared distances (c, m) of rows (c, d), over the shared columns, scaled up to all."""
    missing = xp.isnan(rows)
    own = xp.astype(~missing, rows.dtype)
    values = xp.where(missing, xp.zeros_like(rows), rows - centre[..., None, :])
    squares = matmul(xp.concat([values * values, values, own], axis=-1), table)
    shared = matmul(own, xp.matrix_transpose(there))
    # Rounding may leave less than nothing of a difference of squares.
    squares = xp.where(squares > 0, squares, xp.zeros_like(squares))
    some = shared > 0
    scale = rows.shape[-1] / xp.where(some, shared, xp.ones_like(shared))
    return xp.where(some, squares * scale, xp.full_like(squares, xp.inf))


def pick(xp, table, places):
    """Entries of a table (..., n, d) at flat places (..., c)."""
    flat = xp.reshape(table, (*table.shape[:-2], -1, 1))
    batch = broadcast_shapes(flat.shape[:-2], places.shape[:-1])
    places = xp.broadcast_to(places, (*batch, places.shape[-1]))
    return take_rows(xp, flat, places)[..., 0]
