"""Curves of the scaling suite as PNG files."""

from collections import defaultdict
from pathlib import Path

AXES = {"n": "rows n", "d": "features d", "k": "clusters k"}


def draw(rows: list[dict], folder: str) -> list[Path]:
    """Draw one picture per axis and return the files; `rows` are those of the scaling suite."""
    import matplotlib

    matplotlib.use("Agg")
    Path(folder).mkdir(parents=True, exist_ok=True)
    return [_picture(axis, rows, Path(folder)) for axis in AXES]


def _picture(axis: str, rows: list[dict], folder: Path) -> Path:
    from matplotlib import pyplot as plt

    figure, ax = plt.subplots(figsize=(7, 4.5), layout="constrained")
    for contender, points in _curves(axis, rows).items():
        xs, ys = zip(*sorted(points), strict=True)
        look = {"lw": 2.5} if contender.startswith("kmeans_fx") else {"lw": 1.2, "ls": "--"}
        ax.loglog(xs, ys, marker="o", label=contender, **look)
    ax.set(xlabel=AXES[axis], ylabel="milliseconds per iteration")
    ax.grid(alpha=0.3, which="both")
    ax.legend(fontsize="small")
    path = folder / f"scaling-{axis}.png"
    figure.savefig(path, dpi=120)
    plt.close(figure)
    return path


def _curves(axis: str, rows: list[dict]) -> dict[str, list[tuple[int, float]]]:
    curves = defaultdict(list)
    for row in rows:
        if row["workload"].startswith(f"{axis}:"):
            size = {"n": row["shape"][0], "d": row["shape"][1], "k": row["k"]}[axis]
            curves[row["contender"]].append((size, row["median"] * 1e3))
    return curves
