"""Deep clustering in PyTorch: an encoder, centroids and a temperature, trained together."""

import torch
from torch import nn

from kmeans_fx import pairwise_distances, soft_assign


class Clusterer(nn.Module):
    """Clusters of what a small network makes of the rows; at first, of the rows themselves."""

    def __init__(self, fit, hidden=256):
        super().__init__()
        d, n = fit.centroids.shape[-1], fit.labels.shape[-1]
        self.bend = nn.Sequential(nn.Linear(d, hidden), nn.ReLU(), nn.Linear(hidden, d))
        nn.init.zeros_(self.bend[-1].weight)
        nn.init.zeros_(self.bend[-1].bias)
        self.centroids = nn.Parameter(fit.centroids.clone())
        self.log_temperature = nn.Parameter((fit.inertia / n / 4).log())

    def encode(self, x):
        """Latent rows (n, d)."""
        return x + self.bend(x)

    def forward(self, x):
        """Responsibilities (n, k)."""
        temperature = self.log_temperature.exp()
        return soft_assign(self.encode(x), self.centroids, temperature=temperature)


def neighbours(x, m):
    """Indices (n, m) of the nearest other rows."""
    squares = pairwise_distances(x, x).fill_diagonal_(torch.inf)
    return squares.topk(m, largest=False).indices


def disagreement(shares, others):
    """Minus the log of the probability that two rows are of one cluster, on average."""
    return -(shares * others).sum(dim=1).clamp(min=1e-12).log().mean()


def entropy(shares):
    """Of the sizes of the clusters: the log of k if they are equal."""
    sizes = shares.mean(dim=0)
    return -torch.xlogy(sizes, sizes).sum()


def train(model, x, near, *, epochs, balance=2.0, batch=256, lr=1e-3):
    """Adam, so that a row and a near one are of one cluster and no cluster takes all."""
    optimizer = torch.optim.Adam(model.parameters(), lr=lr)
    draws = torch.Generator().manual_seed(0)
    for _ in range(epochs):
        order = torch.randperm(len(x), generator=draws)
        pick = torch.randint(near.shape[1], (len(x),), generator=draws)
        for rows in order.split(batch):
            shares, others = model(x[rows]), model(x[near[rows, pick[rows]]])
            loss = disagreement(shares, others) - balance * entropy(shares)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return model.eval()
