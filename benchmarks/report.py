"""Tables for people, JSON for machines."""

import json
import math
import statistics
from collections import defaultdict
from pathlib import Path

COLUMNS = (
    *("contender", "median", "min - max", "speedup", "first call", "extra MiB"),
    *("iterations", "inertia", ""),
)
OURS = "kmeans_fx"


def table(title: str, rows: list[dict]) -> str:
    """Return the rows of one workload as a Markdown table."""
    return _markdown(title, [COLUMNS, *(_cells(row) for row in rows)])


def left_out(skipped: list[dict]) -> str:
    """Return who was skipped, one line for each reason."""
    lines = []
    for reason, items in _group(skipped, "reason").items():
        lines.append(f"skipped ({reason}): " + ", ".join(item["contender"] for item in items))
    return "\n".join(lines)


def summary(rows: list[dict]) -> str:
    """Return geometric means of the speedups, over the reference and over the fastest peer."""
    cells = [
        (
            "contender",
            "workloads",
            "over reference",
            "worst",
            "over fastest peer",
            "worst",
            "inertia",
            "worst",
        )
    ]
    for name, own in _group(rows, "contender").items():
        speed = [row["speedup"] for row in own if _counts(row)]
        if not speed:
            continue
        peer = [p for row in own if name.startswith(OURS) and (p := _against_peers(row, rows))]
        cells.append(
            (name, str(len(speed)), *_mean_and_worst(speed), *_mean_and_worst(peer), *_loss(own))
        )
    return _markdown("Speedups, geometric means over the workloads", cells)


def write(path: str, report: dict) -> None:
    """Write the whole run as JSON; what is not a number is null."""
    text = json.dumps(_plain(report), indent=1, allow_nan=False)
    Path(path).write_text(text + "\n", encoding="utf-8")


def _cells(row: dict) -> tuple[str, ...]:
    notes = ["own start"] * row["own_start"] + ["OTHER RESULT"] * row.get("void", False)
    extra, first = row["extra_bytes"], row["first"]
    return (
        row["contender"],
        _time(row["median"]),
        f"{_time(row['min'])} - {_time(row['max'])}",
        f"{row['speedup']:.2f}" if "speedup" in row else "-",
        _time(first),
        "-" if extra is None else f"{extra / 2**20:.0f}",
        "-" if row["n_iter"] is None else str(row["n_iter"]),
        f"{row['inertia_ratio']:.5f}" if "inertia_ratio" in row else f"{row['inertia']:.6g}",
        ", ".join(notes),
    )


def _against_peers(row: dict, rows: list[dict]) -> float | None:
    """Return the fastest peer's time over this one's, on the same workload."""
    peers = [
        other["median"]
        for other in rows
        if other["workload"] == row["workload"]
        and not other["contender"].startswith(OURS)
        and not other.get("void")
    ]
    return min(peers) / row["median"] if peers and _counts(row) else None


def _counts(row: dict) -> bool:
    return "speedup" in row and not row["void"]


def _mean_and_worst(values: list[float]) -> tuple[str, str]:
    if not values:
        return "-", "-"
    return f"{statistics.geometric_mean(values):.2f}", f"{min(values):.2f}"


def _loss(own: list[dict]) -> tuple[str, str]:
    """Return the inertia over the reference's: the geometric mean and the largest."""
    ratios = [row["inertia_ratio"] for row in own if _counts(row)]
    if not all(ratio > 0.0 for ratio in ratios):  # a score of pairs of rows may be negative
        return "-", "-"
    return f"{statistics.geometric_mean(ratios):.4f}", f"{max(ratios):.4f}"


def _group(rows: list[dict], key: str) -> dict[str, list[dict]]:
    groups = defaultdict(list)
    for row in rows:
        groups[row[key]].append(row)
    return groups


def _markdown(title: str, cells: list[tuple[str, ...]]) -> str:
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    head, *body = (_line(line, widths) for line in cells)
    rule = "|" + "|".join("-" * (width + 2) for width in widths) + "|"
    return "\n".join((f"\n{title}\n", head, rule, *body))


def _line(cells, widths) -> str:
    return "| " + " | ".join(c.ljust(w) for c, w in zip(cells, widths, strict=True)) + " |"


def _time(seconds: float) -> str:
    if seconds < 1e-3:
        return f"{seconds * 1e6:.0f} us"
    return f"{seconds * 1e3:.3g} ms" if seconds < 1.0 else f"{seconds:.3g} s"


def _plain(value):
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
