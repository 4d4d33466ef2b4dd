"""Statistics as one buffer, so that one message adds all of them."""

import math

from kmeans_fx._backend.namespace import array_namespace
from kmeans_fx.update import ClusterStats

__all__ = ["pack", "unpack"]


def pack(stats):
    """Sums, counts and inertia one after the other, flat."""
    xp = array_namespace(sums=stats.sums)
    return xp.concat([xp.reshape(field, (-1,)) for field in stats])


def unpack(buffer, like):
    """Statistics of the shapes of ``like``."""
    xp = array_namespace(buffer=buffer)
    fields, start = [], 0
    for field in like:
        stop = start + math.prod(field.shape)
        fields.append(xp.reshape(buffer[start:stop], tuple(field.shape)))
        start = stop
    return ClusterStats(*fields)
