"""PowerPoint presentations (.pptx): a page for each slide, in the order one reads it."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from ingest.errors import Unreadable
from ingest.readers.drawing import graphics, paragraphs, table_rows
from ingest.readers.items import quotable
from ingest.readers.package import Element, Package, Relation, child, chosen, link, local, value
from ingest.types import Draft, Extract, File, Page, PageState

TITLES = ("title", "ctrTitle")
RUNNING = ("dt", "sldNum", "ftr", "hdr")
SHAPES = frozenset("sp grpSp graphicFrame pic cxnSp AlternateContent contentPart".split())
SAME_LINE = 0.05
"""Shapes whose tops differ by less than this share of the slide's height stand side by side."""
HEIGHT = 6_858_000  # the usual slide, in EMU

Place = tuple[int, int]
"""Top and left, in EMU."""


@dataclass(slots=True)
class Slide:
    """What is on a slide."""

    title: str = ""
    lines: list[str] = field(default_factory=list)
    tables: int = 0
    pictures: int = 0

    @property
    def state(self) -> PageState:
        """What becomes of it as a page; what only pictures show is not read."""
        if self.title or self.lines:
            return PageState.TEXT
        return PageState.IMAGE if self.pictures else PageState.EMPTY


def read(file: File) -> Extract:
    """Read a .pptx; Unreadable if it is damaged, an attack, or holds no text."""
    try:
        return _Presentation(Package(file.data)).extract()
    except RecursionError as problem:
        raise Unreadable("Its parts are nested too deeply to be read. Is it damaged?") from problem


class _Presentation:
    """One presentation while it is read."""

    def __init__(self, package: Package) -> None:
        self._package = package
        self._name = package.main("ppt/presentation.xml")
        self._root = package.tree(self._name)
        self._draft = Draft()
        self._states: list[PageState] = []
        self._hidden: list[int] = []
        self._comments = 0
        self._places: dict[str, dict[str, Place]] = {}

    def extract(self) -> Extract:
        relations = self._package.relations(self._name)
        slides = self._root.iterfind("{*}sldIdLst/{*}sldId")
        parts = [relations[link(s)].target for s in slides if link(s) in relations]
        for number, part in enumerate(parts, start=1):
            self._add(number, part)
        extract = self._draft.finish(
            self._package.title(),
            warnings=self._warnings(),
            unread=self._unread(),
            stated=self._package.stated(),
        )
        if not extract.blocks:
            raise Unreadable(_nothing(self._states))
        return quotable(extract)

    def _add(self, number: int, part: str) -> None:
        root = self._package.optional(part)
        if root is None:
            self._start(Page(PageState.FAILED))
            return
        if root.get("show") in ("0", "false"):
            self._hidden.append(number)
        relations = self._package.relations(part)
        slide = Slide()
        layout = self._layout(relations)
        for shape in _ordered(child(root, "cSld", "spTree"), layout):
            self._take(shape, relations, slide)
        self._start(Page(slide.state, tables=slide.tables))
        _promote(slide)
        self._draft.tables += slide.tables
        self._draft.add(slide.title, 1)
        for line in [*slide.lines, *self._notes(relations)]:
            self._draft.add(line)

    def _start(self, page: Page) -> None:
        self._draft.start_page(page)
        self._states.append(page.state)

    def _take(self, shape: Element, relations: dict[str, Relation], slide: Slide) -> None:
        """Add what a shape says to its slide."""
        name = local(shape)
        if name == "AlternateContent":
            self._take_alternative(shape, relations, slide)
        elif name == "grpSp":
            for inner in _ordered(shape, {}):
                self._take(inner, relations, slide)
        elif name == "graphicFrame":
            self._take_frame(shape, relations, slide)
        elif name == "pic" or shape.find("{*}spPr/{*}blipFill") is not None:
            slide.pictures += 1
        if name == "sp":
            _take_text(shape, slide)

    def _take_alternative(
        self, node: Element, relations: dict[str, Relation], slide: Slide
    ) -> None:
        for option in chosen(node):
            tried = Slide()
            for shape in _ordered(option, {}):
                self._take(shape, relations, tried)
            if tried.title or tried.lines:
                slide.title = slide.title or tried.title
                slide.lines += tried.lines
                slide.tables += tried.tables
                return
        slide.pictures += 1

    def _take_frame(self, frame: Element, relations: dict[str, Relation], slide: Slide) -> None:
        for table in frame.iter("{*}tbl"):
            slide.tables += 1
            slide.lines += table_rows(table)
        drawn = graphics(frame, self._package, relations)
        slide.lines += drawn
        slide.pictures += not drawn and next(frame.iter("{*}pic"), None) is not None

    def _notes(self, relations: dict[str, Relation]) -> list[str]:
        """Return the speaker's notes, and count the comments."""
        lines: list[str] = []
        for relation in relations.values():
            root = (
                self._package.optional(relation.target) if relation.kind == "notesSlide" else None
            )
            for shape in root.iter("{*}sp") if root is not None else ():
                if _placeholder(shape) == "body":
                    lines += paragraphs(shape)
            self._comments += relation.kind == "comments"
        return [f"Notes: {lines[0]}", *lines[1:]] if lines else []

    def _layout(self, relations: dict[str, Relation]) -> dict[str, Place]:
        """Return where a slide's layout and its master put each placeholder."""
        part = next((r.target for r in relations.values() if r.kind == "slideLayout"), "")
        if part not in self._places:
            inner = self._package.relations(part)
            master = next((r.target for r in inner.values() if r.kind == "slideMaster"), "")
            self._places[part] = {**self._placed(master), **self._placed(part)}
        return self._places[part]

    def _placed(self, part: str) -> dict[str, Place]:
        root = self._package.optional(part)
        found: dict[str, Place] = {}
        for shape in root.iter("{*}sp") if root is not None else ():
            place = _own_place(shape)
            for key in _keys(shape) if place else ():
                found[key] = place or (0, 0)
        return found

    def _warnings(self) -> list[str]:
        warnings = self._package.warnings()
        if self._hidden:
            numbers = ", ".join(map(str, self._hidden))
            warnings.append(f"It has hidden slides, which are read: {numbers}.")
        if self._comments:
            warnings.append("It has comments, which are not read.")
        return warnings

    def _unread(self) -> list[str]:
        unread = list(self._package.unread)
        if images := self._states.count(PageState.IMAGE):
            what = "1 slide is an image" if images == 1 else f"{images} slides are images"
            unread.append(f"{what}. Save it as PDF and run OCR over it.")
        return unread


def _nothing(states: list[PageState]) -> str:
    if PageState.IMAGE in states:
        return "It holds no text: its slides are images. Save it as PDF and run OCR over it."
    return "It holds no text." if states else "It holds no slides. Is it damaged?"


def _ordered(tree: Element | None, layout: dict[str, Place]) -> list[Element]:
    """Return shapes from top to bottom, and from left to right what stands side by side.

    A shape that is nowhere stands where the one before it does.
    """
    place: Place = (0, 0)
    placed: list[tuple[Place, Element]] = []
    for shape in tree if tree is not None else ():
        if local(shape) in SHAPES:
            place = _place(shape, layout) or place
            placed.append((place, shape))
    placed.sort(key=lambda item: item[0][0])
    lines: list[list[tuple[Place, Element]]] = []
    for item in placed:
        if not lines or item[0][0] - lines[-1][0][0][0] > SAME_LINE * HEIGHT:
            lines.append([])
        lines[-1].append(item)
    return [shape for line in lines for _, shape in sorted(line, key=lambda item: item[0][1])]


def _place(shape: Element, layout: dict[str, Place]) -> Place | None:
    own = _own_place(shape)
    return own or next((layout[key] for key in _keys(shape) if key in layout), None)


def _own_place(shape: Element) -> Place | None:
    if local(shape) == "AlternateContent":
        return next(filter(None, (_own_place(s) for option in chosen(shape) for s in option)), None)
    offset = shape.find("{*}xfrm/{*}off")
    if offset is None:
        offset = shape.find("{*}spPr/{*}xfrm/{*}off")
    if offset is None:
        offset = shape.find("{*}grpSpPr/{*}xfrm/{*}off")
    try:
        return (int(value(offset, "y")), int(value(offset, "x"))) if offset is not None else None
    except ValueError:
        return None


def _keys(shape: Element) -> Iterator[str]:
    """Yield what a placeholder is known by to its layout, the surest first."""
    mark = _mark(shape)
    if mark is not None:
        if mark.get("idx"):
            yield f"#{mark.get('idx')}"
        yield _placeholder(shape)


def _mark(shape: Element) -> Element | None:
    return shape.find("{*}nvSpPr/{*}nvPr/{*}ph")


def _placeholder(shape: Element) -> str:
    """Return the kind of a placeholder, "" for other shapes."""
    mark = _mark(shape)
    if mark is None:
        return ""
    kind = mark.get("type") or "body"
    return "title" if kind in TITLES else kind


def _take_text(shape: Element, slide: Slide) -> None:
    kind, body = _placeholder(shape), child(shape, "txBody")
    if body is None or kind in RUNNING:
        return
    if kind == "title" and not slide.title:
        slide.title = " ".join(" ".join(paragraphs(body)).split())
    else:
        slide.lines += paragraphs(body)


def _promote(slide: Slide) -> None:
    """Take a short first line for the title of a slide that has none.

    Otherwise the slide would stand under the title of the one before.
    """
    if (
        not slide.title
        and len(slide.lines) > 1
        and len(slide.lines[0]) <= 80
        and " | " not in slide.lines[0]
    ):
        slide.title = slide.lines.pop(0)
