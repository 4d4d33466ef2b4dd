"""How tensors are handed to programs of Triton."""

from contextlib import nullcontext

import torch

__all__ = ["as_batches", "on_device_of", "power_of_two", "step", "strides"]


def as_batches(*arrays):
    """Whether any of the arrays, each with its rank, is a batch, and all as one; None stays."""
    batched = any(a is not None and a.ndim > rank for a, rank in arrays)
    lifted = (a if a is None or a.ndim > rank else a[None] for a, rank in arrays)
    # The rows alone come with strides of their own.
    return batched, [a if a is None or i == 0 else a.contiguous() for i, a in enumerate(lifted)]


def step(array):
    """From a member to the next one."""
    return 0 if array is None or array.shape[0] == 1 else array.stride(0)


def strides(x):
    return step(x), x.stride(1), x.stride(2)


def power_of_two(size):
    """The next power of two."""
    return 1 << (size - 1).bit_length()


def on_device_of(tensor):
    """Launches go to the device that is current."""
    return torch.cuda.device(tensor.device) if tensor.is_cuda else nullcontext()
