"""What this GPU can do, measured in the run: bytes and products per second."""

import time


def wait(device):
    """Wait for everything that was started."""
    import torch

    if device == "cuda":
        torch.cuda.synchronize()


def seconds(function, device, repeats=5):
    """Least time of a call; the first one is not counted."""
    function()
    best = float("inf")
    for _ in range(repeats):
        wait(device)
        begin = time.perf_counter()
        function()
        wait(device)
        best = min(best, time.perf_counter() - begin)
    return best


def peaks(device, quick=False):
    """Bytes per second of a copy, and flops per second of a large product in each dtype."""
    import torch

    numbers, side = (1 << 16, 64) if quick else (1 << 28, 8192)
    source = torch.ones(numbers, device=device)
    target = torch.empty_like(source)
    found = {"bandwidth": 8 * numbers / seconds(lambda: target.copy_(source), device)}
    for name in ("float32", "bfloat16"):
        a = torch.ones((side, side), device=device, dtype=getattr(torch, name))
        found[name] = 2 * side**3 / seconds(lambda a=a: a @ a, device)
    return found
