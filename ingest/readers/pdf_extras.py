"""What a PDF holds besides its pages' text: fields, notes, files, scripts.

Everything here is read from untrusted structures. What is broken is left out; it costs itself.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, TypeAlias, TypeVar

from pypdf import PdfReader
from pypdf.generic import Destination
from pypdf.types import OutlineType

from ingest.readers.stated import stated
from ingest.types import Member, Stated, clean

SILENT = {"/Link", "/Popup", "/Widget", "/FileAttachment", "/Movie", "/Sound", "/Screen"}
"""Annotations whose /Contents say nothing that is not said elsewhere."""
MOST_ANNOTATIONS = 2_000
"""A page; a form of a hundred fields is a long one."""
MOST_MEMBERS = 1_000
INFO = ("/ModDate", "/CreationDate", "/Keywords")
DEEPEST = 32
"""Parents of a field, up to which its name and value are looked for."""

T = TypeVar("T")
Outline: TypeAlias = Mapping[int, Sequence[tuple[int, str]]]


def attempt(what: Callable[[], T], default: T) -> T:
    """Return what a call gives, or the default if it fails in any way.

    pypdf raises nearly anything on a broken file, RecursionError included; what is asked for
    here is never worth losing the text for.
    """
    try:
        return what()
    except MemoryError:
        raise
    except Exception:
        return default


def annotations(page: Any) -> Iterator[Mapping[str, Any]]:
    """Return a page's annotations that are dictionaries."""
    nothing: list[Any] = []
    listed = attempt(lambda: list(islice(page["/Annots"], MOST_ANNOTATIONS)), nothing)
    for entry in listed:
        found: Any = attempt(entry.get_object, None)
        if isinstance(found, Mapping):
            yield found


class Fields:
    """The form's fields, each told of once, on the first page it stands on."""

    def __init__(self) -> None:
        self._told: set[tuple[str, str]] = set()

    def on(self, page: Any) -> Iterator[str]:
        """Return “name: value” for each field that is filled in."""
        for widget in annotations(page):
            if widget.get("/Subtype") != "/Widget":
                continue
            told = attempt(lambda widget=widget: _field(widget), None)  # type: ignore[misc]
            if told and told not in self._told:
                self._told.add(told)
                yield f"{told[0]}: {told[1]}" if told[0] else told[1]


def _field(widget: Mapping[str, Any]) -> tuple[str, str] | None:
    """Return a field's name and value; None for one that is empty or holds no text."""
    lineage = list(_lineage(widget))
    kind = _first(lineage, "/FT")
    if kind not in ("/Tx", "/Ch", "/Btn"):
        return None
    value = _first(lineage, "/V")
    if isinstance(value, list):
        value = ", ".join(str(item) for item in value)
    elif hasattr(value, "get_data"):
        value = value.get_data().decode("utf-8", "replace")
    text = _line(str(value or ""))
    if kind == "/Btn":
        text = text.removeprefix("/")
        if text == "Off":
            return None
    names = [_line(str(node["/T"])) for node in reversed(lineage) if "/T" in node]
    name = _line(str(_first(lineage, "/TU") or "")) or ".".join(names)
    return (name[:200], text) if text else None


def _lineage(node: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Return a field and what it inherits from."""
    for _ in range(DEEPEST):
        yield node
        parent: Any = node.get("/Parent")
        above = parent.get_object() if parent is not None else None
        if not isinstance(above, Mapping):
            return
        node = above


def _first(lineage: list[Mapping[str, Any]], key: str) -> Any:
    found: Any = next((node[key] for node in lineage if key in node), None)
    return found.get_object() if hasattr(found, "get_object") else found


def notes(page: Any) -> Iterator[str]:
    """Return what is written in a page's notes and comments."""
    for note in annotations(page):
        kind = str(note.get("/Subtype"))
        text = attempt(lambda note=note: _line(str(note.get("/Contents") or "")), "")  # type: ignore[misc]
        if text and kind not in SILENT:
            yield text if kind == "/FreeText" else f"Note: {text}"


def _line(text: str) -> str:
    return " ".join(clean(text).split())


def outline(reader: PdfReader) -> Outline:
    """Return the outline's headings by page, counting from 0: (level, title)."""
    found: dict[int, list[tuple[int, str]]] = {}
    empty: OutlineType = []
    for level, entry in _walk(attempt(lambda: reader.outline, empty)):
        page = attempt(lambda e=entry: reader.get_destination_page_number(e), None)  # type: ignore[misc]
        title = attempt(lambda e=entry: _line(str(e.title or "")), "")  # type: ignore[misc]
        if page is not None and title:
            found.setdefault(page, []).append((level, title))
    return found


def _walk(entries: Any) -> Iterator[tuple[int, Destination]]:
    stack: list[tuple[int, Iterator[object]]] = [(1, iter(entries))]
    while stack:
        level, rest = stack[-1]
        entry = next(rest, None)
        if entry is None:
            stack.pop()
        elif isinstance(entry, list):
            stack.append((level + 1, iter(entry)))
        elif isinstance(entry, Destination):
            yield min(level, 6), entry


def title(reader: PdfReader) -> str:
    """Return the title in the file's own description of itself."""
    return attempt(lambda: str((reader.metadata and reader.metadata.title) or ""), "")


def said(reader: PdfReader) -> Stated:
    """Return the day of the last change, or of the making, and the keywords the file gives."""
    nothing: Mapping[str, Any] = {}
    entries = attempt(lambda: reader.metadata or nothing, nothing)
    texts = {name: attempt(lambda n=name: str(entries.get(n) or ""), "") for name in INFO}  # type: ignore[misc]
    modified, created, keywords = texts.values()
    return stated((modified, created), (keywords,))


def labels(reader: PdfReader) -> list[str]:
    """Return what is printed on each page for a number; empty if the file does not say."""

    def listed() -> list[str]:
        if "/PageLabels" not in reader.root_object:
            return []
        return [_line(label)[:40] for label in reader.page_labels]

    return attempt(listed, [])


def warnings(reader: PdfReader) -> list[str]:
    """Return what the file would do or carry, and is ignored."""
    root = _root(reader)
    names = attempt(lambda: root["/Names"].get_object(), None) or {}
    found = []
    if "/JavaScript" in names or _acts(root.get("/OpenAction")) or _has(root, "/AA"):
        found.append("It carries JavaScript or other actions, which are ignored.")
    return found


def _acts(action: Any) -> bool:
    """Whether an action does more than show a page."""
    kind = attempt(lambda: action.get_object().get("/S"), None)
    return kind is not None and kind != "/GoTo"


def _has(node: Any, key: str) -> bool:
    return bool(attempt(lambda: node[key].get_object(), None))


def unread(reader: PdfReader) -> Iterator[str]:
    """Say so where the pages are only a stand-in for a form in XML (XFA)."""
    root = _root(reader)
    if _has(root, "/NeedsRendering") and attempt(lambda: "/XFA" in root["/AcroForm"], False):
        yield "It is a form in XML (XFA), which is not read: print it to PDF."


def _root(reader: PdfReader) -> Mapping[str, Any]:
    nothing: Mapping[str, Any] = {}
    return attempt(lambda: reader.root_object, nothing)


class Attachments:
    """The files attached to a PDF, taken out as they are asked for."""

    def __init__(self, reader: PdfReader) -> None:
        self._reader = reader

    def __bool__(self) -> bool:
        """Whether there are any."""
        return attempt(lambda: next(iter(self._reader.attachment_list), None), None) is not None

    def __iter__(self) -> Iterator[Member]:
        """Return each file; one that cannot be taken out has its problem with it."""
        nothing: list[Any] = []
        listed = attempt(lambda: list(islice(self._reader.attachment_list, MOST_MEMBERS)), nothing)
        for number, entry in enumerate(listed, start=1):
            name = attempt(lambda e=entry: clean(str(e.name)), "") or f"attachment {number}"  # type: ignore[misc]
            try:
                yield Member(name, bytes(entry.content))
            except MemoryError:
                raise
            except Exception as problem:  # it may be broken in any way; the others go on
                yield Member(name, b"", f"It could not be taken out ({type(problem).__name__}).")
