"""Images in few colours: a reference in plain loops, dithering, alpha, and what is refused."""

import numpy as np
import pytest
from array_api_extra.testing import lazy_xp_function

from kmeans_fx.images import QuantizedImage, quantize_image
from tests.parameters import uncompiled

lazy_xp_function(quantize_image)

COLOURS = np.asarray([[250, 10, 20], [15, 200, 30], [40, 60, 220], [128, 128, 128]])


@pytest.fixture(scope="module")
def picture():
    """24 x 31 pixels of four colours with a little noise, uint8."""
    rng = np.random.default_rng(0)
    noise = rng.integers(-8, 9, size=(24, 31, 3))
    return np.clip(COLOURS[rng.integers(4, size=(24, 31))] + noise, 0, 255).astype(np.uint8)


def psnr(image, other, peak):
    """The definition, in plain Python."""
    pairs = zip(np.ravel(image).tolist(), np.ravel(other).tolist(), strict=True)
    squares = [(a - b) ** 2 for a, b in pairs]
    return 10 * np.log10(peak**2 / (sum(squares) / len(squares)))


def nearest(image, palette):
    """The label of every pixel, one at a time."""
    palette = palette.astype(float)
    return [[int(np.argmin(((palette - p) ** 2).sum(1))) for p in row] for row in image.tolist()]


def test_the_colours_are_found(xp, asarray, to_numpy, picture):
    result = quantize_image(asarray(xp, picture), 4, key=0, n_init=3)
    palette = to_numpy(result.palette)
    assert result.image.dtype == result.palette.dtype == xp.uint8
    order = np.argsort(palette[:, 0])
    np.testing.assert_allclose(palette[order], COLOURS[np.argsort(COLOURS[:, 0])], atol=2)
    labels = to_numpy(result.labels)
    np.testing.assert_array_equal(labels, nearest(picture, palette))
    np.testing.assert_array_equal(to_numpy(result.image), palette[labels])
    expected = psnr(picture, palette[labels], 255)
    assert float(result.psnr) == pytest.approx(expected, abs=1e-3)


def test_real_numbers_from_0_to_1(xp, asarray, to_numpy, picture, dtype, tol):
    image = picture / 255
    result = quantize_image(asarray(xp, image, dtype), 4, key=1)
    assert result.image.dtype == result.palette.dtype == dtype
    np.testing.assert_array_equal(to_numpy(result.labels), nearest(image, to_numpy(result.palette)))
    painted = to_numpy(result.palette)[to_numpy(result.labels)]
    np.testing.assert_array_equal(to_numpy(result.image), painted)
    assert float(result.psnr) == pytest.approx(psnr(image, painted, 1), rel=10 * tol(dtype))


@pytest.mark.parametrize("shape", [(24, 31), (24, 31, 1)])
@pytest.mark.backend("numpy", "torch")
def test_grey(xp, asarray, to_numpy, picture, shape):
    grey = picture[..., 0].reshape(shape)
    result = quantize_image(asarray(xp, grey), 3, key=0)
    assert result.image.shape == shape
    assert result.palette.shape == (3, 1)
    painted = to_numpy(result.palette)[to_numpy(result.labels)].reshape(shape)
    np.testing.assert_array_equal(to_numpy(result.image), painted)


@pytest.mark.uncompiled
def test_a_transparent_pixel_is_absent(xp, asarray, to_numpy, picture):
    """Its colour changes neither the palette nor the PSNR; alpha stays."""
    alpha = np.where(np.arange(31) < 20, 255, 0) * np.ones((24, 1))
    rgba = np.dstack([picture, alpha]).astype(np.uint8)
    other = rgba.copy()
    other[:, 20:, :3] = 77
    results = [quantize_image(asarray(xp, a), 4, key=0, n_init=2) for a in (rgba, other)]
    visible = quantize_image(asarray(xp, picture[:, :20]), 4, key=0, n_init=2)
    for result in results:
        np.testing.assert_array_equal(to_numpy(result.image)[..., 3], alpha)
        assert float(result.psnr) == pytest.approx(float(visible.psnr), abs=1e-4)
    np.testing.assert_array_equal(*(to_numpy(result.palette) for result in results))
    assert sorted(to_numpy(visible.palette).tolist()) == sorted(
        to_numpy(results[0].palette).tolist()
    )


@pytest.mark.backend("numpy")
@pytest.mark.parametrize(("k", "bits"), [(1, 1), (2, 1), (3, 2), (4, 2), (5, 3), (16, 4), (17, 5)])
def test_bytes_of_an_indexed_image(picture, k, bits):
    result = quantize_image(picture, k, key=0, max_iter=2)
    assert int(result.bytes_before) == 24 * 31 * 3
    assert int(result.bytes_after) == -(-24 * 31 * bits // 8) + 3 * k
    rgba = np.dstack([picture, np.full((24, 31), 255, np.uint8)])
    with_alpha = quantize_image(rgba, k, key=0, max_iter=2)
    assert int(with_alpha.bytes_before) == 24 * 31 * 4
    assert int(with_alpha.bytes_after) == int(result.bytes_after) + 24 * 31


@pytest.mark.backend("numpy")
def test_nothing_lost_is_an_infinite_psnr(picture):
    exact = quantize_image(picture[:2, :3], 6, key=0)
    np.testing.assert_array_equal(exact.image, picture[:2, :3])
    assert exact.psnr == np.inf


@pytest.mark.backend("numpy")
def test_the_palette_is_fit_on_a_sample(picture):
    sampled = quantize_image(picture, 4, key=0, sample_size=100)
    whole = quantize_image(picture, 4, key=0, sample_size=None)
    assert sampled.labels.shape == (24, 31)
    # The same four colours, from other pixels: the means differ, and not by much.
    assert not np.array_equal(np.sort(sampled.palette, 0), np.sort(whole.palette, 0))
    assert float(sampled.psnr) == pytest.approx(float(whole.psnr), abs=0.3)


def floyd_steinberg(image, palette):
    """Error diffusion in plain loops: 7/16 right, 3/16, 5/16 and 1/16 below."""
    rest = image.astype(float)
    labels = np.zeros(image.shape[:2], int)
    height, width = labels.shape
    for i in range(height):
        for j in range(width):
            old = np.clip(rest[i, j], 0, 255)
            labels[i, j] = np.argmin(((palette - old) ** 2).sum(1))
            error = old - palette[labels[i, j]]
            for di, dj, share in ((0, 1, 7), (1, -1, 3), (1, 0, 5), (1, 1, 1)):
                if i + di < height and 0 <= j + dj < width:
                    rest[i + di, j + dj] += error * share / 16
    return labels


@pytest.mark.uncompiled
@pytest.mark.eager
@pytest.mark.parametrize(
    "kind",
    ["colour", "alpha", *uncompiled("grey", "real")],
)
def test_dithering(xp, asarray, to_numpy, kind):
    """A ramp in two or three colours keeps its local mean, as the plain loops do."""
    ramp = np.broadcast_to(np.linspace(0, 255, 64)[:, None], (32, 64, 1)) * [1.0, 1.0, 0.5]
    image = np.round(ramp).astype(np.uint8)
    if kind == "grey":
        image = image[..., 0]
    if kind == "alpha":
        image = np.dstack([image, np.full((32, 64), 255, np.uint8)])
    given = asarray(xp, image / np.float32(255) if kind == "real" else image)
    plain, dithered = (quantize_image(given, 3, key=0, dither=d) for d in (False, True))
    peak = 1 if kind == "real" else 255

    def smooth(array):
        colour = np.asarray(to_numpy(array), float).reshape(32, 64, -1)[..., :3] / peak
        # The ramp's ends lie outside the palette, where no mixture helps.
        return colour.reshape(4, 8, 8, 8, -1).mean(axis=(1, 3))[:, 2:6]

    losses = [np.abs(smooth(r.image) - smooth(given)).mean() for r in (plain, dithered)]
    palette = np.round(to_numpy(dithered.palette).astype(float) * (255 / peak))
    colour = image.reshape(32, 64, -1)[..., :3]
    ours, reference = to_numpy(dithered.labels), floyd_steinberg(colour, palette)
    assert losses[1] < losses[0] / 3
    assert float(dithered.psnr) < float(plain.psnr)
    # Pillow keeps errors in integers, so single pixels differ; how many of a colour does not.
    shares = [np.bincount(a.ravel(), minlength=3) / a.size for a in (ours, reference)]
    np.testing.assert_allclose(*shares, atol=0.02)


@pytest.mark.backend("numpy")
def test_dithering_uses_only_the_palette():
    """Black pixels far from every colour: an empty place of a palette is black."""
    image = np.zeros((16, 16, 3), np.uint8)
    image[:8] = 255
    image[:, 8:] = 120
    result = quantize_image(image, 2, key=0, dither=True)
    assert set(np.unique(result.labels)) == {0, 1}


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (
            {"image": np.zeros((3, 3, 2), np.uint8)},
            ValueError,
            r"must have shape .* \(3, 3, 2",
        ),
        ({"image": np.zeros((2, 3, 3, 3), np.uint8)}, ValueError, "image must have shape"),
        ({"image": np.zeros((0, 3, 3), np.uint8)}, ValueError, "no side of 0"),
        ({"image": np.full((3, 3), 7.0)}, ValueError, "from 0 to 1, got 7 to 7"),
        ({"image": np.full((3, 3), np.nan)}, ValueError, "from 0 to 1, got nan"),
        ({"image": np.zeros((3, 3), np.int32)}, TypeError, "uint8, or real .* got .*int32"),
        ({"image": np.zeros((3, 3, 4), np.uint8)}, ValueError, "image must have a visible pixel"),
        ({"k": 10}, ValueError, "k must be at most the number of rows, 9"),
        ({"k": 300, "dither": True}, ValueError, "k must be at most 256 with dither"),
        ({"sample_size": 0}, ValueError, "sample_size must be at least 1"),
        ({"key": -1}, ValueError, "key must be between"),
    ],
)
@pytest.mark.eager
def test_bad_input(xp, asarray, change, error, message):
    given = {"image": np.zeros((3, 3, 3), np.uint8), "k": 2, "key": 0} | change
    image, k = asarray(xp, given.pop("image")), given.pop("k")
    with pytest.raises(error, match=message):
        quantize_image(image, k, **given)


@pytest.mark.backend("numpy")
def test_no_array():
    with pytest.raises(TypeError, match="image must be an array, got list"):
        quantize_image([[0, 1]], 2, key=0)


@pytest.mark.backend("jax")
@pytest.mark.eager
def test_dithering_under_a_trace_is_refused():
    import jax

    with pytest.raises(ValueError, match="dither must be False under a trace"):
        jax.jit(lambda a: quantize_image(a, 2, key=0, dither=True))(jax.numpy.zeros((3, 3)))


@pytest.mark.backend("numpy")
def test_the_result_is_a_tuple_of_arrays(picture):
    result = quantize_image(picture, 2, key=0)
    assert isinstance(result, QuantizedImage)
    assert all(hasattr(field, "dtype") for field in result)
