"""PyTorch: rows on several processes, by ``torch.distributed`` (gloo, nccl, mpi).

Every process calls the same function with its own rows and ``reduce=AllReduce()``.
"""

import torch
import torch.distributed as dist
from torch.distributed import _functional_collectives as functional

from kmeans_fx.distributed._packing import pack, unpack

__all__ = ["AllReduce"]


class AllReduce:
    """``reduce=`` over a process group: one all-reduce of the packed statistics.

    Parameters
    ----------
    group : torch.distributed.ProcessGroup, optional
        The default group if None. Its timeout bounds how long a process waits for others.

    Raises
    ------
    RuntimeError
        If there is no process group.

    Notes
    -----
    All processes start from what rank 0 was given as ``key`` or centroids, have the same
    centroids after every iteration, bit for bit, and stop together. They may have
    different numbers of rows, in the order of the ranks.

    Differentiable where PyTorch's functional collectives are: ``backward()`` gives the
    derivative of the sum of the losses of all processes. All must call it, on losses of the
    same results.

    An argument that a rank refuses (values that are not finite, no rows, other columns or
    another dtype than rank 0) is an error on all ranks. If a process dies, the others get
    a RuntimeError: at once where the transport notices (gloo), or after the timeout.

    Examples
    --------
    A group of one process; see the page on scaling for more.

    >>> import torch
    >>> import torch.distributed as dist
    >>> from kmeans_fx import kmeans
    >>> from kmeans_fx.distributed.torch import AllReduce
    >>> store = dist.HashStore()
    >>> dist.init_process_group("gloo", store=store, rank=0, world_size=1)
    >>> x = torch.tensor([[0.0], [1.0], [10.0], [11.0]])
    >>> result = kmeans(x, 2, key=0, empty="split", reduce=AllReduce())
    >>> sorted(result.centroids[:, 0].tolist())
    [0.5, 10.5]
    >>> dist.destroy_process_group()
    """

    def __init__(self, group=None):
        if not (dist.is_available() and dist.is_initialized()):
            msg = "AllReduce needs a process group: call torch.distributed.init_process_group"
            raise RuntimeError(msg)
        self.group = group
        self.rank = dist.get_rank(group)
        self.size = dist.get_world_size(group)

    def __call__(self, stats):
        """The sum of the statistics over the ranks."""
        buffer = pack(stats)
        if torch.is_grad_enabled() and buffer.requires_grad:
            return unpack(self._together(_differentiable_sum, buffer, self.group), stats)
        with torch.no_grad():
            self._together(dist.all_reduce, buffer, group=self.group)
        return unpack(buffer, stats)

    def agree(self, facts, error):
        """Raise on all ranks if one has an error, or facts that are not those of rank 0.

        Parameters
        ----------
        facts : dict
            What must be the same on all ranks, by its name.
        error : Exception or None

        Raises
        ------
        ValueError
            Naming the rank. Nothing on a rank with an error of its own.
        """
        told: list = [None] * self.size
        own = (facts, None if error is None else str(error))
        self._together(dist.all_gather_object, told, own, group=self.group)
        if error is not None:
            return
        for rank, (others, problem) in enumerate(told):
            if problem is not None:
                msg = f"rank {rank} of {self.size} was given something wrong: {problem}"
                raise ValueError(msg)
            for name, value in others.items():
                if value != told[0][0][name]:
                    first = told[0][0][name]
                    msg = (
                        f"{name} must be the same on all ranks, got {first} on rank 0 and "
                        f"{value} on rank {rank}"
                    )
                    raise ValueError(msg)

    def _together(self, collective, *args, **options):
        try:
            return collective(*args, **options)
        except RuntimeError as error:
            msg = (
                f"rank {self.rank} of {self.size} waited in vain for the others: a process has "
                "died, or did not call the same function within the timeout of the group"
            )
            raise RuntimeError(msg) from error


def _differentiable_sum(buffer, group):
    if not hasattr(functional, "all_reduce_backward"):
        msg = (
            "a derivative over several processes needs a newer PyTorch than "
            f"{torch.__version__}; without one, call this under torch.no_grad()"
        )
        raise NotImplementedError(msg)
    group = dist.group.WORLD if group is None else group
    return functional.wait_tensor(functional.all_reduce(buffer, "sum", group))
