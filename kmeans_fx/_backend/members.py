"""Batches of problems: small members run side by side, large ones one after the other."""

from math import prod

from kmeans_fx._backend.blocks import map_blocks
from kmeans_fx._backend.namespace import (
    array_namespace,
    device,
    is_jax_namespace,
    on_accelerator,
)

__all__ = ["broadcast_shapes", "map_members"]

# Numbers that a group of members may hold: about what the caches keep, or what an
# accelerator has memory for.
_GROUP_SIZE, _DEVICE_GROUP_SIZE = 1 << 20, 1 << 28


def map_members(function, arrays, ranks, member_size):
    """Call ``function`` on a problem, or on every problem of a batch.

    Parameters
    ----------
    function : callable
        Takes the arrays of one problem, or of a group of problems: then each array
        that differs between members has one leading axis. Returns a tuple of arrays.
    arrays : list of arrays, or None where one is absent
        With leading batch dimensions that broadcast together.
    ranks : list of int
        Number of core dimensions of each array.
    member_size : int
        About how many numbers one member works on at a time.

    Returns
    -------
    tuple of arrays
        Each with the broadcast batch dimensions in front.
    """
    leads = [() if a is None else a.shape[: a.ndim - r] for a, r in zip(arrays, ranks, strict=True)]
    batch = broadcast_shapes(*leads)
    if not batch:
        return function(*arrays)
    xp = array_namespace(**{f"array{i}": a for i, a in enumerate(arrays)})
    members = [_Member(xp, a, lead, batch) for a, lead in zip(arrays, leads, strict=True)]
    apart = any(a is not None and on_accelerator(a) for a in arrays)
    numbers = _DEVICE_GROUP_SIZE if apart else _GROUP_SIZE
    group = max(1, min(prod(batch), numbers // max(member_size, 1)))
    results = _run(xp, function, members, prod(batch), group)
    return tuple(xp.reshape(r, (*batch, *r.shape[1:])) for r in results)


class _Member:
    """An array whose batch is smaller than, or as large as, the whole batch."""

    def __init__(self, xp, array, lead, batch):
        self.xp, self.shared, self.array = xp, not lead, array
        self.whole = bool(lead) and prod(lead) == prod(batch)  # each in its place
        if not self.shared:
            self.array = xp.reshape(array, (prod(lead), *array.shape[len(lead) :]))
        if not (self.shared or self.whole):
            self.places = _places(lead, batch)
            self.index = xp.asarray(self.places, device=device(array))

    def group(self, members):
        if self.shared:
            return self.array
        return self.xp.take(self.array, self.xp.take(self.index, members), axis=0)

    def one(self, member):
        if self.shared:
            return self.array
        if self.whole:
            return self.array[member, ...]
        # A Python int, where there is one, takes a view on every backend.
        place = self.places[member] if isinstance(member, int) else self.index[member]
        return self.array[place, ...]


def _places(lead, batch):
    """For every member of the batch, which member of the array of fewer is its."""
    places = [0]
    for size, own in zip(batch, (1,) * (len(batch) - len(lead)) + tuple(lead), strict=True):
        places = [p * own + (i if own > 1 else 0) for p in places for i in range(size)]
    return places


def _run(xp, function, members, size, group):
    if group == 1 and not is_jax_namespace(xp):
        # Views of the members: nothing is copied.
        results = [function(*(m.one(i) for m in members)) for i in range(size)]
        return tuple(xp.stack(result) for result in zip(*results, strict=True))

    def block(indices, *cut):
        blocks = iter(cut)
        if group == 1:
            one = (next(blocks)[0, ...] if m.whole else m.one(indices[0]) for m in members)
            return tuple(output[None, ...] for output in function(*one)), ()
        return function(*(next(blocks) if m.whole else m.group(indices) for m in members)), ()

    # Those of which every member has its own are cut where they are: an index would copy them.
    whole = [m.array for m in members if m.whole]
    array = next(m.array for m in members if not m.shared)
    outputs, _ = map_blocks(block, (xp.arange(size, device=device(array)), *whole), group)
    return outputs


def broadcast_shapes(*shapes):
    """The shape to which all shapes broadcast.

    Raises
    ------
    ValueError
        If two sizes differ and neither is 1.
    """
    length = max([0, *(len(shape) for shape in shapes)])
    result = [1] * length
    for shape in shapes:
        for axis, size in enumerate(shape, start=length - len(shape)):
            if size != 1 and result[axis] not in (1, size):
                msg = f"batch dimensions must broadcast together, got {shapes}"
                raise ValueError(msg)
            result[axis] = max(result[axis], size) if size else 0
    return tuple(result)
