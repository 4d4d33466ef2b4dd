"""Arrays on their way to a device, by PyTorch: copied while the ones before are worked on.

Imported when a device is asked for, never before.
"""

from typing import Any, NamedTuple

import torch

from kmeans_fx._backend.namespace import array_namespace, is_numpy_namespace, is_torch_namespace

__all__ = ["Staging"]


class Sent(NamedTuple):
    """Tensors on the device, and the event after which they are whole."""

    arrays: Any
    whole: Any


class Staging:
    """Two sets of pinned memory, filled in turn, and a stream for the copies out of them.

    One thread sends and another one receives, in the same order. Work that is under way
    on the device does not hold up a copy, nor a copy that work.
    """

    def __init__(self, place):
        self.place = torch.device(place)
        self.engine = torch.get_device_module(self.place)
        self.stream = self.engine.Stream(self.place)
        self.pinned: list[dict] = [{}, {}]
        self.whole: list[Any] = [None, None]
        self.turn = 0

    def send(self, *arrays):
        """Start copies of arrays of NumPy or PyTorch, of which None stay."""
        turn, self.turn = self.turn, 1 - self.turn
        if self.whole[turn] is not None:
            self.whole[turn].synchronize()  # the memory is being read until then
        with self.engine.stream(self.stream):
            sent = [a if a is None else self._start(turn, i, a) for i, a in enumerate(arrays)]
            self.whole[turn] = self.engine.Event()
            self.whole[turn].record(self.stream)
        return Sent(sent, self.whole[turn])

    def receive(self, sent):
        """The tensors, for use in this thread's stream: it waits for them, and no one else."""
        here = self.engine.current_stream(self.place)
        here.wait_event(sent.whole)
        for array in sent.arrays:
            if array is not None and array.is_cuda:
                array.record_stream(here)  # or their memory might go to a copy too early
        return sent.arrays

    def _start(self, turn, i, array):
        xp = array_namespace(blocks=array)
        if not (is_numpy_namespace(xp) or is_torch_namespace(xp)):
            msg = f"blocks must be of NumPy or PyTorch to be sent to a device, got {type(array)}"
            raise TypeError(msg)
        array = torch.asarray(array)
        kept = self.pinned[turn].get(i)
        if kept is None or kept.dtype != array.dtype or kept.numel() < array.numel():
            pin = self.place.type != "cpu"
            kept = torch.empty(array.numel(), dtype=array.dtype, pin_memory=pin)
            self.pinned[turn][i] = kept
        staged = kept[: array.numel()].view(array.shape)
        staged.copy_(array)
        return staged.to(self.place, non_blocking=True, copy=True)
