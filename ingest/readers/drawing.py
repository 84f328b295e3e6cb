"""DrawingML: what text frames, tables, charts and diagrams say, in any Office program."""

from collections.abc import Iterator

from ingest.readers.equations import equation
from ingest.readers.items import row_line
from ingest.readers.package import Element, Package, Relation, chosen, link, local


def paragraphs(frame: Element) -> list[str]:
    """Return the text of each paragraph of a text frame."""
    found = ("".join(_inline(node)).strip() for node in frame.iter("{*}p"))
    return [text for text in found if text]


def table_rows(table: Element) -> list[str]:
    """Return each row as its cells, what a merged cell covers left empty."""
    rows = []
    for row in table.iterfind("{*}tr"):
        cells = [
            "" if covered(cell) else " ".join(paragraphs(cell)) for cell in row.iterfind("{*}tc")
        ]
        rows.append(row_line(cells))
    return [row for row in rows if row]


def covered(cell: Element) -> bool:
    """Return whether a cell is only there because another reaches over it."""
    return "1" in (cell.get("hMerge"), cell.get("vMerge")) or "true" in (
        cell.get("hMerge"),
        cell.get("vMerge"),
    )


def graphics(frame: Element, package: Package, relations: dict[str, Relation]) -> list[str]:
    """Return what the charts and diagrams below an element say."""
    found: list[str] = []
    for node in frame.iter("{*}chart", "{*}relIds"):
        relation = relations.get(link(node, "id" if local(node) == "chart" else "dm"))
        root = package.optional(relation.target) if relation else None
        if root is not None:
            found += _chart(root) if local(node) == "chart" else paragraphs(root)
    return found


def _chart(root: Element) -> list[str]:
    """Return a chart's titles, then a line for each series: its name, categories and values."""
    lines = [" ".join(paragraphs(title)) for title in root.iter("{*}title")]
    for series in root.iter("{*}ser"):
        name = " ".join(_points(series, "tx"))
        categories = _points(series, "cat") or _points(series, "xVal")
        values = _points(series, "val") or _points(series, "yVal")
        pairs = [f"{a}: {b}" for a, b in zip(categories, values, strict=False)]
        lines.append(row_line([name, *(pairs or categories or values)]))
    return [line for line in lines if line]


def _points(series: Element, name: str) -> list[str]:
    """Return the stored points of one part of a series, in order."""
    found = series.find(f"{{*}}{name}")
    texts = (v.text for v in found.iter("{*}v")) if found is not None else ()
    return [text.strip() for text in texts if text and text.strip()]


def _inline(node: Element) -> Iterator[str]:
    for part in node:
        name = local(part)
        if name == "t":
            yield part.text or ""
        elif name == "br":
            yield "\n"
        elif name == "tab":
            yield "\t"
        elif name == "oMath":
            yield equation(part)
        elif name == "AlternateContent":
            yield next(filter(None, ("".join(_inline(option)) for option in chosen(part))), "")
        elif name not in ("pPr", "rPr", "endParaRPr"):
            yield from _inline(part)
