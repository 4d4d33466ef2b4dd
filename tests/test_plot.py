"""Pictures: what is drawn is what was given, in whichever Axes, from any library."""

from types import SimpleNamespace

import matplotlib as mpl
import numpy as np
import pytest
from sklearn.decomposition import PCA

from kmeans_fx import plot
from kmeans_fx.plot._style import cluster_colours, cluster_markers

mpl.use("Agg")
plt = pytest.importorskip("matplotlib.pyplot")

KS = np.asarray([1, 2, 3, 4])
INERTIA = np.asarray([90.0, 30.0, 20.0, 18.0])
SILHOUETTE = np.asarray([np.nan, 0.7, 0.6, 0.5])
PROFILE = np.asarray([[1.0, 5.0], [2.0, 7.0], [4.0, 3.0]])
LABELS = np.asarray([0, 0, 1, 1, 2, 2, 2, 0])
ROWS = np.random.default_rng(0).standard_normal((8, 3)) * [4.0, 2.0, 1.0]
IMAGE = np.random.default_rng(1).integers(0, 256, size=(6, 8, 3)).astype(np.uint8)

CALLS = {
    "elbow": lambda a, **to: plot.elbow(a(KS), a(INERTIA), **to),
    "gap": lambda a, **to: plot.gap(a(KS), a(INERTIA), a(INERTIA / 10), **to),
    "inertia_trace": lambda a, **to: plot.inertia_trace(a(INERTIA), **to),
    "silhouette": lambda a, **to: plot.silhouette(a(ROWS[:, 2] / 4), a(LABELS), **to),
    "clusters": lambda a, **to: plot.clusters(a(ROWS), a(LABELS), a(ROWS[:3]), **to),
    "profile": lambda a, **to: plot.profile(a(PROFILE), **to),
    "stability": lambda a, **to: plot.stability(a(np.eye(3)), **to),
    "palette": lambda a, **to: plot.palette(a(IMAGE[0]), labels=a(LABELS), **to),
}


@pytest.fixture(autouse=True)
def _no_open_figures():
    yield
    plt.close("all")


@pytest.fixture
def ax():
    return plt.subplots()[1]


@pytest.mark.parametrize("name", CALLS)
def test_draws_into_the_axes_given_arrays_of_any_library(xp, asarray, ax, name):
    mine = CALLS[name](lambda values: asarray(xp, values), ax=ax)
    assert mine is ax
    assert ax.has_data()
    ax.figure.canvas.draw()


@pytest.mark.backend("numpy")
@pytest.mark.parametrize("name", CALLS)
def test_a_new_figure_is_800_pixels_wide_and_holds_everything(name):
    new = CALLS[name](np.asarray)
    assert new.figure.get_figwidth() * 100 == 800
    new.figure.canvas.draw()
    box, inside = new.get_tightbbox(), new.figure.bbox
    assert inside.x0 <= box.x0 < box.x1 <= inside.x1
    assert inside.y0 <= box.y0 < box.y1 <= inside.y1
    assert new.get_xlabel() or new.get_xticklabels()


@pytest.mark.backend("torch")
def test_a_tensor_that_tracks_gradients_is_read(ax):
    import torch

    inertia = torch.tensor(INERTIA, requires_grad=True)
    plot.elbow(torch.as_tensor(KS), inertia * 2, ax=ax)
    np.testing.assert_allclose(ax.lines[0].get_ydata(), 2 * INERTIA)
    half = torch.tensor(PROFILE, dtype=torch.bfloat16, requires_grad=True)
    plot.profile(half, ax=ax)


@pytest.mark.backend("jax")
def test_a_traced_array_is_refused():
    import jax

    with pytest.raises(TypeError, match="inertia must be an array whose values can be read"):
        jax.jit(lambda a: plot.elbow(KS, a).get_alpha())(jax.numpy.asarray(INERTIA))


@pytest.mark.backend("numpy")
def test_elbow_sorts_and_marks_what_was_chosen(ax):
    plot.elbow(KS[::-1], INERTIA[::-1], chosen=2, ax=ax)
    line, ring = ax.lines[:2]
    np.testing.assert_array_equal(line.get_xydata(), np.stack([KS, INERTIA], 1))
    np.testing.assert_array_equal(ring.get_xydata(), [[2, 30]])
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["chosen: k = 2"]


@pytest.mark.backend("numpy")
def test_no_choice_marks_nothing(ax):
    plot.elbow(KS, INERTIA, chosen=SimpleNamespace(k=None), ax=ax)
    assert len(ax.lines) == 1
    assert ax.get_legend() is None


@pytest.mark.backend("numpy")
def test_a_sweep_gives_all_curves():
    sweep = SimpleNamespace(ks=KS, inertia=INERTIA, silhouette=SILHOUETTE, gap=INERTIA / 9)
    sweep.davies_bouldin, sweep.calinski_harabasz = 2 - SILHOUETTE, INERTIA * SILHOUETTE
    sweep.gap_error = np.full(4, 0.5)
    ax = plot.elbow(sweep)
    np.testing.assert_array_equal(ax.lines[0].get_ydata(), INERTIA)
    bars = plot.gap(sweep, chosen=SimpleNamespace(k=1)).containers[0]
    np.testing.assert_array_equal(bars[0].get_ydata(), INERTIA / 9)
    (segments,) = (lines.get_segments() for lines in bars[2])
    np.testing.assert_allclose([np.ptp(s[:, 1]) for s in segments], 1.0)
    titles = [panel.get_title() for panel in plot.criteria(sweep)]
    assert titles == [
        "silhouette\nhighest at k = 2",
        "Davies-Bouldin\nlowest at k = 2",
        "Calinski-Harabasz\nhighest at k = 2",
    ]


@pytest.mark.backend("numpy")
def test_the_best_trace_is_in_front_and_ends_where_it_ended(ax):
    traces = np.asarray([[9.0, 5.0, np.nan], [8.0, 6.0, 4.0], [7.0, np.nan, np.nan]])
    plot.inertia_trace(traces, ax=ax)
    drawn = [line.get_ydata().tolist() for line in ax.lines[:3]]
    assert drawn == [[9, 5], [7], [8, 6, 4]]
    texts = [text.get_text() for text in ax.get_legend().get_texts()]
    assert texts == ["2 other starts", "the best, 4 at the end"]


@pytest.mark.backend("numpy")
def test_blades_hold_the_sorted_silhouettes(ax):
    plot.silhouette(np.asarray([0.5, 0.1, 0.9, -0.3]), np.asarray([4, 4, 7, 7]), ax=ax)
    widths = [np.unique(blade.get_paths()[0].vertices[:, 0]) for blade in ax.collections]
    np.testing.assert_allclose(widths[0], [0, 0.1, 0.5])
    np.testing.assert_allclose(widths[1], [-0.3, 0, 0.9])
    assert [tick.get_text() for tick in ax.get_yticklabels()] == ["4 (2)", "7 (2)"]
    assert ax.get_xlabel() == "silhouette (mean 0.30)"


@pytest.mark.backend("numpy")
def test_blades_of_very_many_rows_stay_small(ax):
    values = np.linspace(-1, 1, 200_000)
    plot.silhouette(values, np.zeros(200_000, int), ax=ax)
    blade = ax.collections[0].get_paths()[0].vertices
    assert len(blade) < 5_000
    assert blade[:, 1].max() == 200_000
    # Half of the area is on either side.
    assert abs(np.median(blade[:, 0])) < 0.01


@pytest.mark.backend("numpy")
def test_the_plane_is_that_of_scikit_learn(ax):
    plot.clusters(ROWS, np.zeros(8, int), ROWS[:2], ax=ax)
    points = np.asarray(ax.collections[0].get_offsets())
    pca = PCA(2).fit(ROWS)
    # Directions have no sign.
    np.testing.assert_allclose(np.abs(points), np.abs(pca.transform(ROWS)), atol=1e-9)
    crosses = np.asarray(ax.collections[-1].get_offsets())
    np.testing.assert_allclose(crosses, points[:2])
    for axis, share in zip("xy", pca.explained_variance_ratio_, strict=True):
        assert f"({share:.0%} of the variance)" in getattr(ax, f"get_{axis}label")()


@pytest.mark.backend("numpy")
def test_two_columns_are_shown_as_they_are(ax):
    plot.clusters(ROWS[:, :2], np.zeros(8, int), feature_names=["a", "b"], ax=ax)
    np.testing.assert_array_equal(ax.collections[0].get_offsets(), ROWS[:, :2])
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("a", "b")


@pytest.mark.backend("numpy")
def test_no_more_points_than_asked_for(ax):
    rows = np.random.default_rng(0).standard_normal((1000, 2))
    plot.clusters(rows, np.arange(1000) % 3, max_points=90, ax=ax)
    assert sum(len(dots.get_offsets()) for dots in ax.collections) == 90


@pytest.mark.backend("numpy")
def test_profile_writes_values_and_colours_differences_from_the_mean(ax):
    plot.profile(PROFILE, feature_names=["u", "v"], sizes=[2, 1, 1], ax=ax)
    assert [text.get_text() for text in ax.texts] == ["1", "5", "2", "7", "4", "3"]
    # Means by size: (1 + 1 + 2 + 4) / 4 = 2 and (5 + 5 + 7 + 3) / 4 = 5.
    expected = [[-0.5, 0.0], [0.0, 1.0], [1.0, -1.0]]
    np.testing.assert_allclose(ax.images[0].get_array(), expected)
    rows = [tick.get_text() for tick in ax.get_yticklabels()]
    assert rows == ["cluster 0 (2)", "cluster 1 (1)", "cluster 2 (1)"]


@pytest.mark.backend("numpy")
def test_palette_is_ordered_by_lightness_and_wide_as_it_is_frequent(ax):
    colours = np.asarray([[1.0, 1.0, 1.0], [0.0, 0.0, 0.0], [1.0, 0.0, 0.0]])
    plot.palette(colours, labels=np.asarray([[0, 1], [1, 2]]), ax=ax)
    assert [bar.get_width() for bar in ax.patches] == [0.5, 0.25, 0.25]
    faces = [bar.get_facecolor()[:3] for bar in ax.patches]
    assert faces == [(0, 0, 0), (1, 0, 0), (1, 1, 1)]
    assert [text.get_text() for text in ax.texts] == ["#000000", "#ff0000", "#ffffff"]


@pytest.mark.backend("numpy")
def test_before_and_after_are_shown_on_one_scale():
    left, right = plot.before_after(IMAGE, IMAGE[..., :1] / 255, titles=("a", "b"))
    np.testing.assert_allclose(left.images[0].get_array(), IMAGE / 255)
    assert right.images[0].get_array().shape == (6, 8)
    assert right.images[0].get_clim() == (0, 1)
    assert right.get_title() == "b"


@pytest.mark.backend("numpy")
@pytest.mark.parametrize("k", [1, 8, 9, 30])
def test_no_two_clusters_look_the_same(k):
    colours = [mpl.colors.to_hex(colour) for colour in cluster_colours(k)]
    assert len(set(colours)) == k == len(cluster_markers(k))


@pytest.mark.backend("numpy")
@pytest.mark.parametrize("k", [8, 30])
def test_neighbours_differ_for_all_kinds_of_colour_vision(k):
    """With one kind of cones missing (D. Vienot et al. 1999, for linear RGB)."""
    rgb = np.asarray([mpl.colors.to_rgb(colour) for colour in cluster_colours(k)]) ** 2.2
    without = {
        "protan": [[0.11238, 0.88762, 0], [0.11238, 0.88762, 0], [0.00401, -0.00401, 1]],
        "deutan": [[0.29275, 0.70725, 0], [0.29275, 0.70725, 0], [-0.02234, 0.02234, 1]],
        "none": np.eye(3),
    }
    for matrix in without.values():
        seen = np.clip(rgb @ np.asarray(matrix).T, 0, 1) ** (1 / 2.2)
        assert np.abs(np.diff(seen, axis=0)).max(axis=1).min() > 0.1


@pytest.mark.backend("numpy")
@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: plot.elbow(KS, INERTIA[:3]), ValueError, r"inertia must have shape \(4,\)"),
        (lambda: plot.elbow(KS, INERTIA, chosen=9), ValueError, "chosen must be one of ks, got 9"),
        (lambda: plot.elbow(KS, None), TypeError, "inertia must be an array of real"),
        (lambda: plot.criteria(KS, {"x": KS}), ValueError, "scores must be among .* got x"),
        (lambda: plot.inertia_trace(np.zeros(0)), ValueError, "history must have 1 or 2"),
        (lambda: plot.inertia_trace([np.nan]), ValueError, "history must have a finite"),
        (lambda: plot.silhouette(KS, KS[:2]), ValueError, "labels must have 4 entries"),
        (lambda: plot.silhouette(KS, KS / 2), TypeError, "labels must have an integer dtype"),
        (lambda: plot.clusters(ROWS[:, :1], LABELS), ValueError, "at least two columns"),
        (lambda: plot.clusters(ROWS, LABELS, PROFILE), ValueError, "centroids as many"),
        (lambda: plot.profile(PROFILE, feature_names="abc"), ValueError, "must be 2 names, got 3"),
        (lambda: plot.profile(PROFILE, sizes=[1]), ValueError, "sizes must be 3 numbers"),
        (lambda: plot.stability(PROFILE), ValueError, r"must be square, got shape \(3, 2\)"),
        (lambda: plot.palette(np.full((3, 3), 7)), ValueError, "from 0 to 1, got 7 to 7"),
        (lambda: plot.palette(IMAGE[0], labels=KS + 9), ValueError, "integers from 0 to 7"),
        (lambda: plot.before_after(IMAGE, IMAGE[..., :2]), ValueError, "1, 3 or 4 channels"),
        (lambda: plot.before_after(IMAGE, IMAGE, axes=[1]), ValueError, "2 Axes, got 1"),
    ],
)
def test_bad_input(call, error, message):
    with pytest.raises(error, match=message):
        call()
