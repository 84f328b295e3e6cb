"""Equations of Office files (OMML) on one line, as one would type them."""

from ingest.readers.package import Element, child, local, value

SPLIT = frozenset(" +-−=<>·×*/^_,")


def equation(node: Element) -> str:
    """Return an equation's text: “x = (-b ± √(b^2-4ac))/(2a)”."""
    write = WRITERS.get(local(node))
    if write:
        return write(node)
    if local(node) == "t":
        return node.text or ""
    return "".join(equation(part) for part in node)


def _part(node: Element, name: str) -> str:
    found = child(node, name)
    return equation(found).strip() if found is not None else ""


def _tight(text: str) -> str:
    """Return text that stays together next to an operator."""
    return f"({text})" if SPLIT & set(text) and not text.startswith("(") else text


def _fraction(node: Element) -> str:
    return f"{_tight(_part(node, 'num'))}/{_tight(_part(node, 'den'))}"


def _scripts(node: Element) -> str:
    below, above = _part(node, "sub"), _part(node, "sup")
    low = f"_{_tight(below)}" if below else ""
    return f"{_part(node, 'e')}{low}{f'^{_tight(above)}' if above else ''}"


def _root(node: Element) -> str:
    return f"{_part(node, 'deg')}√({_part(node, 'e')})"


def _fenced(node: Element) -> str:
    looks = child(node, "dPr")
    begin, end = child(looks, "begChr"), child(looks, "endChr")
    inside = ", ".join(equation(part) for part in node if local(part) == "e")
    return f"{'(' if begin is None else value(begin)}{inside}{')' if end is None else value(end)}"


def _sum(node: Element) -> str:
    sign = child(node, "naryPr", "chr")
    below, above = _part(node, "sub"), _part(node, "sup")
    limits = (f"_{_tight(below)}" if below else "") + (f"^{_tight(above)}" if above else "")
    return f"{'∫' if sign is None else value(sign)}{limits} {_part(node, 'e')}"


WRITERS = {
    "f": _fraction,
    "sSup": _scripts,
    "sSub": _scripts,
    "sSubSup": _scripts,
    "rad": _root,
    "d": _fenced,
    "nary": _sum,
}
