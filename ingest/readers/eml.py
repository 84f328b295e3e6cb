"""Messages as they are sent (.eml): the head, the body, and attachments as members.

Parsed by the standard library with its oldest policy, which keeps each header as it came:
the newer ones fail on headers that are broken.
"""

import re
from collections.abc import Iterator, Sequence
from datetime import datetime
from email import message_from_bytes
from email.errors import MessageError
from email.header import decode_header
from email.message import Message
from email.utils import getaddresses, parsedate_to_datetime
from mimetypes import guess_extension

from ingest.errors import Unreadable
from ingest.readers import encoding, html
from ingest.readers.archive import distinct
from ingest.readers.letter import Letter, add_html, add_plain, readable
from ingest.types import Draft, Extract, File, Member

KNOWN_HEADER = re.compile(
    r"(?:Received|Return-Path|Delivered-To|From|To|Cc|Subject|Date|Sent|Message-ID|MIME-Version"
    r"|Content-[\w-]+|Reply-To|Sender|X-[\w-]+|DKIM-Signature|ARC-[\w-]+|In-Reply-To|List-[\w-]+):",
    re.IGNORECASE,
)
HEADER_LINE = re.compile(r"[!-9;-~]{1,76}:|[ \t]+\S|From \S")
SOFT_BREAK = re.compile(r"(?<!^--) \r?\n(?=[^\s>])", re.MULTILINE)
NOT_SHOWN = ("text/calendar", "text/x-amp-html", "text/rfc822-headers")
REPORTS = ("message/delivery-status", "message/disposition-notification")
NOT_FILES = (
    "application/pgp-signature",
    "application/pkcs7-signature",
    "application/x-pkcs7-signature",
    "text/rfc822-headers",
)
SEALED = ("application/pkcs7-mime", "application/x-pkcs7-mime", "multipart/encrypted")
OUTLOOK_PACKAGES = ("application/ms-tnef", "application/vnd.ms-tnef")
OUTLOOK_PACKAGE = "It is an Outlook package, which is not read. Save what is in it one by one."
ODD = (MessageError, LookupError, ValueError, TypeError, AttributeError, AssertionError)
"""What the standard library raises on messages that are broken in ways it did not expect."""


def is_message(data: bytes, least: int = 2) -> bool:
    """Whether a file begins as messages do: lines of headers, so many of them well known."""
    lines = _start(data[:8192]).splitlines()[:60]
    known = 0
    for line in lines:
        if not HEADER_LINE.match(line):
            break
        known += bool(KNOWN_HEADER.match(line))
    return known >= least


def _start(data: bytes) -> str:
    if b"\x00" in data[:4]:
        return data.decode("utf-16-le" if data[1:2] == b"\x00" else "utf-16-be", "replace")
    return data.removeprefix(b"\xef\xbb\xbf").decode("latin-1")


def read(file: File) -> Extract:
    """Read a message; its attachments are members. Unreadable if it has no head or no end."""
    if not is_message(file.data, least=1):
        raise Unreadable("It does not begin as a message does, with lines such as “From: …”.")
    try:
        return _read(_parse(file.data))
    except RecursionError as problem:
        raise Unreadable("It is a message of parts within parts without end.") from problem


def _parse(data: bytes) -> Message:
    if b"\x00" in data[:4] or data.startswith((b"\xff\xfe", b"\xfe\xff", b"\xef\xbb\xbf")):
        data = encoding.decode(data).encode("utf-8", "replace")
    return message_from_bytes(data.lstrip())


def _read(message: Message) -> Extract:
    leaves = list(_leaves(message))
    bodies = list(_bodies(message, root=True))
    pages = [_data(part) for part in leaves if part.get_content_type() == "text/html"]
    shown = [part for part in leaves if _is_shown(part, pages)]
    aside = {id(part) for part in (*bodies, *shown)}
    attached = [part for part in leaves if id(part) not in aside and _is_attached(part)]
    names = _names(attached)
    draft = _letter(message, names).begin()
    for part in bodies:
        _add(part, draft)
    warnings = [f"It shows pictures, which are not read: {len(shown)}."] if shown else []
    members = (_member(part, name) for part, name in zip(attached, names, strict=True))
    return draft.finish("", warnings=warnings, unread=_sealed(message), members=members)


def _leaves(message: Message) -> Iterator[Message]:
    """Return the parts that have no parts, in order; a message inside is one."""
    stack = [message]
    while stack:
        part = stack.pop()
        if part.get_content_maintype() == "multipart" and part.is_multipart():
            stack += reversed(_parts(part))
        else:
            yield part


def _parts(part: Message) -> list[Message]:
    payload = part.get_payload()
    return [inside for inside in payload if isinstance(inside, Message)]


def _bodies(part: Message, *, root: bool = False) -> Iterator[Message]:
    """Return the parts that are the text of a message: of alternatives, the plainest."""
    if part.get_content_maintype() == "multipart" and part.is_multipart():
        found = [list(_bodies(inside)) for inside in _parts(part)]
        if part.get_content_type() == "multipart/alternative":
            found = _plainest([bodies for bodies in found if any(map(_has_text, bodies))])
        elif part.get_content_type() == "multipart/related":  # a page and what it is made of
            found = found[:1]
        for bodies in found:
            yield from bodies
    elif part.get_content_maintype() == "text" and (root or not _is_file(part)):
        if part.get_content_type() not in NOT_SHOWN:
            yield part
    elif part.get_content_type() in REPORTS:
        yield part


def _plainest(choices: list[list[Message]]) -> list[list[Message]]:
    for bodies in choices:
        if all(part.get_content_type() != "text/html" for part in bodies):
            return [bodies]
    return choices[-1:]


def _has_text(part: Message) -> bool:
    return bool(_data(part).strip())


def _is_file(part: Message) -> bool:
    return _disposition(part) == "attachment" or bool(_filename(part))


def _is_attached(part: Message) -> bool:
    """Whether a part is a file of its own, not a signature or another version of the text."""
    kind = part.get_content_type()
    if kind in (*NOT_FILES, *SEALED):
        return False
    return _is_file(part) or part.get_content_maintype() not in ("text", "multipart")


def _is_shown(part: Message, pages: Sequence[bytes]) -> bool:
    """Whether a part is a picture that the body shows, not one sent along with it."""
    if part.get_content_maintype() != "image":
        return False
    if not _filename(part):
        return True
    label = _header(part, "content-id").strip(" <>")
    link = f"cid:{label}".encode("utf-8", "replace")
    return bool(label) and (_disposition(part) == "inline" or any(link in page for page in pages))


def _add(part: Message, draft: Draft) -> None:
    """Add a body to the text."""
    if part.get_content_type() in REPORTS:
        add_plain("\n\n".join(str(inside) for inside in _parts(part)), draft)
        return
    data, stated = _data(part), _charset(part)
    try:
        if part.get_content_type() == "text/html":
            add_html(html.decode(data, stated), draft)
        else:
            add_plain(_unwrapped(encoding.decode(data, stated), part), draft)
    except Unreadable:
        draft.add("[This part of the message is not text.]")


def _unwrapped(text: str, part: Message) -> str:
    """Join the lines that a mail program broke (RFC 3676): those that end in a space."""
    if str(part.get_param("format", "")).lower() != "flowed":
        return text
    kept = "" if str(part.get_param("delsp", "")).lower() == "yes" else " "
    return SOFT_BREAK.sub(kept, text)


def _data(part: Message) -> bytes:
    """Return what a part holds, decoded as far as it can be."""
    try:
        data = part.get_payload(decode=True)
    except ODD:
        return b""
    return data if isinstance(data, bytes) else b""


def _charset(part: Message) -> str:
    try:
        return part.get_content_charset() or ""
    except ODD:
        return ""


def _disposition(part: Message) -> str:
    try:
        return part.get_content_disposition() or ""
    except ODD:
        return ""


def _filename(part: Message) -> str:
    try:
        return _decoded(part.get_filename() or "").strip()
    except ODD:
        return ""


def _names(parts: Sequence[Message]) -> list[str]:
    """Return a name for each attachment, none twice."""
    seen: set[str] = set()
    return [distinct(_named(part, number), seen) for number, part in enumerate(parts, start=1)]


def _named(part: Message, number: int) -> str:
    name = _filename(part)
    if part.get_content_type() == "message/rfc822" and not name.lower().endswith(".eml"):
        inside = _parts(part)
        name = f"{name or (_header(inside[0], 'subject') if inside else '') or 'message'}.eml"
    name = name or f"attachment-{number}{guess_extension(part.get_content_type()) or ''}"
    shown = "".join(c if c.isprintable() else " " for c in name.replace("/", "-"))
    return " ".join(shown.split())[:200] or f"attachment-{number}"


def _member(part: Message, name: str) -> Member:
    kind = part.get_content_type()
    if kind in OUTLOOK_PACKAGES or name.lower() == "winmail.dat":
        return Member(name, b"", OUTLOOK_PACKAGE)
    if kind == "message/external-body":
        return Member(name, b"", "It is kept elsewhere: the message only says where.")
    try:
        inside = _parts(part) if kind == "message/rfc822" and part.is_multipart() else []
        data = inside[0].as_bytes() if inside else _data(part)
    except (*ODD, RecursionError) as problem:
        return Member(name, b"", f"It is damaged in the message ({type(problem).__name__}).")
    return Member(name, data, "" if data else "It is empty.")


def _sealed(message: Message) -> list[str]:
    """Return what to say about a message that is encrypted."""
    if any(part.get_content_type() in SEALED for part in message.walk()):
        return ["It is encrypted or sealed (S/MIME or PGP). Save it opened from the mail program."]
    return []


def _letter(message: Message, attached: Sequence[str]) -> Letter:
    return Letter(
        subject=_header(message, "subject"),
        sender=", ".join(_people(message, "from")) or ", ".join(_people(message, "sender")),
        to=_people(message, "to"),
        copied=_people(message, "cc"),
        date=_date(_header(message, "date")),
        attached=attached,
    )


def _header(message: Message, name: str) -> str:
    return _decoded(_raw(message, name))


def _raw(message: Message, name: str) -> str:
    """Return a header as it came, but for its folds and its bytes, which are made sense of."""
    for key, value in message.raw_items():
        if key.lower() == name:
            data = str(value).encode("utf-8", "surrogateescape")
            try:
                return " ".join(encoding.decode(data).split())
            except Unreadable:
                return ""
    return ""


def _decoded(raw: str) -> str:
    """Return a header with its encoded words decoded, as it is where they are broken."""
    try:
        pieces = decode_header(raw)
        return "".join(
            piece if isinstance(piece, str) else encoding.decode(piece, stated or "")
            for piece, stated in pieces
        )
    except (*ODD, Unreadable):
        return raw


def _people(message: Message, name: str) -> list[str]:
    """Return the people in a header as “Ann Ames <ann@example.org>”."""
    raw = _raw(message, name)
    found = [(_decoded(name), address) for name, address in getaddresses([raw]) if address]
    shown = [f"{name} <{address}>" if name else address for name, address in found]
    return shown or ([_decoded(raw)] if raw else [])


def _date(raw: str) -> str:
    """Return a date as it is best read, as it came where it cannot be told."""
    for parse in (parsedate_to_datetime, datetime.fromisoformat):
        try:
            return readable(parse(raw))
        except (*ODD, OverflowError):
            pass
    return raw
