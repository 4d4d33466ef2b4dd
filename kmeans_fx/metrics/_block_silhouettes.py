"""The silhouette by all pairs of rows in blocks: each block in turn is compared with all."""

from operator import add as joined

from kmeans_fx._backend.fixed_point import program
from kmeans_fx._backend.namespace import array_namespace
from kmeans_fx._backend.segment import one_hot, segment_sum
from kmeans_fx.algorithms._block_steps import add
from kmeans_fx.algorithms._sweeps import Swept
from kmeans_fx.distances import as_metric
from kmeans_fx.metrics._between import by_label, pairwise_sums
from kmeans_fx.metrics._block_scores import centres_and_counts, wide_rows
from kmeans_fx.metrics._silhouettes import samples_of

__all__ = ["block_silhouette"]


def block_silhouette(sweep, k, metric):
    """See `silhouette_score`; a block of rows at a time is here, and goes to all others."""
    _, counts = centres_and_counts(sweep, k)
    xp, total = array_namespace(x=counts), 0.0
    _, numbers = sweep(number_of, None, merge=joined)
    for number in numbers:
        _, (rows, labels) = sweep(only, None, number, merge=joined)
        _, (sums,) = sweep(distance_sums, None, rows, labels, number, k, metric, merge=add)
        none, ones = xp.zeros_like(rows[:, 0]), xp.ones_like(rows[:, 0])
        total = total + xp.sum(samples_of(sums, none, labels, ones, counts))
    return total / xp.sum(counts)


def number_of(block, kept):
    """The number of the block, in a tuple."""
    del kept
    return Swept(None, (block.number,))


def only(block, kept, number):
    """The rows and labels of the block of this number, and nothing of others."""
    del kept
    return Swept(None, wide_rows(block) if block.number == number else None)


def distance_sums(block, kept, rows, labels, number, k, metric):
    """The sums (k, b) of the distances of b rows to those of a block, by their labels."""
    del kept
    rest = {"same": block.number == number, "portable": not isinstance(metric, str)}
    return Swept(None, _distance_sums(*wide_rows(block), rows, labels, k=k, metric=metric, **rest))


@program("nd n bd b", "kb")
def _distance_sums(x, labels, rows, own, *, k, metric, same):
    xp = array_namespace(x=x)
    (x, labels), _ = by_label(labels, x, labels)
    (rows, own), back = by_label(own, rows, own)

    def collect(distances, labels):
        return segment_sum(distances, labels, k)

    def finish(sums, itself, own):
        table = xp.matrix_transpose(sums)
        # Rounding, or the metric, makes something of the distance of a row to itself.
        return table - one_hot(xp, own, k, table.dtype) * itself[:, None] if same else table

    def alike(own):
        return xp.astype(xp.ones_like(own), rows.dtype)

    table = pairwise_sums(
        finish, x, (labels,), alike, as_metric(metric), collect, asked=(rows, own)
    )
    return (xp.matrix_transpose(back(table)),)
