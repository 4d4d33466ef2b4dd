"""Command line: ``python -m benchmarks [SUITE ...]``, or ``python -m benchmarks gpu``."""

import argparse
import os
import sys

from . import machine, plots, report
from .contenders import ALL, choose
from .data import DTYPES, QUICK, MissingDataError
from .gpu import run as gpu
from .measure import Settings, compare
from .suites import SUITES

BUSY = 0.05  # of all cores, over the time of one workload


def main(argv: list[str] | None = None) -> dict:
    """Run the suites that are asked for, print their tables, and return the whole report."""
    options = _parse(argv)
    sys.stdout.reconfigure(line_buffering=True)  # a long run is watched through a pipe
    if options.suites == ["gpu"]:
        return {"gpu": gpu.main(options.quick)}
    contenders = choose(options.contenders.split(","))
    result = {"machine": machine.facts(), "versions": machine.versions(), "suites": {}}
    result["settings"] = {name: getattr(options, name) for name in ("threads", "quick", "dtype")}
    print(" ".join(f"{key}={value}" for key, value in result["machine"].items()))
    if options.quick:
        print(f"quick: workloads are cut to {QUICK}, whatever their names say; times mean nothing")
    for name in options.suites:
        result["suites"][name] = _run_suite(name, contenders, options)
        if options.json:  # after each suite: a run that is stopped keeps what it has
            report.write(options.json, result)
    return result


def _run_suite(name: str, contenders: list, options: argparse.Namespace) -> dict:
    suite = SUITES[name]
    repeats = options.repeats or (2 if options.quick else suite.repeats)
    settings = Settings(options.threads, repeats, options.timeout, options.dtype)
    print(f"\n== {name}: {suite.title}")
    rows, skipped = [], []
    for workload, planner in suite.cases:
        if options.only in workload.name:
            case = (workload.small() if options.quick else workload), planner
            found, absent = _run_case(case, contenders, settings)
            rows += found
            skipped += absent
    print(report.summary(rows))
    if name == "scaling" and options.plots:
        plots.draw(rows, options.plots)
    return {"repeats": repeats, "rows": rows, "skipped": skipped}


def _run_case(case: tuple, contenders: list, settings: Settings) -> tuple[list, list]:
    """Measure one workload and print its table, with what else the machine did meanwhile."""
    workload = case[0]
    clock = machine.Clock()
    try:
        rows, skipped = compare(*case, contenders, settings)
    except MissingDataError as error:
        rows, skipped = [], [{"contender": "all", "reason": str(error)}]
    wall, foreign = clock.read()
    for item in (*rows, *skipped):
        item |= {"workload": workload.name, "foreign_load": foreign}
    print(report.table(f"{workload.name} ({wall:.0f} s, other work {foreign:.0%})", rows))
    if foreign > BUSY:
        print("other work disturbed this: do not trust the figures")
    print(report.left_out(skipped))
    return rows, skipped


def _parse(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    known = ", ".join(SUITES)
    suites = f"of {known}; default: all; or gpu, alone"
    parser.add_argument("suites", nargs="*", metavar="SUITE", help=suites)
    parser.add_argument(
        "--contenders",
        default=",".join(ALL),
        metavar="A,B",
        help="names or their beginnings; known: " + ", ".join(ALL),
    )
    parser.add_argument("--only", default="", metavar="TEXT", help="workloads named with this")
    parser.add_argument("--dtype", default="float32", choices=DTYPES, help="of the rows")
    parser.add_argument("--repeats", type=int, help="interleaved repeats; default: by suite")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="for every contender")
    parser.add_argument("--timeout", type=float, default=600.0, help="seconds for one call")
    parser.add_argument("--quick", action="store_true", help="try the harness on tiny data")
    parser.add_argument("--json", metavar="OUT", help="write all figures here")
    parser.add_argument("--plots", metavar="DIR", help="write the curves of the scaling suite here")
    options = parser.parse_args(argv)
    options.suites = options.suites or list(SUITES)
    if options.suites != ["gpu"] and (unknown := set(options.suites) - set(SUITES)):
        parser.error(f"SUITE: unknown {', '.join(sorted(unknown))}; known: {known}, or gpu alone")
    return options


if __name__ == "__main__":
    main()
