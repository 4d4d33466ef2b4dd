"""JAX: every claim of the capabilities table, against NumPy and finite differences."""

import logging

import numpy as np
import pytest

import kmeans_fx as kf
from kmeans_fx._backend.capabilities import TRANSFORMS
from tests.cases import (
    CASES,
    claims,
    direction,
    expected,
    leaves,
    loss,
    problems,
    refusals,
)

pytestmark = [pytest.mark.backend("jax"), pytest.mark.x64, pytest.mark.eager]

VALUES = ["jit", "vmap"]
DERIVATIVES = ["grad", "jvp", "jit(vmap(grad))", "hessian"]


@pytest.fixture
def jax(xp):
    import jax

    return jax


@pytest.fixture
def x(xp):
    return xp.asarray(problems())


def values(jax, row, transform, x):
    """The values of the first problem, or of all, with an axis of problems in front."""
    if transform == "vmap":
        return leaves(jax.vmap(CASES[row])(x))
    return [leaf[None] for leaf in leaves(jax.jit(CASES[row])(x[0]))]


def derivative(jax, row, transform, x):
    """What the transform makes of the row's loss: of the first problem, or of all."""
    scalar, v = loss(CASES[row]), jax.numpy.asarray(direction())
    if transform == "grad":
        return jax.grad(scalar)(x[0])
    if transform == "jvp":
        return jax.jvp(scalar, (x[0],), (v,))[1]
    if transform == "hessian":
        return jax.jit(jax.hessian(scalar))(x[0])
    return jax.jit(jax.vmap(jax.grad(scalar)))(x)


def test_every_transform_is_tested():
    assert {"call", *VALUES, *DERIVATIVES} == set(TRANSFORMS["jax"])


@pytest.mark.parametrize(("row", "transform"), claims("jax", VALUES))
def test_values(jax, x, row, transform):
    found = values(jax, row, transform, x)
    for ours, theirs in zip(found, expected(row)[0], strict=True):
        np.testing.assert_allclose(ours, theirs[: len(ours)], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(("row", "transform"), claims("jax", DERIVATIVES))
def test_derivatives(jax, x, row, transform):
    _, slopes, curvature = expected(row)
    found, v = np.asarray(derivative(jax, row, transform, x)), direction()
    if transform == "hessian":
        along = np.einsum("ij,ijkl,kl", v, found, v)
        np.testing.assert_allclose(along, curvature, rtol=1e-4, atol=1e-3)
        return
    along = found if transform == "jvp" else np.sum(found * v, axis=(-2, -1))
    np.testing.assert_allclose(along, slopes if along.ndim else slopes[0], rtol=1e-6, atol=1e-4)


@pytest.mark.parametrize(("row", "transform"), refusals("jax", raises=False))
def test_no_derivative(jax, x, row, transform):
    assert not np.any(np.asarray(derivative(jax, row, transform, x)))


@pytest.mark.parametrize(("row", "transform"), refusals("jax", raises=True))
def test_refused(jax, x, row, transform):
    run = values if transform in VALUES else derivative
    with pytest.raises(ValueError, match="needs an eager call"):
        run(jax, row, transform, x)


def test_nested_vmap_equals_a_loop(jax, x):
    starts = x[:, ::8, :]
    nested = jax.vmap(jax.vmap(kf.lloyd, in_axes=(None, 0)), in_axes=(0, None))(x, starts)
    for i in range(3):
        for j in range(3):
            one = kf.lloyd(x[i], starts[j])
            for ours, theirs in zip(nested, one, strict=True):
                np.testing.assert_allclose(ours[i, j], theirs, rtol=1e-9)


def test_vmap_over_keys_equals_a_loop(jax, x):
    keys = jax.random.split(jax.random.key(3), 4)
    batch = jax.vmap(lambda key: kf.kmeans(x[0], 3, key=key, init="random"))(keys)
    for i in range(4):
        one = kf.kmeans(x[0], 3, key=keys[i], init="random")
        for ours, theirs in zip(batch, one, strict=True):
            np.testing.assert_allclose(ours[i], theirs, rtol=1e-9)


def compilations(jax, caplog, call):
    """How many programs JAX compiles in a call."""
    caplog.clear()
    with jax.log_compiles(), caplog.at_level(logging.WARNING):
        jax.block_until_ready(call())
    return sum(record.getMessage().startswith("Compiling") for record in caplog.records)


# A callable can differ from call to call: to compile it once is the caller's jax.jit.
OPEN = ("Metric", "reduce", "callback")


@pytest.mark.parametrize("row", CASES)
def test_call_and_a_second_one_that_compiles_nothing(jax, x, caplog, row):
    for ours, theirs in zip(leaves(CASES[row](x[0])), expected(row)[0], strict=True):
        np.testing.assert_allclose(ours, theirs[0], rtol=1e-9, atol=1e-9)
    if not any(word in row for word in OPEN):
        assert compilations(jax, caplog, lambda: CASES[row](x[1])) == 0


def test_a_first_call_compiles(jax, x, caplog):
    # The counter counts: a shape that no other test has.
    assert compilations(jax, caplog, lambda: kf.kmeans(x[0, :19], 3, key=0)) > 0


def test_other_data_and_another_key_compile_nothing(jax, x, caplog):
    kf.kmeans(x[0], 3, key=0)
    other = x[1]
    assert compilations(jax, caplog, lambda: kf.kmeans(other, 3, key=5)) == 0
