"""The vector-quantised autoencoder in JAX: the model, the codebook and Adam are one state."""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.lax import stop_gradient

from kmeans_fx import assign

from . import codebook


class TrainState(NamedTuple):
    """All that changes in training, as arrays: parameters, their moments, codes, step."""

    params: Any
    mean: Any
    square: Any
    book: codebook.Codebook
    step: Any


@partial(jax.jit, static_argnames=("k", "tokens", "d", "hidden"))
def init(key, images, *, k=64, tokens=4, d=4, hidden=128):
    """The state before training; the first codes are tokens of the images."""
    keys = jax.random.split(key, 5)
    shapes = [(64, hidden), (hidden, tokens * d), (tokens * d, hidden), (hidden, 64)]
    params = [layer(*each) for each in zip(keys[:4], shapes, strict=True)]
    zeros = jax.tree.map(jnp.zeros_like, params)
    book = codebook.start(encode(params, images, d).reshape(-1, d), k, keys[4])
    return TrainState(params, zeros, zeros, book, jnp.zeros((), dtype=jnp.int32))


def layer(key, shape):
    """Weights and a bias."""
    weights, bias = jax.random.split(key)
    bound = shape[0] ** -0.5
    return (
        jax.random.uniform(weights, shape, minval=-bound, maxval=bound),
        jax.random.uniform(bias, shape[1:], minval=-bound, maxval=bound),
    )


def encode(params, images, d):
    """Images (n, 64) to tokens (n, tokens, d)."""
    (w, b), (v, c), *_ = params
    return (jax.nn.relu(images @ w + b) @ v + c).reshape(len(images), -1, d)


def decode(params, tokens):
    """Tokens to images."""
    *_, (w, b), (v, c) = params
    return jax.nn.relu(tokens.reshape(len(tokens), -1) @ w + b) @ v + c


def quantize(book, z):
    """Rows (..., d) as codes, the assignment, and the mean square of what was lost."""
    rows = stop_gradient(z.reshape(-1, z.shape[-1]))
    found = assign(rows, book.codes)
    near = book.codes[found.labels].reshape(z.shape)
    return z + stop_gradient(near - z), rows, found, jnp.mean((z - near) ** 2)


def loss(params, book, images, beta):
    """Reconstruction and commitment; besides, what the codebook learns from."""
    tokens, rows, found, lost = quantize(book, encode(params, images, book.codes.shape[1]))
    again = decode(params, tokens)
    return jnp.mean((again - images) ** 2) + beta * lost, (rows, found)


@partial(jax.jit, static_argnames=("lr", "beta", "decay", "least"))
def step(state, images, *, lr=4e-3, beta=0.25, decay=0.97, least=1.0):
    """The state after a batch."""
    gradient, (rows, found) = jax.grad(loss, has_aux=True)(state.params, state.book, images, beta)
    book = codebook.learn(jnp, state.book, rows, found, decay=decay, least=least)
    return adam(state._replace(book=book, step=state.step + 1), gradient, lr)


def adam(state, gradient, lr):
    """One step of Adam."""
    mean = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, state.mean, gradient)
    square = jax.tree.map(lambda s, g: 0.999 * s + 0.001 * g**2, state.square, gradient)
    turn = state.step.astype(jnp.float32)
    rate = lr * jnp.sqrt(1 - 0.999**turn) / (1 - 0.9**turn)
    move = jax.tree.map(
        lambda p, m, s: p - rate * m / (jnp.sqrt(s) + 1e-8), state.params, mean, square
    )
    return state._replace(params=move, mean=mean, square=square)


@jax.jit
def reconstruct(state, images):
    """Images again, and the labels (n, tokens) that they were made from."""
    tokens, _, found, _ = quantize(
        state.book, encode(state.params, images, state.book.codes.shape[1])
    )
    return decode(state.params, tokens), found.labels.reshape(tokens.shape[:-1])
