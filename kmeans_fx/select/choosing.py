"""What each criterion of a sweep says."""

from typing import NamedTuple

from kmeans_fx._backend.checks import check_option
from kmeans_fx.select._rules import CHOICES

__all__ = ["Choice", "choose_k"]


class Choice(NamedTuple):
    """An answer and its reason.

    Attributes
    ----------
    k : int or None
        None means that there is no clear answer.
    reason : str
        One sentence.
    method : str
        The criterion.
    """

    k: int | None
    reason: str
    method: str


def choose_k(sweep, /, *, method="elbow"):
    """What a criterion says about the number of clusters, and why.

    Parameters
    ----------
    sweep : Sweep
        With values that can be read: not under a trace.
    method : {"elbow", "silhouette", "gap", "davies_bouldin", "calinski_harabasz"}
        Which criterion; see the notes.

    Returns
    -------
    Choice

    Raises
    ------
    ImportError
        If the elbow is asked for and kneed is not installed (the extra ``select``).
    ValueError
        If ``method`` is unknown, or the sweep holds no values for it.

    Notes
    -----
    ``k`` is None, "no clear answer", in these cases:

    - ``"elbow"``: the inertia does not fall, or kneed finds no knee [2]_.
    - ``"silhouette"``, ``"calinski_harabasz"`` (maxima) and ``"davies_bouldin"`` (minimum):
      the best k is the largest one tried, or the smallest one tried and above 2, so that
      better ones may lie outside. For the silhouette also if the maximum is 0.25 or less,
      "no substantial structure" in [3]_ (chapter 2, table 4).
    - ``"gap"``: no k has Gap(k) >= Gap(k') - s_k' with k' the next one, the rule of [1]_
      (section 4): the gap rises to the end. Of all the criteria only this one can answer 1.

    References
    ----------
    .. [1] R. Tibshirani, G. Walther, T. Hastie, "Estimating the number of clusters in a
       data set via the gap statistic", J. R. Statist. Soc. B 63(2), 2001.
    .. [2] V. Satopaa, J. Albrecht, D. Irwin, B. Raghavan, "Finding a 'kneedle' in a
       haystack", ICDCS Workshops 2011.
    .. [3] L. Kaufman, P. J. Rousseeuw, "Finding groups in data", Wiley 1990.

    Examples
    --------
    >>> import numpy as np
    >>> from kmeans_fx.select import choose_k, sweep
    >>> x = np.array([[0.0], [1.0], [20.0], [21.0], [40.0], [41.0]])
    >>> choose_k(sweep(x, range(1, 6), key=0), method="silhouette").k
    3
    """
    check_option("method", method, CHOICES)
    ks = [int(sweep.ks[i]) for i in range(sweep.ks.shape[0])]
    return Choice(*CHOICES[method](ks, sweep), method)
