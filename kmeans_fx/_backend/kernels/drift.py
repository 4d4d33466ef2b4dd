"""`kmeans_fx._backend.drift`, compiled by Numba: in few microseconds where centroids are few."""

import numpy as np

from kmeans_fx._backend.kernels.compiled import compiled, with_scratch
from kmeans_fx._backend.kernels.cpu import square_between
from kmeans_fx._backend.kernels.registers import width
from kmeans_fx._backend.kernels.tiles import (
    bounds_of_tile,
    largest_square,
    room_for_sums,
    two_nearest_of_tile,
)
from kmeans_fx._backend.kernels.transpose import fill_tile

__all__ = ["drift"]


@compiled
def drift(centroids, previous, packed, bias, slack, ways):
    """``ways`` (3, k): how far the centroid moved, how far any other, half the way to the next."""
    first, most, second = 0, ways.dtype.type(-1), ways.dtype.type(0)
    for j in range(centroids.shape[0]):
        way = np.sqrt(square_between(centroids[j], previous[j])) * (1 + ways.dtype.type(slack))
        ways[0, j] = way
        if way > most:
            first, most, second = j, way, max(most, ways.dtype.type(0))
        elif way > second:
            second = way
    for j in range(centroids.shape[0]):
        ways[1, j] = most
    ways[1, first] = second
    _halve_gaps(centroids, packed, bias, slack, ways[2])


@with_scratch
def _halve_gaps(centroids, packed, bias, slack, half):
    """Half the way, at most, to the next centroid: the second of those that are nearest to it."""
    k, d = centroids.shape
    w = width(centroids)
    tile, place = np.zeros((d, 3 * w), centroids.dtype), np.zeros(3 * w, np.int64)
    (low, high), label = np.zeros((2, 3 * w), tile.dtype), np.zeros(3 * w, np.int32)
    scores = np.zeros(room_for_sums(centroids, bias.shape[0], w), tile.dtype)
    flat, origin, largest = tile.reshape(tile.size), np.zeros(d, tile.dtype), largest_square(bias)
    for start in range(0, k, 3 * w):
        held = min(k - start, 3 * w)
        for h in range(held):
            place[h] = start + h
        fill_tile(centroids, origin, place, held, tile)
        two_nearest_of_tile(
            flat, packed, bias, scores, d, w, label, low, high, centroids, place[:0]
        )
        bounds_of_tile(flat, d, w, largest, slack, low, high)
        for h in range(held):
            half[start + h] = high[h] / 2
