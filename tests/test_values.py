"""Values of arrays of any library, as NumPy reads them."""

import numpy as np
import pytest

from kmeans_fx._backend.values import numpy_values


def test_values_of_every_dtype(xp, asarray):
    for values in ([[0.5, -2.0]], [[3, 1]], [[True, False]]):
        found = numpy_values(asarray(xp, values))
        assert isinstance(found, np.ndarray)
        np.testing.assert_array_equal(found, values)


@pytest.mark.backend("torch", "jax")
def test_half_precision_is_widened(xp):
    found = numpy_values(xp.asarray([0.5, 3.0], dtype=xp.bfloat16))
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, [0.5, 3.0])


@pytest.mark.backend("torch")
def test_a_tensor_that_tracks_gradients(xp):
    x = xp.asarray([1.0, 2.0]).requires_grad_()
    np.testing.assert_array_equal(numpy_values(x * 3), [3.0, 6.0])


@pytest.mark.backend("numpy")
@pytest.mark.parametrize("value", [None, "x", [[1], [1, 2]], [1j], object()])
def test_no_numbers(value):
    with pytest.raises(TypeError, match="heights must be an array"):
        numpy_values(value, "heights")
