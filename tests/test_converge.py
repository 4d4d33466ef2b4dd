"""Stopping rules by themselves and in the loop, and what a status says."""

import numpy as np
import pytest

from kmeans_fx import (
    CONVERGED,
    MAX_ITER,
    NONFINITE,
    RUNNING,
    STOPPED,
    Progress,
    all_of,
    any_of,
    centroid_shift,
    describe,
    has_converged,
    inertia_change,
    label_change,
    lloyd,
)

# Two members: the first has moved little, the second much.
PROGRESS = {
    "shift": [0.01, 1.0],
    "changed": [0.02, 0.5],
    "inertia": [99.0, 50.0],
    "previous": [100.0, 100.0],
}


@pytest.fixture
def progress(xp, asarray):
    return Progress(**{name: asarray(xp, np.asarray(v)) for name, v in PROGRESS.items()})


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (0.1, [True, False]),
        (0, [False, False]),
        (centroid_shift(0.01), [True, False]),
        (centroid_shift(2), [True, True]),
        (label_change(0.02), [True, False]),
        (label_change(0.01), [False, False]),
        (inertia_change(0.02), [True, False]),
        (inertia_change(0.01), [False, False]),
        (inertia_change(1.0), [True, True]),
        (any_of(centroid_shift(0), label_change(0.5)), [True, True]),
        (all_of(centroid_shift(0), label_change(0.5)), [False, False]),
        (all_of(0.1, any_of(inertia_change(1), label_change(0))), [True, False]),
        (any_of(0.1), [True, False]),
    ],
)
def test_rules(progress, to_numpy, rule, expected):
    if rule == centroid_shift(0.01):
        progress = progress._replace(shift=progress.shift * 0.999)
    if rule == label_change(0.02):
        progress = progress._replace(changed=progress.changed * 0.999)
    np.testing.assert_array_equal(to_numpy(has_converged(progress, rule)), expected)


def test_bounds_are_inclusive(progress, to_numpy):
    nothing = Progress(*(field * 0 for field in progress))
    for rule in (0, centroid_shift(0), label_change(0), inertia_change(0)):
        np.testing.assert_array_equal(to_numpy(has_converged(nothing, rule)), [True, True])


# ---- in the loop


def run(xp, asarray, tol, **options):
    rng = np.random.default_rng(0)
    x = asarray(xp, rng.standard_normal((200, 2)))
    return lloyd(x, x[:6, :], tol=tol, **options)


def test_a_rule_ends_the_loop_where_it_is_first_met(xp, asarray, to_numpy):
    """Replays the run to its fixed point and finds the iteration itself."""
    states = []
    whole = run(xp, asarray, any_of(0, inertia_change(0)), callback=states.append)
    assert int(whole.n_iter) == len(states) > 10
    inertias = [float(state.inertia) for state in states]
    quantities = {
        centroid_shift: [float(s.shift) for s in states],
        label_change: [float(s.changed) for s in states],
        inertia_change: [np.inf, *(1 - np.divide(inertias[1:], inertias[:-1]))],
    }
    for rule, values in quantities.items():
        bound = 1.1 * values[5]
        expected = next(i for i, value in enumerate(values, start=1) if value <= bound)
        result = run(xp, asarray, rule(bound))
        assert int(result.n_iter) == expected < len(states)
        assert int(result.status) == CONVERGED


def test_the_variance_makes_the_shift_relative(xp, asarray):
    x = np.random.default_rng(0).standard_normal((200, 2))
    small, large = (
        lloyd(asarray(xp, scale * x), asarray(xp, scale * x[:6]), tol=1e-3) for scale in (1, 1024)
    )
    assert int(small.n_iter) == int(large.n_iter)


def test_combined_rules_stop_at_the_first_and_at_the_last(xp, asarray):
    rules = centroid_shift(1e-2), label_change(0.02)
    one, other = (int(run(xp, asarray, rule).n_iter) for rule in rules)
    assert int(run(xp, asarray, any_of(*rules)).n_iter) == min(one, other)
    assert int(run(xp, asarray, all_of(*rules)).n_iter) >= max(one, other)


def test_a_fixed_point_ends_the_loop_under_every_rule(xp, asarray):
    x = asarray(xp, np.asarray([[0.0], [1.0], [10.0], [11.0]]))
    for rule in (0, label_change(0), inertia_change(0)):
        result = lloyd(x, x[:2, :], tol=rule)
        assert int(result.status) == CONVERGED
        assert int(result.n_iter) <= 4


def test_max_iter(xp, asarray):
    result = run(xp, asarray, 0, max_iter=3)
    assert int(result.status) == MAX_ITER
    assert int(result.n_iter) == 3


# ---- words


@pytest.mark.parametrize(
    ("status", "word"),
    [
        (RUNNING, "not finished"),
        (CONVERGED, "stopping rule was met"),
        (MAX_ITER, "max_iter"),
        (NONFINITE, "NaN"),
        (STOPPED, "callback"),
    ],
)
def test_describe(xp, asarray, status, word):
    assert word in describe(status)
    assert describe(asarray(xp, np.asarray(status))) == describe(status)


def test_describe_refuses_other_numbers():
    with pytest.raises(ValueError, match="status must be from 0 to 4, got 9"):
        describe(9)


@pytest.mark.parametrize("value", [-1.0, float("nan"), float("inf")])
@pytest.mark.parametrize(
    ("rule", "name"),
    [(centroid_shift, "tol"), (inertia_change, "rtol"), (label_change, "fraction")],
)
def test_bad_bounds_are_named(rule, name, value):
    with pytest.raises(ValueError, match=f"^{name} must be finite and not negative"):
        rule(value)
    with pytest.raises(TypeError, match=f"^{name} must be a number or a stopping rule, got 'x'"):
        rule("x")


@pytest.mark.parametrize("combine", [any_of, all_of])
def test_a_combination_needs_a_rule(combine):
    with pytest.raises(ValueError, match="rules must not be empty"):
        combine()
