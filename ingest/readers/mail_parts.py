"""Parts of messages: which are the text, which are shown in it, and which are files."""

from collections.abc import Iterator, Sequence
from email.message import Message
from mimetypes import guess_extension

from ingest.readers.archive import distinct
from ingest.readers.mail_headers import ODD, decoded, header
from ingest.types import Member

NOT_SHOWN = ("text/calendar", "text/x-amp-html", "text/rfc822-headers")
REPORTS = ("message/delivery-status", "message/disposition-notification")
NOT_FILES = (
    "application/pgp-signature",
    "application/pkcs7-signature",
    "application/x-pkcs7-signature",
    "text/rfc822-headers",
)
SEALED = ("application/pkcs7-mime", "application/x-pkcs7-mime", "application/pgp-encrypted")
OUTLOOK_PACKAGES = ("application/ms-tnef", "application/vnd.ms-tnef")
OUTLOOK_PACKAGE = "It is an Outlook package, which is not read. Save what is in it one by one."


def leaves(message: Message) -> Iterator[Message]:
    """Return the parts that have no parts, in order; a message inside is one."""
    stack = [message]
    while stack:
        part = stack.pop()
        if part.get_content_maintype() == "multipart" and part.is_multipart():
            stack += reversed(children(part))
        else:
            yield part


def children(part: Message) -> list[Message]:
    """Return the parts of a part."""
    payload = part.get_payload()
    return [inside for inside in payload if isinstance(inside, Message)]


def bodies(part: Message, *, root: bool = False) -> Iterator[Message]:
    """Return the parts that are the text of a message: of alternatives, the plainest."""
    if part.get_content_maintype() == "multipart" and part.is_multipart():
        found = [list(bodies(inside)) for inside in children(part)]
        if part.get_content_type() == "multipart/alternative":
            found = _plainest([choice for choice in found if any(map(_has_text, choice))])
        elif part.get_content_type() == "multipart/related":  # a page and what it is made of
            found = found[:1]
        for chosen in found:
            yield from chosen
    elif part.get_content_maintype() == "text" and (root or not _is_file(part)):
        if part.get_content_type() not in NOT_SHOWN:
            yield part
    elif part.get_content_type() in REPORTS:
        yield part


def _plainest(choices: list[list[Message]]) -> list[list[Message]]:
    for choice in choices:
        if all(part.get_content_type() != "text/html" for part in choice):
            return [choice]
    return choices[-1:]


def _has_text(part: Message) -> bool:
    return bool(content(part).strip())


def _is_file(part: Message) -> bool:
    return _disposition(part) == "attachment" or bool(_filename(part))


def is_attached(part: Message) -> bool:
    """Whether a part is a file of its own, not a signature or another version of the text."""
    kind = part.get_content_type()
    if kind in (*NOT_FILES, *SEALED):
        return False
    return _is_file(part) or part.get_content_maintype() not in ("text", "multipart")


def is_shown(part: Message, pages: Sequence[bytes]) -> bool:
    """Whether a part is a picture that the body shows, not one sent along with it."""
    if part.get_content_maintype() != "image":
        return False
    if not _filename(part):
        return True
    label = header(part, "content-id").strip(" <>")
    link = f"cid:{label}".encode("utf-8", "replace")
    return bool(label) and (_disposition(part) == "inline" or any(link in page for page in pages))


def content(part: Message) -> bytes:
    """Return what a part holds, decoded as far as it can be."""
    try:
        data = part.get_payload(decode=True)
    except ODD:
        return b""
    return data if isinstance(data, bytes) else b""


def charset(part: Message) -> str:
    """Return the encoding that a part states, which may be wrong."""
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
        return decoded(part.get_filename() or "").strip()
    except ODD:
        return ""


def names(parts: Sequence[Message]) -> list[str]:
    """Return a name for each attachment, none twice."""
    seen: set[str] = set()
    return [distinct(_named(part, number), seen) for number, part in enumerate(parts, start=1)]


def _named(part: Message, number: int) -> str:
    name = _filename(part)
    if part.get_content_type() == "message/rfc822" and not name.lower().endswith(".eml"):
        inside = children(part)
        name = f"{name or (header(inside[0], 'subject') if inside else '') or 'message'}.eml"
    name = name or f"attachment-{number}{guess_extension(part.get_content_type()) or ''}"
    shown = "".join(c if c.isprintable() else " " for c in name.replace("/", "-"))
    return " ".join(shown.split())[:200] or f"attachment-{number}"


def member(part: Message, name: str) -> Member:
    """Return an attachment as a file of its own, or why it is none."""
    kind = part.get_content_type()
    if kind in OUTLOOK_PACKAGES or name.lower() == "winmail.dat":
        return Member(name, b"", OUTLOOK_PACKAGE)
    if kind == "message/external-body":
        return Member(name, b"", "It is kept elsewhere: the message only says where.")
    try:
        inside = children(part) if kind == "message/rfc822" and part.is_multipart() else []
        data = inside[0].as_bytes() if inside else content(part)
    except (*ODD, RecursionError) as problem:
        return Member(name, b"", f"It is damaged in the message ({type(problem).__name__}).")
    return Member(name, data, "" if data else "It is empty.")
