"""ZIP-based Office files (OOXML, OpenDocument), opened only as far as they are safe.

Nothing outside the file is ever followed, no XML entity is ever expanded, and what unpacks to
too much is refused before it is unpacked.
"""

import io
import posixpath
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, NoReturn
from urllib.parse import unquote
from xml.parsers import expat
from zipfile import BadZipFile, ZipFile, ZipInfo

from lxml import etree

from ingest.errors import Unreadable
from ingest.readers.stated import stated
from ingest.types import Stated

MIB = 1024 * 1024
MOST_UNPACKED = 1024 * MIB
MOST_IN_TREE = 192 * MIB
"""A part that is parsed as a whole; sheets are read row by row and may be larger."""
MOST_MEMBERS = 20_000
BOMB_RATIO = 300
"""Unpacked to packed, of members together; spreadsheets that repeat themselves reach 100."""
BOMB_FROM = 64 * MIB

DAMAGED = (BadZipFile, zlib.error, EOFError, OSError, NotImplementedError, ValueError)
XML_STARTS = (b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff", b"<")

Element = etree._Element


@dataclass(frozen=True, slots=True)
class Relation:
    """How a part names another: `kind` is the last word of its type, `target` a part's name."""

    kind: str
    target: str


class Package:
    """The parts of an Office file by name; names are compared as Office does, without case."""

    def __init__(self, data: bytes) -> None:
        try:
            self._archive = ZipFile(io.BytesIO(data))
        except DAMAGED as problem:
            raise Unreadable(f"It is a damaged Office file ({problem}).") from problem
        members = self._archive.infolist()
        _refuse_bomb(members, len(data))
        self._members = _by_name(members)
        self.unread: list[str] = []
        """What `optional` could not read, in words for the ledger."""
        for name in self._members:
            self._refuse_entities(name)

    def __contains__(self, name: str) -> bool:
        """Return whether there is such a part."""
        return name.lower() in self._members

    def names(self) -> list[str]:
        """Return the names of all parts, in lower case."""
        return list(self._members)

    def stream(self, name: str) -> IO[bytes]:
        """Open a part; Unreadable if it is missing or damaged."""
        member = self._members.get(name.lower())
        if member is None:
            raise Unreadable(f"It lacks its part “{name}”. Is it damaged?")
        try:
            return self._archive.open(member)
        except RuntimeError as problem:  # what zipfile raises for a locked member
            raise Unreadable("It is locked with a password. Save it without one.") from problem
        except DAMAGED as problem:
            _damaged(name, problem)

    def tree(self, name: str) -> Element:
        """Return a part's root element; Unreadable if it is missing, damaged or too large."""
        try:
            with self.stream(name) as stream:
                data = stream.read(MOST_IN_TREE + 1)
            if len(data) > MOST_IN_TREE:
                raise Unreadable(f"Its part “{name}” unpacks to over {MOST_IN_TREE // MIB} MiB.")
            return parse(data)
        except (*DAMAGED, etree.XMLSyntaxError) as problem:
            _damaged(name, problem)

    def optional(self, name: str) -> Element | None:
        """Return a part's root element, None if there is none; one that is damaged is noted."""
        if not name or name not in self:
            return None
        try:
            return self.tree(name)
        except Unreadable as problem:
            self.unread.append(str(problem))
            return None

    def rows(self, name: str, tag: str) -> Iterator[Element]:
        """Yield each element of a name, anywhere in a part, and forget it after."""
        try:
            with self.stream(name) as stream:
                found = etree.iterparse(
                    stream, tag=f"{{*}}{tag}", resolve_entities=False, no_network=True
                )
                for _, element in found:
                    yield element
                    element.clear()
                    parent = element.getparent()
                    while parent is not None and element.getprevious() is not None:
                        del parent[0]
        except (*DAMAGED, etree.XMLSyntaxError) as problem:
            _damaged(name, problem)

    def relations(self, name: str) -> dict[str, Relation]:
        """Return the relations of a part by their id; those that lead outside are left out."""
        folder, base = posixpath.split(name)
        root = self.optional(posixpath.join(folder, "_rels", f"{base}.rels"))
        found: dict[str, Relation] = {}
        for relation in root if root is not None else ():
            if isinstance(relation.tag, str) and relation.get("TargetMode") != "External":
                kind = (relation.get("Type") or "").rpartition("/")[2]
                target = unquote(relation.get("Target") or "").replace("\\", "/")
                path = posixpath.normpath(posixpath.join("/", folder, target)).lstrip("/")
                found[relation.get("Id") or ""] = Relation(kind, path)
        return found

    def main(self, usual: str) -> str:
        """Return the name of the part the file is about, by its relations or its usual name."""
        kinds = {relation.kind: relation.target for relation in self.relations("").values()}
        named = kinds.get("officeDocument", "")
        return named if named in self else usual

    def title(self) -> str:
        """Return the title in the file's properties."""
        return next(iter(self._properties("title")), "")

    def stated(self) -> Stated:
        """Return the day of the last change, and the keywords, in the file's properties."""
        dates = [*self._properties("modified"), *self._properties("created")]
        return stated(dates, self._properties("keywords"))

    def _properties(self, name: str) -> list[str]:
        kinds = {relation.kind: relation.target for relation in self.relations("").values()}
        root = self.optional(kinds.get("core-properties", "docProps/core.xml"))
        return [] if root is None else [found.text or "" for found in root.iter(f"{{*}}{name}")]

    def warnings(self) -> list[str]:
        """Return what is worth knowing of any Office file."""
        macros = any(name.endswith("vbaproject.bin") for name in self._members)
        return ["It has macros, which are ignored."] if macros else []

    def _refuse_entities(self, name: str) -> None:
        """Raise Unreadable for a part whose prologue declares entities."""
        try:
            with self.stream(name) as stream:
                start = stream.read(4096)
                if start.lstrip().startswith(XML_STARTS) and declares_entities(start, stream):
                    raise Unreadable(
                        f"Its part “{name}” declares XML entities, which no Office program"
                        " writes. It may be an attack. Save it again with an Office program."
                    )
        except DAMAGED:
            return  # whoever needs the part will say so


def parse(data: bytes) -> Element:
    """Parse XML without entities, network or nodes of unlimited size; raises XMLSyntaxError."""
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False, remove_pis=True,
        remove_comments=True,
    )  # fmt: skip
    return etree.fromstring(data, parser)


def declares_entities(start: bytes, rest: IO[bytes]) -> bool:
    """Return whether XML declares an entity before its first element."""
    found: list[str] = []

    def stop(*_: object) -> NoReturn:
        raise StopIteration

    def note(name: str, *_: object) -> NoReturn:
        found.append(name)
        raise StopIteration

    parser = expat.ParserCreate()
    parser.StartElementHandler = stop
    parser.EntityDeclHandler = note
    try:
        while start:
            parser.Parse(start, False)
            start = rest.read(65536)
    except (StopIteration, expat.ExpatError):
        pass
    return bool(found)


def local(node: Element) -> str:
    """Return an element's name without its namespace, which comes in two editions."""
    return node.tag.rpartition("}")[2] if isinstance(node.tag, str) else ""


def value(node: Element | None, name: str = "val") -> str:
    """Return an attribute by its name without namespace, "" if there is none."""
    if node is None:
        return ""
    for key, found in node.attrib.items():
        if str(key).rpartition("}")[2] == name:
            return str(found)
    return ""


def link(node: Element, name: str = "id") -> str:
    """Return the id of the relation that an element names, which is not the element's own id."""
    return next((str(v) for k, v in node.attrib.items() if str(k).endswith(f"}}{name}")), "")


def child(node: Element | None, *path: str) -> Element | None:
    """Return the first descendant along a path of names without namespaces."""
    for name in path:
        if node is None:
            return None
        node = next((c for c in node if local(c) == name), None)
    return node


def is_on(node: Element | None) -> bool:
    """Return whether a switch is there and not turned off again."""
    return node is not None and value(node).lower() not in ("0", "false", "off", "none")


def chosen(node: Element) -> Iterator[Element]:
    """Yield the alternatives of mc:AlternateContent, the preferred first."""
    yield from sorted(node, key=lambda option: local(option) != "Choice")


def _refuse_bomb(members: list[ZipInfo], packed: int) -> None:
    unpacked = sum(member.file_size for member in members)
    if len(members) > MOST_MEMBERS:
        raise Unreadable(f"It holds {len(members):,} parts, which no Office program writes.")
    if unpacked > MOST_UNPACKED or (unpacked > BOMB_FROM and unpacked > BOMB_RATIO * packed):
        raise Unreadable(
            f"It unpacks to {unpacked // MIB:,} MiB, {unpacked // max(packed, 1):,} times its"
            " size: too much to read safely. Split it."
        )


def _by_name(members: list[ZipInfo]) -> dict[str, ZipInfo]:
    found: dict[str, ZipInfo] = {}
    for member in members:
        name = member.filename.replace("\\", "/").lstrip("/").lower()
        if name in found:
            raise Unreadable(
                f"It holds its part “{name}” twice, so programs differ in what they show. Save it"
                " again with an Office program."
            )
        if not member.is_dir():
            found[name] = member
    return found


def _damaged(name: str, problem: Exception) -> NoReturn:
    raise Unreadable(f"Its part “{name}” is damaged ({str(problem)[:200]}).") from problem
