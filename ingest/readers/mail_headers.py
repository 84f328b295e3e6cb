"""Headers of messages, made sense of whatever they are made of."""

from datetime import datetime
from email.errors import MessageError
from email.header import decode_header
from email.message import Message
from email.utils import getaddresses, parsedate_to_datetime

from ingest.errors import Unreadable
from ingest.readers import encoding
from ingest.readers.letter import readable
from ingest.readers.stated import day

ODD = (MessageError, LookupError, ValueError, TypeError, AttributeError, AssertionError)
"""What the standard library raises on messages that are broken in ways it did not expect."""


def header(message: Message, name: str) -> str:
    """Return a header on one line, decoded; nothing if there is none. `name` is in lower case."""
    return decoded(_raw(message, name))


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


def decoded(raw: str) -> str:
    """Return a header with its encoded words decoded, as it is where they are broken."""
    try:
        pieces = decode_header(raw)
        return "".join(
            piece if isinstance(piece, str) else encoding.decode(piece, stated or "")
            for piece, stated in pieces
        )
    except (*ODD, Unreadable):
        return raw


def people(message: Message, name: str) -> list[str]:
    """Return the people in a header as “Ann Ames <ann@example.org>”."""
    raw = _raw(message, name)
    found = [(decoded(name), address) for name, address in getaddresses([raw]) if address]
    shown = [f"{name} <{address}>" if name else address for name, address in found]
    return shown or ([decoded(raw)] if raw else [])


def date(raw: str) -> str:
    """Return a date as it is best read, as it came where it cannot be told."""
    return readable(_moment(raw)) or raw


def sent_on(raw: str) -> str:
    """Return the day of a date, where it was written; nothing where it cannot be told."""
    return day(_moment(raw))


def _moment(raw: str) -> datetime | None:
    for parse in (parsedate_to_datetime, datetime.fromisoformat):
        try:
            return parse(raw)
        except (*ODD, OverflowError):
            pass
    return None
