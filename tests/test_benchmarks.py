"""The benchmark harness runs, judges results by one ruler, and tells who is absent or wrong."""

import json
import os
import platform
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(autouse=True)
def _harness_is_importable(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT))


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    out = tmp_path_factory.mktemp("benchmarks") / "report.json"
    words = "fit --quick --only digits --repeats 2 --contenders"
    names = "kmeans_fx-numpy,scikit-learn,superkmeans"
    command = [sys.executable, "-m", "benchmarks", *words.split(), names, "--json", str(out)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(out.read_text()), done.stdout


def test_each_contender_is_timed_and_reaches_the_same_inertia(report):
    rows = report[0]["suites"]["fit"]["rows"]
    assert [row["contender"] for row in rows] == ["kmeans_fx-numpy", "scikit-learn"]
    for row in rows:
        assert row["shape"] == [1000, 64]
        assert row["n_iter"] == rows[-1]["n_iter"] > 1
        assert 0.0 < row["min"] <= row["median"] <= row["max"]
        assert abs(row["inertia_ratio"] - 1.0) < 1e-4
        assert not row["void"]


def test_a_contender_that_cannot_take_part_is_skipped_by_name(report):
    data, printed = report
    assert [item["contender"] for item in data["suites"]["fit"]["skipped"]] == ["superkmeans"]
    assert "superkmeans" in printed


def test_the_report_names_versions_and_no_host_or_path(report):
    data, printed = report
    assert data["versions"]["numpy"] == np.__version__
    for text in (json.dumps(data), printed):
        assert str(ROOT) not in text
        assert str(Path.home()) + "/" not in text
        assert f'"{platform.node()}"' not in text


def test_inertia_equals_plain_loops_far_from_the_origin():
    from benchmarks.quality import inertia

    rng = np.random.default_rng(0)
    x = (rng.standard_normal((300, 3)) + 1e4).astype(np.float32)
    centroids = x[:5].astype(np.float64)
    plain = sum(min(((row - c) ** 2).sum() for c in centroids) for row in x.astype(np.float64))
    assert inertia(x, centroids) == pytest.approx(plain, rel=1e-9)
    assert inertia(np.stack([x, x]), np.stack([centroids] * 2)) == pytest.approx(2 * plain)
    assert np.isnan(inertia(x, np.full_like(centroids, np.nan)))


def test_iterations_to_reach_is_the_first_one_near_the_end():
    from benchmarks.quality import inertia, iterations_to_reach, lloyd_path

    assert iterations_to_reach([9.0, 5.0, 4.0005, 4.0002, 4.0], relative=1e-4) == 4
    x = np.random.default_rng(0).standard_normal((200, 2)).astype(np.float32)
    values, path = lloyd_path(x, x[:4])
    assert all(b <= a * (1 + 1e-6) for a, b in pairwise(values))
    assert inertia(x, path[-1]) == pytest.approx(values[-1], rel=1e-5)


def test_a_contender_that_rounding_leads_another_way_makes_more_iterations(tmp_path):
    from benchmarks.measure import Plan, _last_to_reach

    class Slow:  # each iteration takes a hundredth off
        def run(self, task, options):
            self.value = 100.0 - options["max_iter"] / 100.0

        def ask(self, verb, path):
            np.save(path, self.value)

    def needed(goal):
        worker = Slow()
        worker.run("lloyd", {"max_iter": 100})
        plan = Plan(
            "lloyd",
            lambda repeat: [{"max_iter": 100, "tol": 0.0}],
            inertia_within=1e-3,
            goal=goal,
            ruler=lambda x, value: float(value),
        )
        x = np.zeros((4, 2), dtype=np.float32)
        return _last_to_reach(plan, worker, x, tmp_path / "first.npy")

    assert needed(98.95) == {"max_iter": 100, "tol": 0.0}
    assert needed(98.8)["max_iter"] == 115
    assert needed(0.0)["max_iter"] == 200


def test_slope_leaves_out_what_a_call_costs_once():
    from benchmarks.suites.iteration import slope

    replies = [{"seconds": 5.0 + 0.5 * n, "n_iter": n} for n in (2, 12)]
    replies.insert(0, {"seconds": 9.0, "n_iter": 2})  # whose memory is not there yet
    assert slope(replies) == pytest.approx(0.5)


def test_a_contender_that_is_wrong_or_absent_is_seen():
    from benchmarks.contenders import Contender
    from benchmarks.data import Workload, normal
    from benchmarks.measure import Entry, Plan, Settings, _row, _unfit

    class Reference(Contender):
        name = "scikit-learn"

    class Absent(Contender):
        name = "absent"
        requires = ("a-distribution-that-nobody-made",)

    x = np.zeros((4, 2), dtype=np.float32)
    plan = Plan("lloyd", lambda repeat: [{}], inertia_within=1e-4)
    entries = [
        Entry(Reference, None, times=[1.0, 3.0], inertias=[value, value])
        for value in (100.0, 100.005, 100.02, 90.0, float("nan"))
    ]
    workload = Workload("zeros", normal(4, 2), 2)
    rows = [_row(e, entries, plan, x, workload, Settings(1, 2, 60.0)) for e in entries]
    assert [row["void"] for row in rows] == [False, False, True, True, True]
    assert _unfit(Absent, plan, x, x) == "not installed: a-distribution-that-nobody-made"
    assert _unfit(Reference, plan, x, x) == "has no form of 'lloyd'"


def test_a_contender_that_fails_is_reported_and_the_next_request_is_answered():
    from benchmarks.process import Worker, WorkerError

    worker = Worker(threads=1, timeout=60.0)
    try:
        for _ in range(2):
            with pytest.raises(WorkerError, match="KeyError: 'nobody'"):
                worker.ask("setup", contender="nobody", x="", start="")
    finally:
        worker.stop()


def test_unknown_names_are_told():
    from benchmarks.contenders import choose

    assert [c.name for c in choose(["scikit-learn"])] == ["scikit-learn"]
    assert len(choose(["scikit-learn-"])) == 2
    with pytest.raises(ValueError, match="no name starts with 'nobody'"):
        choose(["nobody"])


@pytest.mark.backend("torch")
def test_the_gpu_benchmark_says_what_it_lacks(capsys, monkeypatch):
    import torch

    from benchmarks.__main__ import main

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(sys.stdout, "reconfigure", lambda **_: None, raising=False)
    assert main(["gpu"]) == {"gpu": []}
    assert "no GPU" in capsys.readouterr().out


@pytest.fixture
def gpu_run(monkeypatch):
    from benchmarks.gpu import run

    ours = {name: own for name, own in run.CONTENDERS.items() if name == "kmeans_fx"}
    monkeypatch.setattr(run, "CONTENDERS", {**ours, "nobody": (None, "a_module_of_nobody")})
    monkeypatch.setattr(run, "SEEDINGS", {})
    return run


@pytest.mark.skipif(os.environ.get("TRITON_INTERPRET") != "1", reason="a part of `nox -s triton`")
@pytest.mark.backend("torch")
def test_the_gpu_benchmark_runs_on_tiny_workloads(gpu_run, capsys):
    from benchmarks.gpu.workloads import WORKLOADS

    lines = gpu_run.main(quick=True)
    assert [line["workload"] for line in lines] == [w.name for w in WORKLOADS]
    for line, workload in zip(lines, WORKLOADS, strict=True):
        assert "reason" not in line
        if workload.task == "fit":
            inertias = [inertia for _, _, inertia in line["path"]]
            assert all(b <= 1.01 * a for a, b in pairwise(inertias))
            continue
        assert line["inertia"] > 0
        if workload.task == "iteration":
            assert line["wrong"] < 0.02  # of rows, near a tie in half precision
    printed = capsys.readouterr().out
    assert "not installed: nobody" in printed
    assert "an iteration takes at least" in printed.splitlines()[-5]


@pytest.mark.backend("torch")
def test_a_contender_on_the_gpu_that_takes_too_long_keeps_what_it_has(gpu_run):
    lines = gpu_run._measured("kmeans_fx", "cpu", quick=True, limit=0.01)
    assert {line["reason"] for line in lines} == {"no time left"}


def test_a_fit_counts_from_the_first_that_is_as_good_as_the_best_of_all():
    from benchmarks.gpu.tables import _fits

    path = [(5, 1.0, 12.0), (10, 1.5, 10.005), (20, 2.5, 10.0)]
    far = [(5, 0.1, 12.0), (10, 0.2, 11.0)]
    lines = [{"contender": "one", "path": path}, {"contender": "other", "path": far}]
    lines.append({"contender": "third", "reason": "no time left"})
    assert [cells[1:3] for cells in _fits(lines)] == [("1.5", "10"), ("-", "10"), ("-", "-")]


def test_the_floor_of_a_seeding():
    from benchmarks.gpu.workloads import Workload

    able = {"bandwidth": 1e9, "float32": 1e12, "bfloat16": 1e13}
    seeding = Workload("", 1000, 10, 500, task="seeding")
    assert seeding.floor(able) == pytest.approx(499 * 44 * 1000 / 1e9)


def test_the_floor_of_an_iteration():
    from benchmarks.gpu.workloads import Workload

    able = {"bandwidth": 1e9, "float32": 1e12, "bfloat16": 1e13}
    assert Workload("", 1000, 10, 500).floor(able) == pytest.approx(44 * 1000 / 1e9)
    assert Workload("", 1000, 500, 10**5).floor(able) == pytest.approx(1e11 / 1e12)
    assert Workload("", 1000, 500, 10**5, "bfloat16", 4).floor(able) == pytest.approx(4e11 / 1e13)
