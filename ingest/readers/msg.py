"""Messages as Outlook keeps them (.msg): the head, the body, and attachments as members."""

import struct
from collections.abc import Iterator, Sequence
from datetime import datetime

from oxmsg import Message
from oxmsg.attachment import Attachment
from oxmsg.domain import constants
from oxmsg.domain.model import UnrecognizedCodePageError, UnsupportedEncodingError
from oxmsg.properties import Properties

from ingest.errors import Unreadable
from ingest.readers import html
from ingest.readers.archive import distinct
from ingest.readers.letter import Letter, add_html, add_plain, readable
from ingest.readers.stated import day
from ingest.types import Draft, Extract, File, Member, Stated

DAMAGE = (
    OSError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    AssertionError,
    struct.error,
    UnrecognizedCodePageError,
    UnsupportedEncodingError,
)
"""What olefile and oxmsg raise on damaged messages, and on code pages they do not know."""
MARK = "__properties_version1.0"
"""The stream that tells messages from what else is kept in this container."""
SEALED = "IPM.Note.SMIME"
BY_VALUE, BY_MESSAGE = 1, 5
TO, COPIED = 1, 2


def read(file: File) -> Extract:
    """Read an Outlook message; its attachments are members. Unreadable if it is damaged."""
    try:
        message = Message.load(file.data)
        attached = [part for part in message.attachments if not _is_shown(part.properties)]
        names = _names(attached)
        draft = _letter(message, names).begin()
        unread = _add_body(message, draft)
    except (*DAMAGE, RecursionError) as problem:
        what = f"{type(problem).__name__}: {problem}"
        raise Unreadable(f"It is a damaged Outlook message ({what}).") from problem
    shown = len(message.attachments) - len(attached)
    warnings = [f"It shows pictures, which are not read: {shown}."] if shown else []
    members = (_member(part, name) for part, name in zip(attached, names, strict=True))
    says = Stated(day(_sent(message)))
    return draft.finish("", warnings=warnings, unread=unread, stated=says, members=members)


def _add_body(message: Message, draft: Draft) -> list[str]:
    """Add the body to the text; return what to say if it cannot be."""
    properties = message.properties
    if add_plain(_text(properties, constants.PID_BODY), draft):
        return []
    page = _bytes(properties, constants.PID_HTML)
    text = (
        html.decode(page, _encoding(properties))
        if page
        else _text(properties, constants.PID_BODY_HTML)
    )
    if add_html(text, draft):
        return []
    if _text(properties, constants.PID_MESSAGE_CLASS).startswith(SEALED):
        return ["It is encrypted or sealed (S/MIME). Save it opened from Outlook as PDF."]
    if _bytes(properties, constants.PID_RTF_COMPRESSED):
        return ["Its text is kept in Outlook's own way (RTF). Save it from Outlook as PDF."]
    return []


def _letter(message: Message, attached: Sequence[str]) -> Letter:
    return Letter(
        subject=_text(message.properties, constants.PID_SUBJECT),
        sender=_sender(message.properties),
        to=list(_people(message, TO)),
        copied=list(_people(message, COPIED)),
        date=readable(_sent(message)),
        attached=attached,
    )


def _sender(properties: Properties) -> str:
    addresses = (constants.PID_SENDER_SMTP_ADDRESS, constants.PID_SENDER_EMAIL_ADDRESS)
    names = (constants.PID_SENDER_NAME, constants.PID_SENT_REPRESENTING_NAME)
    return _person(
        next(filter(None, (_text(properties, name) for name in names)), ""),
        next(filter(None, (_text(properties, address) for address in addresses)), ""),
    )


def _people(message: Message, kind: int) -> Iterator[str]:
    for recipient in message.recipients:
        if (_number(recipient.properties, constants.PID_RECIPIENT_TYPE) or TO) == kind:
            name = _text(recipient.properties, constants.PID_DISPLAY_NAME)
            address = _text(recipient.properties, constants.PID_SMTP_ADDRESS)
            yield _person(name, address or _text(recipient.properties, constants.PID_EMAIL_ADDRESS))


def _person(name: str, address: str) -> str:
    """Return “Ann Ames <ann@example.org>”, without the addresses only Exchange can read."""
    if "@" not in address:
        return name or address
    return address if name in ("", address) else f"{name} <{address}>"


def _sent(message: Message) -> datetime | None:
    for kind in (constants.PID_CLIENT_SUBMIT_TIME, constants.PID_MESSAGE_DELIVERY_TIME):
        try:
            if date := message.properties.date_prop_value(kind):
                return date
        except (*DAMAGE, OverflowError):
            continue
    return None


def _is_shown(properties: Properties) -> bool:
    """Whether an attachment is a picture that the body shows."""
    kind = _text(properties, constants.PID_ATTACH_MIME_TAG).lower()
    return kind.startswith("image/") and bool(_text(properties, constants.PID_ATTACH_CONTENT_ID))


def _names(attached: Sequence[Attachment]) -> list[str]:
    """Return a name for each attachment, none twice."""
    seen: set[str] = set()
    return [distinct(_name(part, number), seen) for number, part in enumerate(attached, start=1)]


def _name(part: Attachment, number: int) -> str:
    kinds = (
        constants.PID_ATTACH_LONG_FILENAME,
        constants.PID_ATTACH_FILENAME,
        constants.PID_DISPLAY_NAME,
    )
    name = next(filter(None, (_text(part.properties, kind) for kind in kinds)), "")
    shown = "".join(c if c.isprintable() else " " for c in name.replace("/", "-"))
    return " ".join(shown.split())[:200] or f"attachment-{number}"


def _member(part: Attachment, name: str) -> Member:
    method = _number(part.properties, constants.PID_ATTACH_METHOD)
    if method == BY_MESSAGE:
        problem = "It is a message within the message. Open it in Outlook and save it by itself."
        return Member(name, b"", problem)
    data = _bytes(part.properties, constants.PID_ATTACH_DATA_BINARY)
    if data:
        return Member(name, data)
    linked = method not in (None, BY_VALUE)
    return Member(name, b"", "The message only says where it is." if linked else "It is empty.")


def _text(properties: Properties, kind: int) -> str:
    """Return a text of a message, nothing if it has none or it is damaged."""
    try:
        return (properties.str_prop_value(kind) or "").strip("\x00")
    except DAMAGE:
        return ""


def _bytes(properties: Properties, kind: int) -> bytes:
    try:
        return properties.binary_prop_value(kind) or b""
    except DAMAGE:
        return b""


def _number(properties: Properties, kind: int) -> int | None:
    try:
        return properties.int_prop_value(kind)
    except DAMAGE:
        return None


def _encoding(properties: Properties) -> str:
    """Return the encoding of the HTML body, if the message states one."""
    try:
        stated = properties.int_prop_value(constants.PID_INTERNET_CODEPAGE)
        return properties.body_encoding if stated else ""
    except DAMAGE:
        return ""
