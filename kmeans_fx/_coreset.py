"""Choosing rows from a weighted sample of them: a program from (x, weights, key) to indices."""

import math

from kmeans_fx._backend.blocks import map_blocks, rows_per_block
from kmeans_fx._backend.fixed_point import program
from kmeans_fx._backend.namespace import array_namespace
from kmeans_fx._backend.random import block_sums, choice
from kmeans_fx._backend.segment import take_rows
from kmeans_fx._partition import centred_space
from kmeans_fx._sampling import choose_kmeans_plusplus, mass_of, next_key, reach_from, uniforms
from kmeans_fx.distances import as_metric, identity

__all__ = ["choose_kmeans_coreset"]


@program("nd n w", "k:index", by_numpy=True)
def choose_kmeans_coreset(x, weights, key, *, k, metric, size):
    """Algorithm 1 of Bachem et al., and greedy k-means++ among the rows that it draws."""
    xp = array_namespace(x=x)
    space = centred_space(x, weights, as_metric(metric), None)
    mass, centre = mass_of(x, weights, key), _centre(x, weights, space)
    far = reach_from(x, centre, space)
    # Half of the draws by weight alone, half by the share in the sum of distances.
    near = 1 / xp.sum(mass, axis=-1, keepdims=True)
    total = xp.sum(far * mass, axis=-1, keepdims=True)
    share = near + far / xp.where(total > 0, total, xp.ones_like(total))
    sample = _draw_many(share * mass, uniforms(space.origin, key, 1, size)[..., 0, :, :])
    drawn = 1 / (size * xp.take_along_axis(xp.broadcast_to(share, mass.shape), sample, axis=-1))
    (chosen,) = choose_kmeans_plusplus(
        take_rows(xp, x, sample),
        drawn,
        *next_key(key),
        k=k,
        metric=metric,
        n_trials=2 + int(math.log(k)),
        portable=True,
    )
    return (xp.take_along_axis(sample, chosen, axis=-1),)


def _centre(x, weights, space):
    """The mean (..., d) of the mapped rows, also where distances are not expanded."""
    if space.metric.embed is None:
        return centred_space(x, weights, space.metric._replace(embed=identity), None).origin
    return space.origin


def _draw_many(p, draws):
    """`choice`, for so many draws that a block of ``p`` for each would fill the memory."""
    if p.ndim > 1 or draws.ndim > 2:
        return choice(draws, p)
    sums = block_sums(p)
    size = rows_per_block(p, 8 * sums.shape[-1])
    return map_blocks(lambda part: ((choice(part, p, sums),), ()), (draws,), size)[0][0]
