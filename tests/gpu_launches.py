"""What the kernels for a GPU are launched with, seen without one: sizes, and machine code.

``python tests/gpu_launches.py 90`` compiles every launch of some problems for that generation
of GPUs and prints a line of JSON for each; with the names of files it compiles the code in
those. Triton must not interpret for that.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import torch

from kmeans_fx._backend.kernels import cuda, cuda_sums, tensors

KERNELS = {
    "nearest": cuda,
    "nearest_and_sums": cuda,
    "own_squares": cuda_sums,
    "segment_sums": cuda_sums,
}
WORDS = {torch.float64: "fp64", torch.float32: "fp32", torch.float16: "fp16"}
WORDS |= {torch.bfloat16: "bf16", torch.int64: "i64"}


class Launches:
    """In place of a kernel: keeps the grid and the arguments of every launch."""

    def __init__(self, kernel, seen):
        self.kernel, self.seen = kernel, seen

    def __getitem__(self, grid):
        def launch(*arguments, **options):
            named = dict(zip(self.kernel.arg_names, arguments, strict=False))
            self.seen.append((self.kernel, grid, named, options))

        return launch


def launches(function):
    """Everything that ``function()`` launches; nothing is computed."""
    seen = []
    kept = {name: getattr(module, name) for name, module in KERNELS.items()}
    try:
        for name, kernel in kept.items():
            setattr(KERNELS[name], name, Launches(kernel, seen))
        function()
    finally:
        for name, kernel in kept.items():
            setattr(KERNELS[name], name, kernel)
    return seen


def problem(n, d, k, dtype):
    """One pass of rows and centroids: labels, sums and own distances."""
    x, centroids = torch.zeros((n, d), dtype=dtype), torch.zeros((k, d))
    tensors.assign(x, centroids[0], tensors.pack(centroids), torch.ones(n))
    tensors.own_squares(x, centroids, torch.zeros(n, dtype=torch.int64))


def compiled(launch, generation):
    """`built` of a launch."""
    from triton.compiler import ASTSource

    kernel, _, named, options = launch
    constant = {name: value for name, value in options.items() if name in kernel.arg_names}
    constant |= {name: 1 for name, value in named.items() if _kind(value) == "i32" and value == 1}
    signature = dict.fromkeys(kernel.arg_names, "constexpr")
    signature |= {name: _kind(v) for name, v in named.items() if name not in constant}
    aligned = {
        (place,): [["tt.divisibility", 16]]
        for place, name in enumerate(kernel.arg_names)
        if name not in constant and (torch.is_tensor(named[name]) or named[name] % 16 == 0)
    }
    source = ASTSource(kernel, signature, constexprs=constant, attrs=aligned)
    how = {name: options[name] for name in ("num_warps", "num_stages") if name in options}
    return {"kernel": kernel.__name__} | built(source, generation, how)


def built(source, generation, how):
    """Bytes of shared memory, registers of a thread, and bytes that did not fit into those."""
    import triton
    from triton.backends.compiler import GPUTarget

    result = triton.compile(source, target=GPUTarget("cuda", generation, 32), options=how)
    registers, spilled = _assembled(triton, result.asm["ptx"], generation)
    return {"shared": result.metadata.shared, "registers": registers, "spilled": spilled}


def code_of_jax(lowered):
    """Triton's code of the kernel in a program of JAX that is lowered for a GPU."""
    from jax._src.interpreters import mlir
    from jax._src.lib.mlir import ir
    from jax._src.pallas.triton.lowering import tt_dialect

    def operations(parent):
        for block in (block for region in parent.regions for block in region):
            for operation in block:
                yield operation
                yield from operations(operation.operation)

    def has_code(operation):
        return "mhlo.backend_config" in operation.attributes

    program = lowered.compiler_ir("stablehlo").operation
    (kernel,) = (operation for operation in operations(program) if has_code(operation))
    code = ir.StringAttr(kernel.attributes["mhlo.backend_config"]["ir"]).value_bytes
    context = mlir.make_ir_context()
    tt_dialect.register_dialect(context)
    with context:
        return ir.Module.parse(code).operation.get_asm()


def _kind(value):
    if torch.is_tensor(value):
        return "*" + WORDS[value.dtype]
    return "i32" if value < 1 << 31 else "i64"


def _assembled(triton, code, generation):
    """Registers and spilled bytes, as the assembler that comes with Triton tells them."""
    name = "ptxas" if generation < 100 else "ptxas-blackwell"
    assembler = Path(triton.__file__).parent / "backends/nvidia/bin" / name
    target = re.search(r"\.target (\w+)", code).group(1)
    with tempfile.NamedTemporaryFile("w", suffix=".ptx") as file:
        file.write(code)
        file.flush()
        command = [assembler, "-v", "--gpu-name", target, file.name, "-o", os.devnull]
        told = subprocess.run(command, check=True, capture_output=True, text=True).stderr
    registers = re.search(r"Used (\d+) registers", told).group(1)
    return int(registers), int(re.search(r"(\d+) bytes spill stores", told).group(1))


def main(generation, *files):
    """Compile the files, or for all dtypes, rows that fit a tile and rows that do not."""
    for file in files:
        print(json.dumps(built(file, generation, {"num_warps": 4, "num_stages": 2})), flush=True)
    if files:
        return
    sizes = [(300, d, 200, t) for t in (torch.float32, torch.bfloat16) for d in (16, 256)]
    few = [(300, d, k, torch.float32) for d, k in ((3, 64), (16, 100), (32, 64))]
    for size in [*sizes, *few, (300, 3, 7, torch.float16)]:
        for launch in launches(lambda size=size: problem(*size)):
            print(json.dumps(compiled(launch, generation)), flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]), *sys.argv[2:])
