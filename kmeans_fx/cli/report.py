"""The report: one HTML file with everything in it, put together from plain data."""

import base64
import struct
from typing import Any, NamedTuple

from jinja2 import Environment, PackageLoader, StrictUndefined

_NOTES = {
    "elbow": "More clusters always lower it; the question is where it stops to pay.",
    "gap": "How far below that of rows without clusters the inertia lies, on a log scale.",
    "silhouette": "High is good.",
    "davies_bouldin": "Low is good.",
    "calinski_harabasz": "High is good.",
    "profile": "Red is above the mean of a column, blue below.",
    "clusters": "Clusters that overlap here may be apart in other directions.",
    "silhouettes": "Rows below 0 are nearer to another cluster than to their own.",
    "agreement": "1 is the same clusters, 0 no more than chance.",
    "before_after": "Every pixel has the colour of its cluster.",
}


class Table(NamedTuple):
    """A table of texts.

    Attributes
    ----------
    caption : str
    heading : list of str
    rows : list of list of str
        The first cell of a row is its heading.
    numbers : set of int
        Columns that are set flush right.
    taken : int or None
        A row to mark.
    """

    caption: str
    heading: list
    rows: list
    numbers: Any = ()
    taken: int | None = None


class Section(NamedTuple):
    """A heading and what stands below it: sentences, tables, pictures, terms and meanings."""

    title: str
    texts: Any = ()
    tables: Any = ()
    pictures: Any = ()
    terms: Any = ()


def render(title, about, short, sections):
    """The report as text. All words are escaped: names may hold any characters."""
    environment = Environment(
        loader=PackageLoader("kmeans_fx.cli"),
        autoescape=True,
        undefined=StrictUndefined,
        keep_trailing_newline=True,
    )
    sections = [
        section._replace(pictures=[_inlined(picture) for picture in section.pictures])
        for section in sections
    ]
    template = environment.get_template("report.html")
    return template.render(title=title, about=about, short=short, sections=sections)


def _inlined(picture):
    """What the template shows of a picture."""
    # The header of a PNG file: 8 bytes of signature, 8 of the first chunk, width and height.
    width, height = struct.unpack(">II", picture.png[16:24])
    return {
        "title": picture.title,
        "alt": picture.alt,
        "note": _NOTES[picture.name],
        "base64": base64.b64encode(picture.png).decode("ascii"),
        "width": width,
        "height": height,
    }
