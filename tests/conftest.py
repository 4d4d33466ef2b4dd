"""Fixtures that every test shares: the array library, its device, its tolerances and data.

The ``xp`` fixture lies a little to catch lies: NumPy arrays are read-only in one run,
array-api-strict forbids what the standard leaves open and computes on a device that is not its
default one, and JAX sees the tagged functions jitted
(`array_api_extra.testing.lazy_xp_function`).
"""

import contextlib
import gc
import importlib
import importlib.util

import numpy as np
import pytest
from array_api_compat import is_array_api_strict_namespace, is_jax_namespace, is_torch_array
from array_api_extra.testing import patch_lazy_xp_functions
from hypothesis import settings

from kmeans_fx._backend import host, kernels
from tests.parameters import uncompiled

NAMESPACES = {
    "numpy": "array_api_compat.numpy",
    "array-api-strict": "array_api_strict",
    "jax": "jax.numpy",
    "torch": "array_api_compat.torch",
}
# A library is tested once under its own name and once per variant.
VARIANTS = {"numpy": ["numpy:readonly"]}

settings.register_profile("kmeans_fx", deadline=None, derandomize=True, max_examples=30)
settings.load_profile("kmeans_fx")


def pytest_addoption(parser):
    parser.addoption(
        "--backend",
        action="append",
        default=[],
        metavar="NAMES",
        help=f"array libraries to test, of {', '.join(NAMESPACES)}; repeat it or separate the "
        "names by commas; one that is not installed is an error (default: all installed)",
    )
    parser.addoption(
        "--kernels",
        action="store_true",
        help="use the compiled kernels however few the rows; an error without Numba",
    )
    parser.addoption(
        "--alone",
        action="store_true",
        help="let PyTorch do everything by itself, as on a GPU: fits of few rows without NumPy",
    )


def pytest_configure(config):
    if config.getoption("--alone"):
        host.has_numpy = lambda: False
    if config.getoption("--kernels"):
        if not _is_installed("numba"):
            raise pytest.UsageError("--kernels was asked for and Numba is not installed")
        kernels._FEW_NUMBERS = 0
    asked = [name for value in config.getoption("--backend") for name in value.split(",")]
    for name in asked:
        if name not in NAMESPACES:
            raise pytest.UsageError(f"--backend: {name!r} is not one of {', '.join(NAMESPACES)}")
        if not _is_installed(name):
            raise pytest.UsageError(f"--backend: {name} was asked for and is not installed")
    config.backends = asked or [name for name in NAMESPACES if _is_installed(name)]
    if "jax" in config.backends:
        _configure_jax()


def _is_installed(name):
    return importlib.util.find_spec(name.replace("-", "_")) is not None


def _configure_jax():
    # Most of the time of the suite is compilation, and of little use to tiny arrays; and it
    # leaves millions of objects that stay.
    gc.set_threshold(100_000)
    import jax

    jax.config.update("jax_disable_most_optimizations", True)
    # Full float32 products on accelerators, and no silent promotion between dtypes.
    jax.config.update("jax_default_matmul_precision", "float32")
    jax.config.update("jax_numpy_dtype_promotion", "strict")


def pytest_generate_tests(metafunc):
    if "variant" in metafunc.fixturenames:
        names = _backends_of(metafunc.definition, metafunc.config)
        variants = [v for name in names for v in (name, *VARIANTS.get(name, []))]
        metafunc.parametrize("variant", variants)


def pytest_collection_modifyitems(config, items):
    asked = "distributed" in config.option.markexpr

    def chosen(item):
        alone = item.get_closest_marker("distributed") is None
        names = _backends_of(item, config)
        # A parameter can have a mark of its own, which leaves some of the test's libraries out.
        params = item.callspec.params if hasattr(item, "callspec") else {}
        library = str(params.get("variant")).partition(":")[0]
        return (alone or asked) and (library in names if library in NAMESPACES else names)

    config.hook.pytest_deselected(items=[item for item in items if not chosen(item)])
    items[:] = [item for item in items if chosen(item)]


def _backends_of(item, config):
    """The chosen libraries of those that a test's ``backend`` mark names, or that it is for.

    A test that takes no library is the same for all of them: it belongs to NumPy's.
    """
    mark = item.get_closest_marker("backend")
    every = NAMESPACES if "variant" in item.fixturenames else ["numpy"]
    asked = set(mark.args if mark else every)
    if item.get_closest_marker("uncompiled") and config.option.markexpr:
        asked -= {"jax"}
    return [name for name in config.backends if name in asked]


@pytest.fixture
def xp(request, variant):
    """The array namespace under test."""
    namespace = importlib.import_module(NAMESPACES[variant.partition(":")[0]])
    marked = request.node.get_closest_marker
    with contextlib.ExitStack() as stack:
        if is_array_api_strict_namespace(namespace):
            stack.enter_context(_strictest(namespace))
        if is_jax_namespace(namespace) and marked("x64"):
            stack.enter_context(_jax_x64())
        if not marked("eager"):
            stack.enter_context(patch_lazy_xp_functions(request, xp=namespace))
        yield namespace


def _strictest(strict):
    return strict.ArrayAPIStrictFlags(
        boolean_indexing=False, data_dependent_shapes=False, enabled_extensions=()
    )


def _jax_x64():
    import jax

    return jax.enable_x64(True)


@pytest.fixture
def device(xp):
    """A device to place arrays on: not the default one where the library has another."""
    return xp.Device("device1") if is_array_api_strict_namespace(xp) else None


@pytest.fixture(params=[*uncompiled("float32"), "float64"])
def dtype(request, xp):
    """A real dtype of ``xp``; JAX runs with 64-bit types for float64."""
    wide = is_jax_namespace(xp) and request.param == "float64"
    with _jax_x64() if wide else contextlib.nullcontext():
        yield getattr(xp, request.param)


@pytest.fixture
def asarray(variant, device):
    """``asarray(xp, values, dtype=None)``: a new array on the test's device.

    ``dtype`` is one of ``xp`` or its name. Without it float64 values become the library's
    default real dtype, as a user's Python floats would.
    """

    def place(xp, values, dtype=None):
        values = np.asarray(values)
        dtype = getattr(xp, dtype) if isinstance(dtype, str) else dtype
        if dtype is None and values.dtype == np.float64:
            dtype = xp.asarray(0.5).dtype
        array = xp.asarray(values.copy(), dtype=dtype, device=device)
        if variant == "numpy:readonly":
            array.flags.writeable = False
        return array

    return place


@pytest.fixture
def to_numpy():
    """``to_numpy(array)``: the values as a NumPy array, from any library and device."""

    def convert(array):
        if is_torch_array(array):
            return array.detach().cpu().numpy()
        with contextlib.suppress(RuntimeError):
            return np.asarray(array)
        # array-api-strict refuses NumPy on all devices but its default one.
        return np.asarray(array.to_device(type(array.device)("CPU_DEVICE")))

    return convert


@pytest.fixture
def tol(xp):
    """``tol(dtype)``: a relative tolerance for a result of some thousand operations."""
    return lambda dtype: float(xp.finfo(dtype).eps) ** (2 / 3)


@pytest.fixture
def alone(monkeypatch):
    """PyTorch does everything by itself, as with the option ``--alone``."""
    monkeypatch.setattr(host, "has_numpy", lambda: False)


@pytest.fixture(autouse=True)
def _fresh_compiler(request):
    """Clear the caches of torch.compile, whose limit on recompilations is per process."""
    yield
    if request.node.get_closest_marker("compile"):
        import torch

        torch._dynamo.reset()


@pytest.fixture(scope="session")
def blobs():
    """``(x, labels)``: 600 rows in 5 dimensions, 8 clusters of sd 1 at least 20 apart."""
    rng = np.random.default_rng(20070107)
    corners = rng.permutation(2**5)[:8]
    centers = 20.0 * ((corners[:, None] >> np.arange(5)) & 1)
    labels = rng.integers(8, size=600)
    return _frozen(centers[labels] + rng.standard_normal((600, 5)), labels)


@pytest.fixture(scope="session")
def digits():
    """``(x, labels)``: 1797 handwritten digits of 8 x 8 pixels, float64."""
    from sklearn.datasets import load_digits

    return _frozen(*load_digits(return_X_y=True))


@pytest.fixture(scope="session")
def iris():
    """``(x, labels)``: 150 flowers with 4 measures, float64."""
    from sklearn.datasets import load_iris

    return _frozen(*load_iris(return_X_y=True))


def _frozen(*arrays):
    for array in arrays:
        array.flags.writeable = False
    return arrays


@pytest.fixture
def kernels_for_few(monkeypatch):
    """Kernels for however few rows, whatever the surroundings say."""
    monkeypatch.setattr(kernels, "_FEW_NUMBERS", 0)
    monkeypatch.delenv("KMEANS_FX_KERNELS", raising=False)


@pytest.fixture
def portable(monkeypatch):
    """``portable(function)``: its result without kernels."""

    def without(function):
        with monkeypatch.context() as patch:
            patch.setenv("KMEANS_FX_KERNELS", "0")
            return function()

    return without
