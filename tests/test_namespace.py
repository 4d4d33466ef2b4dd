"""Facts about namespaces, dtypes and devices, and the errors that name an argument."""

import numpy as np
import pytest
from array_api_compat import array_namespace as compat_namespace

import kmeans_fx as kf
from kmeans_fx._backend import namespace as ns


def test_namespace_is_that_of_the_arrays(xp, asarray):
    x = asarray(xp, np.ones(3))
    found = ns.array_namespace(nothing=None, x=x, y=x)
    assert found is compat_namespace(x)
    assert found.ones(1).dtype == xp.ones(1).dtype


def test_predicates_tell_the_libraries_apart(xp, variant, asarray):
    found = ns.array_namespace(x=asarray(xp, np.ones(3)))
    told = [
        name
        for name, is_one in (
            ("numpy", ns.is_numpy_namespace),
            ("jax", ns.is_jax_namespace),
            ("torch", ns.is_torch_namespace),
        )
        if is_one(found)
    ]
    library = variant.partition(":")[0]
    assert told == ([] if library == "array-api-strict" else [library])


@pytest.mark.parametrize("value", [[1.0, 2.0], (1.0,), 1.0, "x", object()])
def test_what_is_no_array_is_named(value):
    with pytest.raises(TypeError, match="centroids must be an array, got"):
        ns.array_namespace(x=np.ones(2), centroids=value)


@pytest.mark.backend("array-api-strict", "jax", "torch")
def test_mixed_libraries_are_named(xp, asarray):
    x = asarray(xp, np.ones(3))
    with pytest.raises(TypeError, match="weights must be an array of the same library as x"):
        ns.array_namespace(x=x, weights=np.ones(3))
    with pytest.raises(TypeError, match="x must be an array of the same library as weights"):
        ns.array_namespace(weights=np.ones(3), x=x)


@pytest.mark.backend("array-api-strict", "torch")
def test_mixed_devices_are_named(xp, variant):
    elsewhere = "meta" if variant == "torch" else xp.Device("device1")
    x, y = xp.ones(3), xp.ones(3, device=elsewhere)
    with pytest.raises(ValueError, match="y must be on the device of x"):
        ns.array_namespace(x=x, y=y)


def test_device_is_the_arrays(xp, asarray, device):
    x = asarray(xp, np.ones(3))
    place = ns.device(x)
    assert xp.zeros(3, device=place).device == x.device
    assert device is None or place == device


@pytest.mark.parametrize("values", [[1, 2], [True, False]])
def test_integers_and_booleans_become_the_default_real(xp, asarray, values):
    real = ns.as_real(xp, asarray(xp, np.asarray(values)), "x")
    assert real.dtype == xp.asarray(0.5).dtype


def test_reals_stay_as_they_are(xp, asarray, dtype):
    x = asarray(xp, np.ones(3), dtype)
    assert ns.as_real(xp, x, "x") is x


def test_complex_is_named(xp, asarray):
    with pytest.raises(TypeError, match="x must have a real, integer or boolean dtype"):
        ns.as_real(xp, asarray(xp, np.ones(3), "complex64"), "x")


@pytest.mark.backend("jax", "numpy", "torch")
@pytest.mark.parametrize("half", ["float16", "bfloat16"])
def test_half_precision_accumulates_in_single(xp, variant, half):
    if not hasattr(xp, half):
        assert variant.startswith("numpy")
        return
    dtype = xp.asarray([1.0], dtype=getattr(xp, half)).dtype
    assert ns.is_real_floating(xp, dtype)
    assert ns.accumulation_dtype(xp, dtype) == xp.float32


def test_other_reals_accumulate_in_themselves(xp, dtype):
    assert ns.accumulation_dtype(xp, dtype) == dtype


def test_index_dtype_is_that_of_argmin(xp, asarray):
    x = asarray(xp, np.ones(3))
    assert ns.index_dtype(ns.array_namespace(x=x), x) == xp.argmin(x).dtype


@pytest.mark.backend("jax")
@pytest.mark.parametrize("committed", [False, True])
def test_results_are_bound_to_a_device_only_if_the_rows_are(xp, committed):
    """Else a jitted function compiles again for what an eager call returned."""
    import jax

    x = xp.asarray(np.arange(40.0).reshape(20, 2))
    x = jax.device_put(x, jax.devices()[0]) if committed else x
    results = [*kf.kmeans(x, 2, key=0), kf.soft_assign(x, x[:2, :]), kf.random_points(x, 2, key=0)]
    assert {array.committed for array in results} == {committed}
