"""Mail: who wrote what when is text, what is attached is a member, what is broken is forgiven."""

import pytest

from ingest.errors import Unreadable
from ingest.readers import detect
from ingest.types import Extract, File, Member
from tests.outlook import message, ole

SUBJECT, BODY, HTML, RTF = 0x0037, 0x1000, 0x1013, 0x1009
SENDER, SENDER_ADDRESS = 0x0C1A, 0x5D01
NAME, ADDRESS, KIND = 0x3001, 0x39FE, 0x0C15
FILE_NAME, FILE_DATA, METHOD, MIME, LABEL = 0x3707, 0x3701, 0x3705, 0x370E, 0x3712

HEAD = b"From: Ann Ames <ann@example.org>\nTo: bob@example.org\nSubject: Fees\n"
HEAD += b"Date: Fri, 16 Dec 2022 17:04:16 -0500\nMIME-Version: 1.0\n"


def read(name: str, data: bytes) -> Extract:
    file = File(name, data)
    return detect(file).read(file)


def blocks(extract: Extract) -> list[tuple[int, str]]:
    return [(b.level, extract.text[b.start : b.stop]) for b in extract.blocks]


def mixed(*parts: bytes, kind: bytes = b"mixed") -> bytes:
    """Return a message of these parts, each with its own head."""
    body = b"".join(b"--q\n" + part + b"\n" for part in parts)
    return HEAD + b'Content-Type: multipart/%s; boundary="q"\n\n%b--q--\n' % (kind, body)


def attachment(name: str, data: bytes, kind: str = "application/octet-stream") -> bytes:
    head = f"Content-Type: {kind}\nContent-Disposition: attachment; filename={name}\n\n"
    return head.encode() + data


def members(extract: Extract) -> list[tuple[str, bytes, str]]:
    return [(m.name, m.data, m.problem) for m in extract.members]


PLAIN = b"Content-Type: text/plain; charset=utf-8\n\nPlain words."
PAGE = b"Content-Type: text/html; charset=utf-8\n\n<p>Rich <b>words</b>.</p>"


def test_a_message_says_who_wrote_when_and_what() -> None:
    extract = read(
        "fees.eml", HEAD + b"\nHello.\n\nThe fee is 12 euro.\n\n- for dogs\n- for cats\n"
    )

    assert extract.title == "Fees"
    assert blocks(extract) == [
        (1, "Fees"),
        (
            0,
            "From: Ann Ames <ann@example.org>\nTo: bob@example.org\nDate: 2022-12-16 17:04 −05:00",
        ),
        (0, "Hello."),
        (0, "The fee is 12 euro."),
        (0, "- for dogs"),
        (0, "- for cats"),
    ]


def test_of_two_versions_the_plain_one_is_read() -> None:
    text = read("a.eml", mixed(PLAIN, PAGE, kind=b"alternative")).text

    assert "Plain words." in text
    assert "Rich" not in text


def test_a_message_in_html_only_is_read_as_a_page() -> None:
    blank = b"Content-Type: text/plain\n\n  \n"

    assert blocks(read("a.eml", mixed(blank, PAGE, kind=b"alternative")))[-1] == (0, "Rich words.")


def test_attachments_are_members_under_their_own_names() -> None:
    extract = read(
        "a.eml",
        mixed(
            PLAIN,
            attachment("fees.csv", b"dog;12"),
            attachment("fees.csv", b"cat;3"),
            attachment('"=?utf-8?q?Geb=C3=BChr?=.txt"', b"zwei", "text/plain"),
            b"Content-Type: message/rfc822\n\nFrom: c@example.org\nSubject: In/side\n\nInner.",
        ),
    )

    names = ["fees.csv", "fees (2).csv", "Gebühr.txt", "In-side.eml"]
    assert [name for name, _, _ in members(extract)] == names
    assert f"Attached: {', '.join(names)}" in extract.text
    assert "dog" not in extract.text


def test_a_message_inside_a_message_can_be_read_in_turn() -> None:
    inside = b"Content-Type: message/rfc822\n\nFrom: c@example.org\nSubject: Inside\n\nInner words."

    (member,) = read("a.eml", mixed(PLAIN, inside)).members

    assert "Inner words." in read(member.name, member.data).text


def test_pictures_that_a_message_shows_are_no_attachments() -> None:
    page = b'Content-Type: text/html\n\n<p>See <img src="cid:logo@x"> here</p>'
    picture = b"Content-Type: image/png; name=logo.png\nContent-ID: <logo@x>\n\nxx"

    extract = read("a.eml", mixed(page, picture, b"Content-Type: image/png\n\nyy"))

    assert members(extract) == []
    assert extract.warnings == ("It shows pictures, which are not read: 2.",)


def test_an_outlook_package_is_named_and_not_read() -> None:
    extract = read("a.eml", mixed(PLAIN, attachment("winmail.dat", b"x", "application/ms-tnef")))

    ((name, data, problem),) = members(extract)
    assert (name, data) == ("winmail.dat", b"")
    assert "Outlook package" in problem


def test_an_encrypted_message_is_not_wholly_read() -> None:
    sealed = b"Content-Type: application/pkcs7-mime; name=smime.p7m\n\nQUJD\n"

    extract = read("a.eml", HEAD + sealed)

    assert "encrypted" in extract.unread[0]
    assert members(extract) == []


def test_signatures_are_no_attachments() -> None:
    signature = b"Content-Type: application/pgp-signature; name=signature.asc\n\nxx"

    assert members(read("a.eml", mixed(PLAIN, signature, kind=b"signed"))) == []


@pytest.mark.parametrize(
    ("stated", "data"),
    [
        ("klingon", "café, zwölf Euro, naïve".encode()),
        ('"utf-8"Content-Transfer-Encoding: 8bit', "café, zwölf Euro, naïve".encode()),
        ("us-ascii", "café, zwölf Euro, naïve".encode("cp1252")),
        ("iso-8859-1", "café, zwölf Euro, naïve".encode("latin-1")),
    ],
)
def test_a_charset_that_is_broken_costs_no_words(stated: str, data: bytes) -> None:
    head = HEAD + f"Content-Type: text/plain; charset={stated}\n\n".encode()

    assert "café, zwölf Euro, naïve" in read("a.eml", head + data).text


def test_headers_are_decoded_whatever_they_are_made_of() -> None:
    head = b"From: =?utf-8?b?w4lyaWM=?= <e@example.org>\nSubject: Z\xc3\xbcrich =?x-none?q?=E9?=\n"

    extract = read("a.eml", head + b"Date: some day\nTo: ,;<<>>\n\nHello.")

    assert extract.title == "Zürich é"
    assert "From: Éric <e@example.org>" in extract.text
    assert "Date: some day" in extract.text


def test_a_message_without_subject_has_no_title() -> None:
    assert read("a.eml", b"From: a@example.org\nTo: b@example.org\n\nHello.").title == ""


def test_lines_that_a_mail_program_broke_are_joined() -> None:
    flowed = b"Content-Type: text/plain; format=flowed\n\nThe fee is \n12 euro.\nAnn\n-- \nAmes\n"

    assert "The fee is 12 euro.\nAnn\n-- \nAmes" in read("a.eml", HEAD + flowed).text


def test_a_message_in_utf_16_is_read() -> None:
    text = (HEAD + b"\nHello there.").decode()

    assert read("a.eml", text.encode("utf-16-le")).title == "Fees"


@pytest.mark.parametrize("name", ["a.eml", "message", "mail.dat"])
def test_messages_are_told_by_their_content(name: str) -> None:
    data = b"Received: from there\n by here\nMIME-Version: 1.0\nSubject: Told\n\nHello."

    assert read(name, data).title == "Told"


def test_a_text_that_begins_like_a_message_stays_text() -> None:
    source = "From: Ann\nTo: Bob\n\nHello."

    assert read("a.txt", source.encode()).text == source


def test_what_is_no_message_is_refused() -> None:
    with pytest.raises(Unreadable, match="does not begin as a message"):
        read("a.eml", b"Just some words.\n")


def test_parts_within_parts_have_an_end() -> None:
    nested = HEAD + b"".join(
        b"Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n" % (n, n) for n in range(3000)
    )

    with pytest.raises(Unreadable, match="without end"):
        read("a.eml", nested)


def test_an_attachment_that_is_text_itself_is_not_read_as_the_message() -> None:
    extract = read("a.eml", mixed(PLAIN, attachment("notes.txt", b"Secret.", "text/plain")))

    assert "Secret" not in extract.text
    assert list(extract.members) == [Member("notes.txt", b"Secret.")]


def outlook(**more: object) -> bytes:
    head = {SUBJECT: "Fees", SENDER: "Ann Ames", SENDER_ADDRESS: "ann@example.org"}
    recipients: list[dict[int, str | bytes | int]] = [
        {NAME: "Bob", ADDRESS: "bob@example.org", KIND: 1},
        {NAME: "Cy", ADDRESS: "/O=EXCHANGE/CN=CY", KIND: 2},
    ]
    body = more.get("body", {BODY: "Hello.\r\n\r\nThe fee is 12 euro.\r\n"})
    assert isinstance(body, dict)
    attached = more.get("attached", [])
    assert isinstance(attached, list)
    return message({**head, **body}, recipients, attached)


def test_an_outlook_message_reads_like_any_other() -> None:
    extract = read("fees.msg", outlook())

    assert extract.title == "Fees"
    assert blocks(extract) == [
        (1, "Fees"),
        (0, "From: Ann Ames <ann@example.org>\nTo: Bob <bob@example.org>\nCc: Cy"),
        (0, "Hello."),
        (0, "The fee is 12 euro."),
    ]


def test_an_outlook_message_in_html_only_is_read_as_a_page() -> None:
    page = "<html><body><p>Zwölf <b>Euro</b>.</p></body></html>".encode()

    assert "Zwölf Euro." in read("a.msg", outlook(body={HTML: page})).text


def test_an_outlook_message_in_rich_text_only_is_not_wholly_read() -> None:
    assert "RTF" in read("a.msg", outlook(body={RTF: b"LZFu"})).unread[0]


def test_attachments_of_an_outlook_message_are_members() -> None:
    large = bytes(range(256)) * 40
    extract = read(
        "a.msg",
        outlook(
            attached=[
                {FILE_NAME: "fees.bin", FILE_DATA: large, METHOD: 1},
                {FILE_NAME: "Re: more", METHOD: 5},
                {FILE_NAME: "logo.png", FILE_DATA: b"x", METHOD: 1, MIME: "image/png", LABEL: "l"},
            ]
        ),
    )

    first, second = members(extract)
    assert first == ("fees.bin", large, "")
    assert second[:2] == ("Re: more", b"")
    assert "message within the message" in second[2]
    assert "Attached: fees.bin, Re: more" in extract.text
    assert extract.warnings == ("It shows pictures, which are not read: 1.",)


def test_an_outlook_message_is_told_from_old_office_files() -> None:
    assert detect(File("a.doc", outlook())).media_type == "application/vnd.ms-outlook"
    with pytest.raises(Unreadable, match="old Office file"):
        read("a.msg", ole({"WordDocument": b"x" * 5000}))


def test_a_damaged_outlook_message_is_refused() -> None:
    whole = outlook()

    with pytest.raises(Unreadable):
        read("a.msg", whole[: len(whole) // 2])
