"""JAX: rows on several devices, also of several processes.

Under ``jax.jit`` the functions of the package take arrays whose rows are sharded as they
are; `pad_rows` places them. Inside ``jax.shard_map`` each device has its own rows, and
`PSum` is what ``reduce=`` takes.
"""

import jax
import numpy as np
from jax import lax
from jax.sharding import NamedSharding, PartitionSpec

from kmeans_fx.distributed._packing import pack, unpack

__all__ = ["PSum", "pad_rows"]


class PSum:
    """``reduce=`` inside a ``shard_map``: one ``psum`` of the packed statistics.

    Parameters
    ----------
    axis_name : str or tuple of str
        The axes of the mesh along which the rows lie.

    Notes
    -----
    Differentiable. All shards have equally many rows: see `pad_rows`. Values cannot be
    read in a trace: NaN on any shard ends the fit on all, with the status NONFINITE.

    Examples
    --------
    >>> import jax
    >>> import numpy as np
    >>> from functools import partial
    >>> from jax.sharding import PartitionSpec as P
    >>> from kmeans_fx import kmeans
    >>> from kmeans_fx.distributed.jax import PSum, pad_rows
    >>> mesh = jax.make_mesh((jax.device_count(),), ("rows",))
    >>> @jax.jit
    ... @partial(jax.shard_map, mesh=mesh, in_specs=P("rows"), out_specs=P())
    ... def centroids(x):
    ...     return kmeans(x, 2, key=0, empty="split", reduce=PSum("rows")).centroids
    >>> x, _ = pad_rows(np.array([[0.0], [1.0], [10.0], [11.0]], dtype=np.float32), mesh)
    >>> sorted(centroids(x)[:, 0].tolist())
    [0.5, 10.5]
    """

    def __init__(self, axis_name):
        self.axis_name = axis_name

    def __call__(self, stats):
        """The sum of the statistics over the shards."""
        return unpack(lax.psum(pack(stats), self.axis_name), stats)

    @property
    def rank(self):
        """The place of this shard, traced."""
        return lax.axis_index(self.axis_name)

    @property
    def size(self):
        """The number of shards."""
        return lax.axis_size(self.axis_name)


def pad_rows(x, mesh, /, *, axis_name=None, weights=None):
    """Rows placed along a mesh, and weights: 0 for what makes all devices have equally many.

    Parameters
    ----------
    x : array (n, d)
        Of JAX or NumPy. With several processes, the rows of this one; how many may differ.
    mesh : jax.sharding.Mesh
    axis_name : str or tuple of str, optional
        The axes of the mesh to place rows along; all if None.
    weights : array (n,), optional
        Ones if None.

    Returns
    -------
    x : array (m, d)
        All rows, those of one process after those of another, each with its filling at the
        end: copies of the first row.
    weights : array (m,)
        0 for the filling. Give them to every function that takes weights.

    Raises
    ------
    ValueError
        If there are no rows, shapes do not fit, or processes have different columns or
        dtypes.

    Examples
    --------
    >>> import jax
    >>> import numpy as np
    >>> from kmeans_fx import kmeans
    >>> from kmeans_fx.distributed.jax import pad_rows
    >>> mesh = jax.make_mesh((jax.device_count(),), ("rows",))
    >>> x, weights = pad_rows(np.array([[0.0], [1.0], [10.0]], dtype=np.float32), mesh)
    >>> result = jax.jit(lambda x, weights: kmeans(x, 2, key=0, weights=weights))(x, weights)
    >>> sorted(result.centroids[:, 0].tolist())
    [0.5, 10.0]
    """
    x = np.asarray(x)
    weights = np.ones(x.shape[:1], dtype=np.float32) if weights is None else np.asarray(weights)
    _check(x, weights)
    axis_name = mesh.axis_names if axis_name is None else axis_name
    sharding = NamedSharding(mesh, PartitionSpec(axis_name))
    here = len(sharding.addressable_devices) // _copies(mesh, axis_name)
    missing = _rows_per_device(x, here) * here - x.shape[0]
    x = np.concatenate([x, np.broadcast_to(x[:1], (missing, *x.shape[1:]))])
    weights = np.concatenate([weights, np.zeros(missing, dtype=weights.dtype)])
    return tuple(jax.make_array_from_process_local_data(sharding, a) for a in (x, weights))


def _check(x, weights):
    problem = None
    if x.ndim != 2 or x.shape[0] == 0:
        problem = f"x must have shape (n, d) with n at least 1, got {x.shape}"
    elif weights.shape != x.shape[:1]:
        problem = f"weights must have shape ({x.shape[0]},) to match x, got {weights.shape}"
    if problem is not None and jax.process_count() == 1:
        raise ValueError(problem)
    _check_others(x, problem)


def _check_others(x, problem):
    """Several processes: an error on one is an error on all."""
    if jax.process_count() == 1:
        return
    columns = x.shape[1] if x.ndim == 2 else 0
    kinds = _everywhere([problem is not None, columns, x.dtype.num])
    if problem is not None:
        raise ValueError(problem)
    for process, (refused, *kind) in enumerate(kinds.tolist()):
        if refused:
            msg = f"process {process} was given no rows, or wrong shapes"
            raise ValueError(msg)
        if kind != kinds[0, 1:].tolist():
            msg = (
                "x must have as many columns and the same dtype on all processes: "
                f"process {process} differs from process 0"
            )
            raise ValueError(msg)


def _everywhere(numbers):
    """The numbers of all processes, (processes, m)."""
    from jax.experimental.multihost_utils import process_allgather

    return np.asarray(process_allgather(np.asarray(numbers, dtype=np.int32)))


def _copies(mesh, axis_name):
    """How many devices hold the same rows, of those of a process."""
    names = (axis_name,) if isinstance(axis_name, str) else axis_name
    shards = int(np.prod([mesh.shape[name] for name in names]))
    return max(1, len(mesh.local_devices) // max(1, shards // jax.process_count()))


def _rows_per_device(x, devices):
    rows = -(-x.shape[0] // devices)
    if jax.process_count() == 1:
        return rows
    return int(_everywhere([rows]).max())
