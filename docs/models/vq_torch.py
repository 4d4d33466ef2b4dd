"""A vector-quantised autoencoder in PyTorch."""

import array_api_compat.torch as xp
import torch
from torch import nn

from kmeans_fx import assign, straight_through_assign

from . import codebook


class Quantizer(nn.Module):
    """Every row becomes the nearest of k codes; in training the codes follow the rows."""

    def __init__(self, k, d, *, decay=0.97, least=1.0, reduce=None):
        super().__init__()
        self.rule = {"decay": decay, "least": least, "reduce": reduce}
        self.register_buffer("codes", torch.zeros(k, d))
        self.register_buffer("sums", torch.zeros(k, d))
        self.register_buffer("counts", torch.zeros(k))
        self.register_buffer("inertia", torch.zeros(()))

    def book(self):
        """The buffers as a codebook."""
        stats = codebook.ClusterStats(self.sums, self.counts, self.inertia)
        return codebook.Codebook(self.codes, stats)

    @torch.no_grad()
    def keep(self, book):
        """Write a codebook into the buffers."""
        for buffer, value in zip(
            (self.codes, *self.book().stats), (book.codes, *book.stats), strict=True
        ):
            buffer.copy_(value)

    def start(self, z, key):
        """Choose the first codes among the rows of a batch."""
        rows, k = flat(z).detach(), self.codes.shape[0]
        self.keep(codebook.start(rows, k, key, self.rule["reduce"]))

    def forward(self, z):
        """Rows (..., d) as codes, their labels (...), and the mean square of what was lost."""
        rows = flat(z)
        codes = self.codes.clone()  # for the backward pass: the buffers are about to change
        found = assign(rows.detach(), codes)
        if self.training:
            self.keep(codebook.learn(xp, self.book(), rows.detach(), found, **self.rule))
        near = codes[found.labels].reshape(z.shape)
        commitment = (z.float() - near).square().mean()
        return z + (near - z).detach(), found.labels.reshape(z.shape[:-1]), commitment


class LearnedQuantizer(nn.Module):
    """The same by gradients: codes and temperature are parameters of the model."""

    def __init__(self, codes, temperature=1.0):
        super().__init__()
        self.codes = nn.Parameter(codes.clone())
        self.log_temperature = nn.Parameter(torch.tensor(float(temperature)).log())

    def forward(self, z):
        """As `Quantizer`; the derivative is that of soft assignment."""
        rows, temperature = flat(z), self.log_temperature.exp()
        chosen = straight_through_assign(rows, self.codes, temperature=temperature)
        near = (chosen @ self.codes).reshape(z.shape)
        return near, chosen.argmax(dim=-1).reshape(z.shape[:-1]), (z.float() - near).square().mean()


def flat(z):
    """Rows (n, d) in the precision that the codebook is kept in."""
    return z.reshape(-1, z.shape[-1]).float()


class Autoencoder(nn.Module):
    """Images of 64 pixels as a few tokens, each one of k codes."""

    def __init__(self, quantizer=None, *, tokens=4, d=4, hidden=128):
        super().__init__()
        self.encode = nn.Sequential(
            nn.Linear(64, hidden),
            nn.ReLU(),
            nn.Linear(hidden, tokens * d),
            nn.Unflatten(-1, (tokens, d)),
        )
        self.quantize = quantizer
        self.decode = nn.Sequential(
            nn.Flatten(-2),
            nn.Linear(tokens * d, hidden),
            nn.ReLU(),
            nn.Linear(hidden, 64),
        )

    def forward(self, images):
        """Images again, their labels (n, tokens), and what the tokens lost to the codes."""
        near, labels, lost = self.quantize(self.encode(images))
        return self.decode(near), labels, lost


def train(model, images, *, epochs, batch=256, lr=4e-3, beta=0.25):
    """Adam on reconstruction and commitment; the same batches at every call."""
    optimizer = torch.optim.Adam(model.parameters(), lr=lr)
    draws = torch.Generator().manual_seed(0)
    for _ in range(epochs):
        order = torch.randperm(len(images), generator=draws)
        for rows in order[: len(images) // batch * batch].split(batch):
            again, _, lost = model(images[rows])
            loss = (again - images[rows]).square().mean() + beta * lost
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return model.eval()
