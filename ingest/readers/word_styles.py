"""What Word's styles and lists add to a paragraph: its heading level and its number."""

import re
from dataclasses import dataclass, field

from ingest.readers.package import Element, child, local, value

HEADING = re.compile(r"heading ([1-9])$", re.IGNORECASE)
DEEPEST = 6
ROMAN = list(zip(
    (1000, 900, 500, 400, 100, 90, 50, 40, 10, 9, 5, 4, 1),
    ("m", "cm", "d", "cd", "c", "xc", "l", "xl", "x", "ix", "v", "iv", "i"),
    strict=True,
))  # fmt: skip


@dataclass(frozen=True, slots=True)
class Style:
    """What a paragraph style says, itself or by the style it is based on."""

    name: str = ""
    level: int = 0
    list_id: str = ""
    list_level: int = 0


class Styles:
    """The paragraph styles of a document by their id."""

    def __init__(self, root: Element | None) -> None:
        nodes = root if root is not None else ()
        self._nodes = {value(node, "styleId"): node for node in nodes if local(node) == "style"}
        self._known: dict[str, Style] = {}

    def get(self, style_id: str) -> Style:
        """Return a style, a plain one if there is none of that id."""
        if style_id not in self._known:
            self._known[style_id] = self._resolved(style_id)
        return self._known[style_id]

    def level(self, paragraph: Element) -> int:
        """Return a paragraph's heading level, 0 for running text."""
        properties = child(paragraph, "pPr")
        own = _outline(properties)
        return own if own is not None else self.get(style_id(paragraph)).level

    def _resolved(self, style_id: str) -> Style:
        """Follow what a style is based on, however many styles claim to be each other's base."""
        name, level, list_id, list_level = "", None, "", 0
        seen: set[str] = set()
        while style_id not in seen and (node := self._nodes.get(style_id)) is not None:
            seen.add(style_id)
            own = value(child(node, "name"))
            name = name or own
            properties = child(node, "pPr")
            if level is None:
                level = _named(own) or _outline(properties)
            number = child(properties, "numPr")
            if not list_id and number is not None:
                list_id = value(child(number, "numId"))
                list_level = _int(value(child(number, "ilvl")))
            style_id = value(child(node, "basedOn"))
        return Style(name, level or 0, list_id, list_level)


def style_id(paragraph: Element) -> str:
    """Return the id of a paragraph's style."""
    return value(child(paragraph, "pPr", "pStyle"))


def _outline(properties: Element | None) -> int | None:
    """Return the heading level that properties set; 9 stands for running text."""
    found = child(properties, "outlineLvl")
    if found is None:
        return None
    level = _int(value(found), 9)
    return min(level + 1, DEEPEST) if level < 9 else 0


def _named(name: str) -> int:
    if name.lower() == "title":
        return 1
    found = HEADING.match(name)
    return min(int(found[1]), DEEPEST) if found else 0


def _int(text: str, default: int = 0) -> int:
    return int(text) if re.fullmatch(r"-?\d{1,9}", text) else default


@dataclass(slots=True)
class Level:
    """How one level of a list is numbered: `pattern` is like “%1.%2”."""

    kind: str
    pattern: str
    start: int


@dataclass(slots=True)
class List:
    """A kind of list, shared by all that count on together."""

    levels: dict[int, Level] = field(default_factory=dict)
    by_style: dict[str, int] = field(default_factory=dict)
    counts: dict[int, int] = field(default_factory=dict)


class Numbers:
    """Counts the paragraphs of numbered lists, as Word shows them but does not store them."""

    def __init__(self, root: Element | None, styles: Styles) -> None:
        self._styles = styles
        self._lists: dict[str, List] = {}
        self._used: dict[str, str] = {}
        self._restarts: dict[str, dict[int, int]] = {}
        for node in root if root is not None else ():
            if local(node) == "abstractNum":
                self._lists[value(node, "abstractNumId")] = _list(node)
            elif local(node) == "num":
                self._add_use(node)

    def label(self, paragraph: Element) -> str:
        """Return a paragraph's number, “3.2” or “(a)”, and count on; "" if it has none."""
        style = style_id(paragraph)
        of_style = self._styles.get(style)
        own = child(paragraph, "pPr", "numPr")
        use = value(child(own, "numId")) or of_style.list_id
        shape = self._lists.get(self._used.get(use, ""))
        if shape is None:
            return ""
        level = _int(value(child(own, "ilvl")), shape.by_style.get(style, of_style.list_level))
        return self._count(use, shape, level)

    def _count(self, use: str, shape: List, level: int) -> str:
        look = shape.levels.get(level)
        if look is None:
            return ""
        restart = self._restarts.get(use, {}).pop(level, None)
        if restart is not None:
            shape.counts[level] = restart
        else:
            shape.counts[level] = shape.counts.get(level, look.start - 1) + 1
        for deeper in [other for other in shape.counts if other > level]:
            del shape.counts[deeper]
        if look.kind in ("bullet", "none"):
            return ""
        return re.sub(r"%([1-9])", lambda found: _shown(shape, int(found[1]) - 1), look.pattern)

    def _add_use(self, node: Element) -> None:
        use = value(node, "numId")
        self._used[use] = value(child(node, "abstractNumId"))
        for override in (part for part in node if local(part) == "lvlOverride"):
            start = child(override, "startOverride")
            if start is not None:
                level = _int(value(override, "ilvl"))
                self._restarts.setdefault(use, {})[level] = _int(value(start), 1)


def _list(node: Element) -> List:
    found = List()
    for part in (part for part in node if local(part) == "lvl"):
        number = _int(value(part, "ilvl"))
        kind = value(child(part, "numFmt")) or "decimal"
        start = _int(value(child(part, "start")), 1)
        found.levels[number] = Level(kind, value(child(part, "lvlText")), start)
        if linked := value(child(part, "pStyle")):
            found.by_style[linked] = number
    return found


def _shown(shape: List, level: int) -> str:
    look = shape.levels.get(level)
    if look is None:
        return ""
    count = shape.counts.setdefault(level, look.start)
    if look.kind.endswith("Letter"):
        text = chr(ord("a") + (count - 1) % 26) * ((count - 1) // 26 % 9 + 1) if count > 0 else ""
    elif look.kind.endswith("Roman"):
        text = _roman(count)
    else:
        text = f"0{count}" if look.kind == "decimalZero" and count < 10 else str(count)
    return text.upper() if look.kind.startswith("upper") else text


def _roman(count: int) -> str:
    if not 0 < count < 4000:
        return str(count)
    text = ""
    for worth, letters in ROMAN:
        text += letters * (count // worth)
        count %= worth
    return text
