"""What is clustered: sizes, dtypes, and the rows and starts that a seed gives."""

from dataclasses import dataclass, replace

SEED = 20240229


@dataclass(frozen=True)
class Workload:
    """Rows, and some of them as the start; ``task`` is what is measured of them.

    Iterations are of normal noise, far from a fixed point all the while; fits and seedings of
    k groups that overlap. ``members`` problems of ``n`` rows; 0 stands for one without an axis
    for it.
    """

    name: str
    n: int
    d: int
    k: int
    dtype: str = "float32"
    members: int = 0
    task: str = "iteration"

    def make(self, device):
        """Return rows and starting centroids, tensors on the device."""
        import torch

        source = torch.Generator(device).manual_seed(SEED)
        lead = (self.members,) if self.members else ()
        dtype = getattr(torch, self.dtype)
        drawn = {"generator": source, "device": device}
        x = torch.randn((*lead, self.n, self.d), dtype=dtype, **drawn)
        if self.task != "iteration":
            centres = 2 * torch.randn((self.k, self.d), dtype=dtype, **drawn)
            x += centres[torch.randint(self.k, (self.n,), **drawn)]
        return x, x[..., :: max(1, self.n // self.k), :][..., : self.k, :].contiguous()

    def small(self):
        """Return a cut of it, to try the harness; times mean nothing."""
        return replace(self, n=min(self.n, 200), k=min(self.k, 8), members=min(self.members, 3))

    @property
    def rows(self):
        """How many rows all problems have together."""
        return self.n * max(1, self.members)

    def floor(self, peaks):
        """Seconds that an iteration takes at least: its products, or reading the rows once.

        A seeding with k-means++ reads them for every centroid but one.
        """
        width = 4 if self.dtype == "float32" else 2
        if self.task == "seeding":
            return (self.k - 1) * self.rows * (self.d * width + 4) / peaks["bandwidth"]
        products = 2 * self.rows * self.k * self.d / peaks[self.dtype]
        return max(products, self.rows * (self.d * width + 4) / peaks["bandwidth"])


# The most telling ones first: time may run out.
WORKLOADS = [
    Workload("10M x 16, k=100", 10_000_000, 16, 100),
    Workload("1M x 128, k=4096, bf16", 1_000_000, 128, 4096, "bfloat16"),
    Workload("10M x 16, k=100, seeding", 10_000_000, 16, 100, task="seeding"),
    Workload("10M x 16, k=100, to equal inertia", 10_000_000, 16, 100, task="fit"),
    Workload("8M x 128, k=1024, bf16", 8_000_000, 128, 1024, "bfloat16"),
    Workload("32 x 131072 x 128, k=1000, bf16", 131_072, 128, 1000, "bfloat16", 32),
    Workload("8 x 16384 x 128, k=100, bf16", 16_384, 128, 100, "bfloat16", 8),
    Workload(
        "1M x 128, k=1000, bf16, to equal inertia", 1_000_000, 128, 1000, "bfloat16", 0, "fit"
    ),
    Workload("1M x 128, k=1000, seeding", 1_000_000, 128, 1000, task="seeding"),
    Workload("1M x 128, k=4096", 1_000_000, 128, 4096),
    Workload("100M x 3, k=64", 100_000_000, 3, 64),
    Workload("10000 x 100 x 8, k=4", 100, 8, 4, "float32", 10_000),
    Workload("1M x 768, k=65536, bf16", 1_000_000, 768, 65_536, "bfloat16"),
]
