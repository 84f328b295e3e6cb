"""Books (.epub): the chapters in reading order, each as the page it is."""

import posixpath
from collections.abc import Iterator
from urllib.parse import unquote
from zipfile import ZipFile

from lxml import etree

from ingest.errors import Unreadable
from ingest.readers import html, markup
from ingest.readers.archive import DAMAGE, TooLarge, open_archive, unpack
from ingest.readers.stated import stated
from ingest.types import Draft, Extract, File, Stated

LARGEST_PART_BYTES = 64 * 1024 * 1024
LARGEST_BOOK_BYTES = 256 * 1024 * 1024
CONTAINER, ENCRYPTION = "META-INF/container.xml", "META-INF/encryption.xml"
PAGES = ("application/xhtml+xml", "text/html", "application/x-dtbook+xml")
FONT_SCRAMBLING = ("http://www.idpf.org/2008/embedding", "http://ns.adobe.com/pdf/enc#RC")

Elements = list[etree._Element]


def read(file: File) -> Extract:
    """Read a book, chapter by chapter; Unreadable if it is damaged or locked against copying."""
    with open_archive(file.data) as archive:
        book = _Book(archive)
        if book.is_locked():
            raise Unreadable("It is locked against copying (DRM). Get it without.")
        title, says, chapters = book.contents()
        draft, unread = Draft(), []
        for chapter in chapters:
            try:
                page = markup.parse(html.decode(book.part(chapter)), xml=True)
            except Unreadable as problem:
                unread.append(f"{chapter}: {problem}")
                continue
            html.add(page, draft)
    return draft.finish(title, unread=unread, stated=says)


class _Book:
    """The parts of a book, by their paths in its archive."""

    def __init__(self, archive: ZipFile) -> None:
        self._archive = archive
        self._names = {name.casefold(): name for name in archive.namelist()}
        self._left = LARGEST_BOOK_BYTES

    def has(self, path: str) -> bool:
        return path.casefold() in self._names

    def part(self, path: str) -> bytes:
        """Return what a part holds; Unreadable if it is missing, damaged or too large."""
        if not self.has(path):
            raise Unreadable("The book names a part that is not in it.")
        info = self._archive.getinfo(self._names[path.casefold()])
        try:
            data = unpack(self._archive, info, min(LARGEST_PART_BYTES, self._left))
        except TooLarge as problem:
            raise Unreadable("A part of the book unpacks to too much.") from problem
        except (*DAMAGE, NotImplementedError, RuntimeError) as problem:
            raise Unreadable(f"A part of the book is damaged ({problem}).") from problem
        self._left -= len(data)
        return data

    def is_locked(self) -> bool:
        """Whether anything but fonts is encrypted."""
        if not self.has(ENCRYPTION):
            return False
        methods = _named(_xml(self.part(ENCRYPTION)), "EncryptionMethod")
        return any(method.get("Algorithm") not in FONT_SCRAMBLING for method in methods)

    def contents(self) -> tuple[str, Stated, list[str]]:
        """Return the title, the day and subjects, and the paths of the chapters in order."""
        roots = _named(_xml(self.part(CONTAINER)), "rootfile")
        path = next((root.get("full-path", "") for root in roots), "")
        package = _xml(self.part(path))
        title = next((str(t.text or "") for t in _named(package, "title")), "")
        items = {item.get("id"): item for item in _named(package, "item")}
        spine = [items.get(ref.get("idref")) for ref in _named(package, "itemref")]
        folder = posixpath.dirname(path)
        return title, _stated(package), list(_chapters(spine, folder))


def _stated(package: etree._Element) -> Stated:
    """Return when a book was changed last or came out, and its subjects."""
    changed = [m for m in _named(package, "meta") if m.get("property") == "dcterms:modified"]
    dates = (node.text or "" for node in [*changed, *_named(package, "date")])
    return stated(dates, (node.text or "" for node in _named(package, "subject")))


def _chapters(spine: list[etree._Element | None], folder: str) -> Iterator[str]:
    seen: set[str] = set()
    for item in spine:
        if item is None or item.get("media-type") not in PAGES or item.get("properties") == "nav":
            continue
        href = unquote(item.get("href", "").partition("#")[0])
        path = posixpath.normpath(posixpath.join(folder, href))
        if path not in seen:
            seen.add(path)
            yield path


def _named(root: etree._Element, name: str) -> Elements:
    """Return the elements of a name, in whatever namespace."""
    return [e for e in root.iter() if isinstance(e.tag, str) and etree.QName(e).localname == name]


def _xml(data: bytes) -> etree._Element:
    """Parse XML that may be hostile: no entities, nothing fetched, no endless trees."""
    parser = etree.XMLParser(resolve_entities=False, no_network=True, huge_tree=False)
    try:
        return etree.fromstring(data, parser)
    except (etree.XMLSyntaxError, ValueError) as problem:
        raise Unreadable(f"It is a damaged book ({problem}).") from problem
