"""Messages as they are sent (.eml): the head, the body, and attachments as members.

Parsed by the standard library with its oldest policy, which keeps each header as it came:
the newer ones fail on headers that are broken.
"""

import re
from collections.abc import Sequence
from email import message_from_bytes
from email.message import Message

from ingest.errors import Unreadable
from ingest.readers import encoding, html, mail_parts
from ingest.readers.letter import Letter, add_html, add_plain
from ingest.readers.mail_headers import date, header, people, sent_on
from ingest.readers.mail_parts import REPORTS, SEALED, content
from ingest.types import Draft, Extract, File, Stated

KNOWN_HEADER = re.compile(
    r"(?:Received|Return-Path|Delivered-To|From|To|Cc|Subject|Date|Sent|Message-ID|MIME-Version"
    r"|Content-[\w-]+|Reply-To|Sender|X-[\w-]+|DKIM-Signature|ARC-[\w-]+|In-Reply-To|List-[\w-]+):",
    re.IGNORECASE,
)
HEADER_LINE = re.compile(r"[!-9;-~]{1,76}:|[ \t]+\S|From \S")
SEALED_UP = "It is encrypted or sealed (S/MIME or PGP). Save it opened from the mail program."
SOFT_BREAK = re.compile(r"(?<!^--) \r?\n(?=[^\s>])", re.MULTILINE)


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
    leaves = list(mail_parts.leaves(message))
    bodies = list(mail_parts.bodies(message, root=True))
    pages = [content(part) for part in leaves if part.get_content_type() == "text/html"]
    shown = [part for part in leaves if mail_parts.is_shown(part, pages)]
    aside = {id(part) for part in (*bodies, *shown)}
    attached = [p for p in leaves if id(p) not in aside and mail_parts.is_attached(p)]
    names = mail_parts.names(attached)
    draft = _letter(message, names).begin()
    unread = [problem for part in bodies if (problem := _add(part, draft))]
    if any(part.get_content_type() in SEALED for part in leaves):
        unread.append(SEALED_UP)
    warnings = [f"It shows pictures, which are not read: {len(shown)}."] if shown else []
    members = (mail_parts.member(p, name) for p, name in zip(attached, names, strict=True))
    says = Stated(sent_on(header(message, "date")))
    return draft.finish("", warnings=warnings, unread=unread, stated=says, members=members)


def _add(part: Message, draft: Draft) -> str:
    """Add a body to the text; return what to say if it cannot be."""
    if part.get_content_type() in REPORTS:
        add_plain("\n\n".join(map(str, mail_parts.children(part))), draft)
        return ""
    data, stated = content(part), mail_parts.charset(part)
    try:
        if part.get_content_type() == "text/html":
            add_html(html.decode(data, stated), draft)
        else:
            add_plain(_unwrapped(encoding.decode(data, stated), part), draft)
    except Unreadable:
        return "A part of the message says it is text and is not."
    return ""


def _unwrapped(text: str, part: Message) -> str:
    """Join the lines that a mail program broke (RFC 3676): those that end in a space."""
    if str(part.get_param("format", "")).lower() != "flowed":
        return text
    kept = "" if str(part.get_param("delsp", "")).lower() == "yes" else " "
    return SOFT_BREAK.sub(kept, text)


def _letter(message: Message, attached: Sequence[str]) -> Letter:
    return Letter(
        subject=header(message, "subject"),
        sender=", ".join(people(message, "from")) or ", ".join(people(message, "sender")),
        to=people(message, "to"),
        copied=people(message, "cc"),
        date=date(header(message, "date")),
        attached=attached,
    )
