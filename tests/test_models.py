"""The models of the documentation: layers that are k-means inside, in PyTorch and JAX."""

import numpy as np
import pytest

import kmeans_fx as kf
from docs.models import codebook, quantization

RULE = {"decay": 0.5, "least": 0.0}


def learn(xp, book, rows, **rule):
    return codebook.learn(xp, book, rows, kf.assign(rows, book.codes), **(RULE | rule))


@pytest.fixture
def book(xp, asarray):
    """Two codes, 0 and 10, of one row each."""
    codes = asarray(xp, [[0.0], [10.0]])
    ones = asarray(xp, [1.0, 1.0])
    return codebook.Codebook(codes, kf.ClusterStats(codes + 0.0, ones, ones[0] * 0.0))


def test_codes_are_moving_averages(xp, asarray, to_numpy, book):
    """By hand: sums 0/2 + 2 + 4 and 10/2, counts 1/2 + 2 and 1/2; then one row at 9."""
    book = learn(xp, book, asarray(xp, [[2.0], [4.0]]))
    np.testing.assert_allclose(to_numpy(book.codes)[:, 0], [6 / 2.5, 10.0], rtol=1e-6)
    np.testing.assert_allclose(to_numpy(book.stats.counts), [2.5, 0.5])
    np.testing.assert_allclose(float(book.stats.inertia), 4 + 16)
    book = learn(xp, book, asarray(xp, [[9.0]]))
    np.testing.assert_allclose(to_numpy(book.codes)[:, 0], [6 / 2.5, (2.5 + 9) / 1.25], rtol=1e-6)


def test_a_codebook_is_a_stream_with_a_half_life(xp, asarray, to_numpy):
    rng = np.random.default_rng(0)
    batches = [asarray(xp, rng.normal(size=(40, 3)) + turn / 4) for turn in range(3)]
    book = codebook.start(batches[0], 5, 0)
    state = kf.stream_init(book.codes, counts=book.stats.counts)
    book = book._replace(
        stats=book.stats._replace(sums=book.codes * book.stats.counts[:, None]),
    )
    for batch in batches:
        book = learn(xp, book, batch, decay=0.8)
        state = kf.stream_step(batch, state, half_life=-1 / np.log2(0.8))
    ours, theirs = book.codes, state.centroids + state.origin[None, :]
    np.testing.assert_allclose(to_numpy(ours), to_numpy(theirs), rtol=1e-5, atol=1e-5)


def test_dead_codes_take_the_worst_rows(xp, asarray, to_numpy, book):
    far = asarray(xp, [[0.0], [10.0], [1e3], [1e3]])
    stats = book.stats._replace(counts=asarray(xp, [4.0, 5.0, 0.1, 0.2]), sums=4.0 * far)
    rows = asarray(xp, [[0.5], [14.0], [9.0], [-3.0]])
    found = kf.assign(rows, book.codes)
    spare = codebook.worst_rows(xp, rows, found.distances, 4)
    new = codebook.revive(xp, stats, spare, 1.0)
    np.testing.assert_array_equal(to_numpy(new.counts), [4, 5, 1, 1])
    np.testing.assert_array_equal(to_numpy(new.sums)[:, 0], [0, 40, 14, -3])


def test_revived_codes_are_used(xp, asarray, to_numpy):
    """Three of four codes begin where no row is."""
    rng = np.random.default_rng(0)
    rows = np.repeat([[0.0, 0], [9, 0], [0, 9], [9, 9]], 20, axis=0) + rng.normal(size=(80, 2))
    rows, codes = asarray(xp, rows), asarray(xp, [[4.0, 4], [99, 0], [0, 99], [99, 99]])
    stats = kf.ClusterStats(codes, codes[:, 0] * 0.0 + 1.0, codes[0, 0])
    book = codebook.Codebook(codes, stats)
    for least, used in ((0.0, 1), (2.0, 4)):
        now = book
        for _ in range(8):
            now = learn(xp, now, rows, least=least)
        counts = kf.cluster_stats(rows, kf.assign(rows, now.codes).labels, 4).counts
        assert np.count_nonzero(to_numpy(counts)) == used
        assert used >= float(codebook.perplexity(xp, counts)) > 0.8 * used


@pytest.fixture
def model():
    """A small autoencoder in PyTorch, and images."""
    import torch

    from docs.models import vq_torch

    torch.manual_seed(0)
    images = torch.rand(32, 64)
    model = vq_torch.Autoencoder(vq_torch.Quantizer(16, 4), hidden=16)
    with torch.no_grad():
        model.quantize.start(model.encode(images), 0)
    return model, images


@pytest.mark.backend("torch")
def test_torch_gradient_is_straight_through(xp, model):
    """What the decoder asks of the codes reaches the encoder unchanged."""
    import torch

    quantize = model[0].quantize
    z = torch.randn(6, 4, 4, requires_grad=True)
    factors = torch.randn(6, 4, 4)
    near, labels, lost = quantize(z)
    assert labels.shape == (6, 4)
    (slope,) = torch.autograd.grad((near * factors).sum(), z)
    assert torch.equal(slope, factors)
    codes = quantize.codes
    near, labels, lost = quantize.eval()(z)
    torch.testing.assert_close(near.detach(), codes[labels])
    (slope,) = torch.autograd.grad(lost, z)
    torch.testing.assert_close(slope, 2 * (z - near).detach() / z.numel())


@pytest.mark.backend("torch")
def test_torch_layer_learns_in_training_only(xp, model):
    import torch

    model, images = model
    before = model.quantize.codes.clone()
    model.eval()(images)
    assert torch.equal(model.quantize.codes, before)
    book, rows = model.quantize.book(), model.encode(images).detach().reshape(-1, 4)
    book = codebook.Codebook(book.codes.clone(), kf.ClusterStats(*(p.clone() for p in book.stats)))
    expected = learn(xp, book, rows, **model.quantize.rule)
    model.train()(images)
    for ours, theirs in zip(model.quantize.book().stats, expected.stats, strict=True):
        assert torch.equal(ours, theirs)
    assert torch.equal(model.quantize.codes, expected.codes)
    assert not torch.equal(model.quantize.codes, before)


@pytest.mark.backend("torch")
def test_torch_layer_in_mixed_precision(xp, model):
    """Networks in bfloat16, the codebook as for float32 rows, gradients in float32."""
    import torch

    model, images = model
    book = codebook.start(model.encode(images).detach().reshape(-1, 4), 16, 0)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        z = model.encode(images)
        again, _, lost = model.train()(images)
        ((again - images).square().mean() + lost).backward()
    assert z.dtype == again.dtype == torch.bfloat16
    expected = learn(xp, book, z.detach().float().reshape(-1, 4), **model.quantize.rule)
    torch.testing.assert_close(model.quantize.codes, expected.codes)
    for weights in model.parameters():
        assert weights.grad.dtype == torch.float32
        assert weights.grad.abs().sum() > 0


@pytest.mark.backend("torch")
@pytest.mark.compile
def test_torch_model_compiles_as_one_graph(xp, model):
    """Two steps of training give what they give without compilation."""
    import copy

    import torch

    model, images = model
    twin = copy.deepcopy(model)
    compiled = torch.compile(twin, fullgraph=True, backend="aot_eager")
    for _ in range(2):
        results = [each(images) for each in (model, compiled)]
        for one, other in zip(*results, strict=True):
            torch.testing.assert_close(one, other)
    results[0][0].sum().backward()
    results[1][0].sum().backward()
    for one, other in zip(model.parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad)
    torch.testing.assert_close(model.quantize.codes, twin.quantize.codes)


@pytest.mark.backend("torch")
def test_torch_learned_codes_get_gradients(xp, model):
    from docs.models.vq_torch import LearnedQuantizer

    model, images = model
    model.quantize = LearnedQuantizer(model.quantize.codes)
    again, labels, _ = model(images)
    (again - images).square().mean().backward()
    assert labels.shape == (32, 4)
    for weights in model.parameters():
        assert weights.grad.abs().sum() > 0


@pytest.mark.backend("jax")
@pytest.mark.eager
def test_jax_step_is_compiled_once(xp):
    """And learns what the codebook alone does; the encoder's gradient is straight through."""
    import jax

    from docs.models import vq_jax

    images = np.random.default_rng(0).random((32, 64), dtype=np.float32)
    state = vq_jax.init(jax.random.key(0), images, k=16, hidden=8)
    rows = vq_jax.encode(state.params, images, 4).reshape(-1, 4)
    expected = learn(xp, state.book, rows, decay=0.97, least=1.0)
    before = vq_jax.step._cache_size()
    first = vq_jax.step(state, images)
    second = vq_jax.step(first, images)
    assert vq_jax.step._cache_size() == before + 1
    np.testing.assert_allclose(first.book.codes, expected.codes, rtol=1e-5, atol=1e-6)
    assert int(second.step) == 2
    z, factors = xp.asarray(rows[:6]), xp.asarray(rows[6:12])
    slope = jax.grad(lambda z: xp.sum(vq_jax.quantize(state.book, z)[0] * factors))(z)
    np.testing.assert_array_equal(slope, factors)
    again, labels = vq_jax.reconstruct(second, images)
    assert again.shape == images.shape
    assert labels.shape == (32, 4)


@pytest.mark.backend("torch")
def test_deep_clustering_starts_at_kmeans_and_learns(xp):
    import torch

    from docs.models import deep_clustering as deep

    rng = np.random.default_rng(0)
    truth = np.repeat([0, 1], 60)
    rows = np.stack(
        [rng.uniform(-8, 8, size=120), 3.0 * truth + 0.3 * rng.normal(size=120)], axis=1
    )
    x = torch.asarray(rows, dtype=torch.float32)
    near = deep.neighbours(x, 4)
    assert not (near == torch.arange(120)[:, None]).any()
    fit = kf.kmeans(x, 2, key=0)
    torch.manual_seed(0)
    model = deep.Clusterer(fit)
    assert torch.equal(model(x).argmax(dim=1), fit.labels)
    before = [p.detach().clone() for p in model.parameters()]

    @torch.no_grad()
    def loss():
        shares = model(x)
        others = torch.mean(torch.stack([shares[near[:, i]] for i in range(4)]), dim=0)
        return deep.disagreement(shares, others) - 2.0 * deep.entropy(shares)

    first = loss()
    deep.train(model, x, near, epochs=20, batch=60, lr=5e-3)
    assert loss() < first - 0.01
    assert all((p != b).any() for p, b in zip(model.parameters(), before, strict=True))


@pytest.mark.backend("torch")
def test_deep_clustering_losses(xp):
    """By hand: rows that agree surely, half, and not at all; sizes 1/2 and 1/2."""
    import torch

    from docs.models import deep_clustering as deep

    sure = torch.asarray([[1.0, 0.0], [0.0, 1.0]])
    torch.testing.assert_close(deep.disagreement(sure, sure), torch.tensor(0.0))
    half = torch.full((2, 2), 0.5)
    torch.testing.assert_close(deep.disagreement(sure, half), torch.tensor(np.log(2.0)).float())
    torch.testing.assert_close(deep.entropy(sure), torch.tensor(np.log(2.0)).float())
    assert deep.disagreement(sure, sure.flip(0)) > 20


@pytest.mark.backend("numpy", "torch")
def test_product_quantisation_measures_distances_to_what_codes_stand_for(xp, asarray, to_numpy):
    rng = np.random.default_rng(0)
    x, queries = (asarray(xp, rng.normal(size=(n, 6))) for n in (60, 5))
    books = quantization.fit(x, 3, 8, key=0)
    codes = to_numpy(quantization.encode(x, books))
    assert (books.shape, codes.shape) == ((3, 8, 2), (3, 60))
    stored = np.concatenate([to_numpy(books)[j][codes[j]] for j in range(3)], axis=1)
    expected = ((to_numpy(queries)[:, None] - stored) ** 2).sum(axis=-1)
    found = quantization.search(queries, xp.asarray(codes), books)
    np.testing.assert_allclose(to_numpy(found), expected, rtol=1e-4, atol=1e-5)
    near = ((to_numpy(x)[:, None, :2] - to_numpy(books)[0]) ** 2).sum(axis=-1).argmin(axis=1)
    np.testing.assert_array_equal(codes[0], near)
