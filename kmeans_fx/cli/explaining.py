"""A run in plain words and tables: the sections of its report."""

import numpy as np

import kmeans_fx
from kmeans_fx.cli.judging import REFITS, structure, trust_words
from kmeans_fx.cli.pictures import agreement_picture, cluster_pictures, sweep_pictures
from kmeans_fx.cli.report import Section, Table, render
from kmeans_fx.cli.sweeping import says, score_rows
from kmeans_fx.cli.words import SCALED, aligned, count, gaps, some

# Centroids that are so many deviations from the mean are worth a word.
_NOTABLE, _WORDS = 0.5, 3
# Starts that agree so far need no picture of it.
_SAME = 0.995
_TERMS = {
    "Cluster": "A group of similar rows. Its number has no meaning.",
    "Centroid": "The middle of a cluster: for the default distance, the mean of its rows.",
    "Inertia": "Sum of the distances of all rows to their centroids (squared, for sqeuclidean).",
    "Silhouette": (
        "From -1 to 1, for every row: how much nearer it is to its own cluster than to the next "
        "one. Means above 0.7 speak of a strong structure, above 0.5 of a reasonable and above "
        "0.25 of a weak one (Kaufman and Rousseeuw 1990)."
    ),
    "Davies-Bouldin score": "Spread of the clusters over their distance; low is good, 0 is best.",
    "Calinski-Harabasz score": (
        "Spread between over spread within the clusters; high is good. It compares numbers of "
        "clusters for the same rows and means little alone."
    ),
    "Gap": (
        "How far the logarithm of the inertia is below that of rows without clusters (Tibshirani, "
        "Walther and Hastie 2001). The only criterion here that can answer 1."
    ),
    "Jaccard similarity": (
        "Rows in both of two clusters over rows in either. Here the mean over samples drawn anew "
        "from the rows: from 0.75 a cluster is stable, below 0.6 not to be trusted (Hennig 2007)."
    ),
    "Adjusted Rand index": "Agreement of two clusterings: 1 is the same, 0 no more than chance.",
}


def report(job, clusters, quality, trust, swept, sample):
    """The report of a run as the text of an HTML file."""
    k = len(clusters.sizes)
    title = f"{count(k, 'cluster')} in {job.path.name}"
    about = (
        f"{count(len(clusters.labels), 'row')}, {count(len(job.selection.names), 'column')}; "
        f"kmeans_fx {kmeans_fx.__version__}, seed {job.options['seed']}."
    )
    pictures = list(cluster_pictures(job, clusters, quality, sample))
    sections = [
        _the_clusters(job, clusters, [p for p in pictures if p.name != "silhouettes"]),
        *([_how_many(swept)] if swept else []),
        _how_good(quality, [p for p in pictures if p.name == "silhouettes"]),
        _how_stable(trust),
        _what_was_used(job, clusters),
        Section("Words used here", terms=_TERMS.items()),
    ]
    return render(title, about, _in_short(job, clusters, quality, trust, swept), sections)


def _in_short(job, clusters, quality, trust, swept):
    k, sizes = len(clusters.sizes), sorted(clusters.sizes.tolist(), reverse=True)
    yield f"{count(k, 'cluster')}{f'. {swept.reason}' if swept else ', as asked for.'}"
    if k > 1:
        yield f"The largest has {count(sizes[0], 'row')}, the smallest {count(sizes[-1], 'row')}."
    if np.isfinite(quality.silhouette):
        yield f"The mean silhouette is {quality.silhouette:.2f}: {structure(quality.silhouette)}."
    if swept and len({choice.k for choice in swept.choices.values()}) > 1:
        yield f"The criteria disagree: {_answers(swept)}."
    if k > 1:
        worst = int(np.nanargmin(trust.jaccard))
        yield (
            f"The least stable cluster is {worst}, with a Jaccard similarity of "
            f"{trust.jaccard[worst]:.2f}: {trust_words(trust.jaccard[worst])}."
        )
    lost = job.source.rows - len(clusters.labels)
    if lost:
        yield f"{count(lost, 'row')} of {job.source.rows:,} could not be used."


def _answers(swept):
    """Which criteria say which number of clusters."""
    by_k: dict[str, list] = {}
    for name, choice in says(swept):
        answer = "no clear answer" if choice.k is None else str(choice.k)
        by_k.setdefault(answer, []).append(name)
    return "; ".join(f"{answer} ({', '.join(names)})" for answer, names in by_k.items())


def _the_clusters(job, clusters, pictures):
    names, sizes = job.selection.names, clusters.sizes
    shares = [f"{share:.1%}" for share in sizes / sizes.sum()]
    columns = [aligned(column) for column in clusters.centroids.T]
    cosine = job.options["metric"] == "cosine"
    units = "directions of length 1" if cosine else "the units of the file"
    heads = _colours(clusters) if job.source.kind == "image" else map(str, range(len(sizes)))
    rows = list(zip(heads, map("{:,}".format, sizes), shares, *columns, strict=True))
    heading = ["Cluster", "Rows", "Share", *names]
    tables = [Table(f"Sizes, and centroids in {units}", heading, rows, range(len(heading)))]
    if not cosine and len(sizes) > 1:
        words = [[str(i), text] for i, text in enumerate(_apart(job, clusters))]
        tables.append(
            Table("What sets a cluster apart", ["Cluster", "Compared with all rows"], words)
        )
    return Section("The clusters", tables=tables, pictures=pictures)


def _colours(clusters):
    """The numbers of the clusters with the colours that they are."""
    palette = np.clip(np.rint(clusters.centroids), 0, 255).astype(int).tolist()
    for i, colour in enumerate(palette):
        yield {"text": str(i), "colour": "#{:02x}{:02x}{:02x}".format(*colour)}


def _apart(job, clusters):
    """For each cluster, the columns in which its centroid is farthest from the mean."""
    values, names = job.selection.values, job.selection.names
    mean, deviation = np.nanmean(values, axis=0), np.nanstd(values, axis=0)
    away = (clusters.centroids - mean) / np.where(deviation > 0, deviation, 1)
    # The mean goes through the same hands, for as many decimals.
    *texts, means = zip(*map(aligned, np.vstack([clusters.centroids, mean]).T), strict=True)
    for row, cells in zip(away, texts, strict=True):
        order = np.argsort(-np.abs(row), kind="stable")[:_WORDS]
        words = [
            f"{'high' if row[i] > 0 else 'low'} {names[i]} ({cells[i]}, mean {means[i]})"
            for i in order
            if abs(row[i]) >= _NOTABLE
        ]
        yield "; ".join(words) or "near the mean in every column"


def _how_many(swept):
    heading, rows = score_rows(swept.sweep)
    taken = swept.sweep.ks.tolist().index(swept.k)
    answers = [
        [name, "no clear answer" if choice.k is None else str(choice.k), choice.reason]
        for name, choice in says(swept)
    ]
    many = f"Every number of clusters was tried on {count(swept.rows, 'row')}. "
    return Section(
        "How many clusters",
        texts=[f"{many}Criteria look at different things and may disagree. {swept.reason}"],
        tables=[
            Table("Criteria by number of clusters k", heading, rows, range(len(heading)), taken),
            Table("What each criterion says", ["Criterion", "k", "Reason"], answers),
        ],
        pictures=list(sweep_pictures(swept)),
    )


def _how_good(quality, pictures):
    if not np.isfinite(quality.silhouette):
        return Section("How good they are", ["The scores compare clusters: they need two or more."])
    rows = [
        ["Silhouette", f"{quality.silhouette:.3f}", structure(quality.silhouette)],
        ["Davies-Bouldin", f"{quality.davies_bouldin:.3f}", "low is good, 0 is best"],
        ["Calinski-Harabasz", f"{quality.calinski_harabasz:.4g}", "high is good"],
    ]
    table = Table("Scores", ["Score", "Value", "Meaning"], rows, {1})
    where = f"The silhouette is that of {count(len(quality.labels), 'row')}."
    return Section("How good they are", [where], [table], pictures)


def _how_stable(trust):
    rows = [[str(i), f"{value:.2f}", trust_words(value)] for i, value in enumerate(trust.jaccard)]
    text = (
        f"{count(trust.rows, 'row')} were drawn anew {REFITS} times, with replacement, and "
        "clustered: a cluster that is real comes back. Stable does not mean real, though: "
        "one long group may be cut at the same place every time."
    )
    table = Table("Do the clusters come back", ["Cluster", "Jaccard", "Meaning"], rows, {0, 1})
    least, starts = trust.agreement.min(), len(trust.agreement)
    alike = f"{count(starts, 'start')} ended in clusterings that agree to {trust.mean:.2f}"
    texts = [text, f"{alike}, the least alike two to {least:.2f} (adjusted Rand index)."]
    pictures = [] if least > _SAME else [agreement_picture(trust)]
    return Section("How stable they are", texts, [table], pictures)


def _what_was_used(job, clusters):
    selection, options = job.selection, job.options
    facts = [
        ["File", f"{job.path.name} ({job.source.note})"],
        ["Rows", f"{len(selection.values):,} of {job.source.rows:,} used"],
        *([label, text] for label, text in gaps(job.source, selection, options["missing"])),
        ["Columns used", ", ".join(selection.names)],
        *([f"Left out: {name}", reason] for name, reason in selection.left_out.items()),
        *([["Constant", some(selection.constant)]] if selection.constant else []),
        ["Scaled", SCALED[options["scale"]]],
        ["Distance", options["metric"]],
        ["Starts", f"{options['n_init']}, of which the one with the lowest inertia counts"],
        ["Ended", f"after {count(clusters.n_iter, 'iteration')}. {clusters.status}"],
        ["Inertia", f"{clusters.inertia:.6g}"],
        ["Library", f"kmeans_fx {kmeans_fx.__version__} on {options['backend']}"],
        ["Seed", str(options["seed"])],
    ]
    new = (
        "New rows get their cluster from the model file beside this report: "
        "kmeans-fx predict model.npz NEW.csv"
    )
    table = Table("From the file to the clusters", ["What", "How"], facts)
    return Section("What was used", [new], [table])
