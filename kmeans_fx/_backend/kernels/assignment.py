"""The search for the nearest centroid of every row, compiled by Numba."""

import numpy as np

from kmeans_fx._backend.kernels.compiled import with_scratch
from kmeans_fx._backend.kernels.cpu import sum_rows
from kmeans_fx._backend.kernels.registers import width
from kmeans_fx._backend.kernels.tiles import nearest_of_tile, room_for_sums, rows_to_fetch
from kmeans_fx._backend.kernels.transpose import fill_tile

__all__ = ["assign_rows"]


@with_scratch
def assign_rows(x, origin, packed, bias, share, labels, sums, counts):
    """Labels (m, n) of the rows; adds to their sums (m, k, d) and counts (m, k).

    Of every array that is read there may be one for all members. ``share`` is empty where
    there are no weights; ``packed`` and ``bias`` are those of a
    `kmeans_fx._backend.kernels.fused.Packed`.
    """
    n, d = x.shape[1:]
    w = width(x)
    tile, label = np.zeros((d, 3 * w), x.dtype), np.zeros(3 * w, np.int32)
    flat, place = tile.reshape(tile.size), np.zeros(6 * w, np.uintp)
    scores = np.zeros(room_for_sums(x[0], bias.shape[1], w), x.dtype)
    coming = place[3 * w : 3 * w + rows_to_fetch(x[0], 3 * w)]
    for member in range(labels.shape[0]):
        rows, centre = x[member % x.shape[0]], origin[member % origin.shape[0]]
        own, offset = packed[member % packed.shape[0]], bias[member % bias.shape[0]]
        for start in range(0, n, 3 * w):
            stop = min(n, start + 3 * w)
            for h in range(6 * w):
                place[h] = min(start + h, n - 1)
            fill_tile(rows, centre, place, stop - start, tile)
            nearest_of_tile(flat, own, offset, scores, d, w, label, rows, coming)
            for i in range(start, stop):
                labels[member, i] = label[i - start]
        sum_rows(
            rows,
            centre,
            labels[member],
            share[member % share.shape[0]],
            sums[member],
            counts[member],
        )
