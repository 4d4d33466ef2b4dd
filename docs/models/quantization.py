"""Product quantisation: the columns in m parts, each with a codebook of its own.

Pure functions of arrays of any library: one call of ``kmeans`` fits all m codebooks.
"""

from kmeans_fx import assign, kmeans, pairwise_distances


def parts(x, m):
    """Rows (n, d) as m problems (m, n, d / m)."""
    return x.reshape((x.shape[0], m, -1)).swapaxes(0, 1)


def fit(x, m, k, *, key, max_iter=25):
    """Codebooks (m, k, d / m)."""
    return kmeans(parts(x, m), k, key=key, max_iter=max_iter).centroids


def encode(x, books):
    """Codes (m, n) of rows (n, d)."""
    return assign(parts(x, books.shape[0]), books).labels


def search(queries, codes, books):
    """Squared distances (q, n) of exact queries to coded rows, from tables of (m, q, k)."""
    tables = pairwise_distances(parts(queries, books.shape[0]), books)
    return sum(table[:, code] for table, code in zip(tables, codes, strict=True))
