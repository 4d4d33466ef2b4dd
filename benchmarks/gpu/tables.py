"""The tables of a run, one for each workload, with the floor in its title."""

from .workloads import WORKLOADS

HEADS = {
    "iteration": ("contender", "s/iteration", "of the floor", "inertia", "labels wrong", ""),
    "seeding": ("contender", "s", "of the floor", "inertia", ""),
    "fit": ("contender", "s", "iterations", "inertia", ""),
}
TITLES = {
    "iteration": "an iteration takes at least {:.3g} ms",
    "seeding": "to read the rows once for a centroid takes at least {:.3g} ms",
    "fit": "the first fit within 0.1% of the least inertia of all; an iteration takes {:.3g} ms",
}
NEAR = 1.001  # times the least inertia of all counts as equal


def report(lines, able, quick=False):
    """Return the peaks and all tables as text."""
    text = [f"measured: {able['bandwidth'] / 1e9:.0f} GB/s"]
    text += [f"{able[kind] / 1e12:.1f} Tflop/s in {kind}" for kind in ("float32", "bfloat16")]
    parts = [", ".join(text)]
    for workload in WORKLOADS:
        floor = (workload.small() if quick else workload).floor(able)
        found = [line for line in lines if line["workload"] == workload.name]
        title = f"{workload.name}: {TITLES[workload.task].format(floor * 1e3)}"
        head = HEADS[workload.task]
        cells = _fits(found) if workload.task == "fit" else [_cells(a, floor, head) for a in found]
        parts.append("\n".join([f"\n{title}\n", *map(_row, [head, ["---"] * len(head), *cells])]))
    return "\n".join(parts)


def _cells(line, floor, head):
    if "reason" in line:
        return _without(line, head)
    speed = f"{floor / line['seconds']:.0%}" if line["seconds"] > 0 else "-"
    cells = [line["contender"], f"{line['seconds']:.3g}", speed, f"{line['inertia']:.8g}"]
    if "labels wrong" in head:
        cells.append(f"{line['wrong']:.2%}" if "wrong" in line else "-")
    return *cells, ""


def _fits(lines):
    reached = [inertia for line in lines for _, _, inertia in line.get("path", ())]
    return [_fit(line, NEAR * min(reached, default=0.0)) for line in lines]


def _fit(line, enough):
    if "reason" in line:
        return _without(line, HEADS["fit"])
    for steps, seconds, inertia in line["path"]:
        if inertia <= enough:
            return line["contender"], f"{seconds:.3g}", str(steps), f"{inertia:.8g}", ""
    steps, _, inertia = line["path"][-1]
    return line["contender"], "-", str(steps), f"{inertia:.8g}", "not so near"


def _without(line, head):
    return line["contender"], *("-",) * (len(head) - 2), line["reason"]


def _row(cells):
    return "| " + " | ".join(cells) + " |"
