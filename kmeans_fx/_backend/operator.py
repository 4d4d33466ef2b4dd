"""PyTorch: programs, and one custom operator for all of them, with shapes and a vmap rule.

Imported when a tensor comes, never before.
"""

import ast

import torch
from torch import Tensor

from kmeans_fx._backend import fixed_point
from kmeans_fx._backend.namespace import accumulation_dtype
from kmeans_fx._backend.threads import one_thread
from kmeans_fx._backend.transform import as_given

__all__ = ["compute", "run"]


def compute(arrays, name, present, options):
    """Run the program ``name`` on the arrays that are present."""
    outputs = fixed_point.run_on_host(name, present, options, arrays)
    if outputs is not None:
        return outputs
    with one_thread(arrays[0]), as_given(arrays[0]):
        return fixed_point.call(name, present, options, arrays)


@torch.library.custom_op("kmeans_fx::program", mutates_args=())
def run(arrays: list[Tensor], name: str, call: str) -> list[Tensor]:
    """As `compute`, for transforms, which see one operation."""
    outputs = compute(arrays, name, *ast.literal_eval(call))
    # An operator must not return its inputs, or two outputs that share memory.
    return [output.clone() for output in outputs]


@run.register_fake
def _shapes(arrays, name, call):
    present, options = ast.literal_eval(call)
    real = accumulation_dtype(torch, arrays[0].dtype)
    return [
        arrays[0].new_empty(shape, dtype=torch.int64 if index else real)
        for shape, index in fixed_point.shapes_of(name, present, options, arrays)
    ]


@run.register_vmap
def _batched(info, in_dims, arrays, name, call):
    del info
    present, _ = ast.literal_eval(call)
    aligned = fixed_point.align(arrays, in_dims[0], fixed_point.ranks_of(name, present))
    outputs = run(aligned, name, call)
    return outputs, [0] * len(outputs)
