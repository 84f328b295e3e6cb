"""Archives: what is in them comes out one by one, what is meant to harm does not."""

import binascii
import io
import struct
import warnings
import zipfile
import zlib

import pytest

from ingest.errors import Unreadable
from ingest.readers import archive, detect
from ingest.types import Extract, File, Member


def read(data: bytes, name: str = "things.zip", passwords: tuple[str, ...] = ()) -> Extract:
    file = File(name, data, passwords)
    return detect(file).read(file)


def packed(
    *members: tuple[str | zipfile.ZipInfo, str | bytes], compression: int = zipfile.ZIP_DEFLATED
) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", compression) as target, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # two members of one name
        for name, data in members:
            target.writestr(name, data)
    return out.getvalue()


def problems(extract: Extract) -> dict[str, str]:
    return {member.name: member.problem for member in extract.members}


def locked(name: str, data: bytes, password: str) -> bytes:
    """Return an archive of one member, stored and locked in the traditional way of PKWARE."""
    keys = [0x12345678, 0x23456789, 0x34567890]

    def crc(value: int, byte: int) -> int:
        return binascii.crc32(bytes([byte]), value ^ 0xFFFFFFFF) ^ 0xFFFFFFFF

    def turn(byte: int) -> None:
        keys[0] = crc(keys[0], byte)
        keys[1] = ((keys[1] + (keys[0] & 0xFF)) * 134775813 + 1) & 0xFFFFFFFF
        keys[2] = crc(keys[2], keys[1] >> 24)

    def lock(byte: int) -> int:
        mixed = keys[2] | 2
        turn(byte)
        return byte ^ ((mixed * (mixed ^ 1)) >> 8 & 0xFF)

    for byte in password.encode():
        turn(byte)
    check = zlib.crc32(data)
    body = bytes(lock(byte) for byte in bytes(11) + bytes([check >> 24]) + data)
    fields = struct.pack("<HHHHHIIIHH", 20, 1, 0, 0, 33, check, len(body), len(data), len(name), 0)
    local = b"PK\x03\x04" + fields + name.encode() + body
    central = b"PK\x01\x02\x14\x00" + fields + bytes(14 - 4 + 2) + name.encode()
    central = central[:32] + bytes(14) + name.encode()
    end = struct.pack("<4sHHHHIIH", b"PK\x05\x06", 0, 0, 1, 1, len(central), len(local), 0)
    return local + central + end


def test_members_are_files_of_their_own() -> None:
    extract = read(packed(("a.txt", "Alpha."), ("folder/", ""), ("folder/b.md", "# Beta")))

    assert (extract.title, extract.text) == ("things", "")
    assert list(extract.members) == [Member("a.txt", b"Alpha."), Member("folder/b.md", b"# Beta")]


def test_members_are_taken_out_as_they_are_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[str] = []
    unpack = archive.unpack

    def watched(
        source: zipfile.ZipFile, info: zipfile.ZipInfo, limit: int, password: str = ""
    ) -> bytes:
        taken.append(info.filename)
        return unpack(source, info, limit, password)

    monkeypatch.setattr(archive, "unpack", watched)
    members = iter(read(packed(("a.txt", "a"), ("b.txt", "b"))).members)

    next(members)

    assert taken == ["a.txt"]


def test_traces_of_systems_and_hidden_files_are_left_out() -> None:
    noise = ("__MACOSX/._a.txt", ".DS_Store", "x/.git/config", "Thumbs.db", "~$a.docx")

    assert problems(read(packed(("a.txt", "a"), *((name, "x") for name in noise)))) == {"a.txt": ""}


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("../a.txt", "leads out"),
        ("x/../../a.txt", "leads out"),
        ("..\\a.txt", "leads out"),
        ("/etc/passwd", "leads out"),
        ("C:\\a.txt", "leads out"),
        ("a\x01b.txt", "control characters"),
    ],
)
def test_names_that_lead_out_are_not_followed(name: str, reason: str) -> None:
    first, second = read(packed((name, "bad"), ("good.txt", "good"))).members

    assert reason in first.problem
    assert first.data == b""
    assert second == Member("good.txt", b"good")


def test_a_name_cut_short_by_a_nul_is_not_believed() -> None:
    data = packed(("good.txtXevil", "bad")).replace(b"good.txtX", b"good.txt\0")

    (member,) = read(data).members

    assert "control characters" in member.problem


def test_links_are_not_followed() -> None:
    link = zipfile.ZipInfo("link.txt")
    link.external_attr = 0o120777 << 16

    assert "link" in problems(read(packed((link, "/etc/passwd"))))["link.txt"]


def test_two_members_of_one_name_are_both_read() -> None:
    members = list(read(packed(("a/b.txt", "one"), ("a/b.txt", "two"))).members)

    assert members == [Member("a/b.txt", b"one"), Member("a/b (2).txt", b"two")]


def test_a_name_in_utf_8_that_is_not_marked_so_is_read() -> None:
    data = packed(("Gebuhr.txt", "x")).replace(b"Gebuhr", "Gebür".encode())

    assert list(problems(read(data))) == ["Gebür.txt"]


def test_a_damaged_member_costs_only_itself() -> None:
    data = packed(("a.txt", "hello " * 9), ("b.txt", "ok"), compression=zipfile.ZIP_STORED)

    first, second = read(data.replace(b"hello hello", b"hellO hello", 1)).members

    assert "damaged" in first.problem
    assert second == Member("b.txt", b"ok")


def test_a_bomb_costs_no_more_than_its_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "ALWAYS_ALLOWED_BYTES", 100_000)
    bomb = packed(("bomb.txt", bytes(50_000_000)), ("good.txt", "good"))

    first, second = read(bomb).members

    assert "looks like a trap" in first.problem
    assert second == Member("good.txt", b"good")


def test_a_declared_size_is_not_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "ALWAYS_ALLOWED_BYTES", 1000)
    data = packed(("bomb.txt", bytes(5_000_000)))
    small = data.replace(struct.pack("<I", 5_000_000), struct.pack("<I", 10))

    (member,) = read(small).members

    assert member.problem
    assert len(member.data) <= 10


def test_all_members_together_have_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "LARGEST_TOTAL_BYTES", 2500)
    data = packed(*((f"{n}.txt", bytes([65 + n]) * 1000) for n in range(5)))

    *_, third, last = read(data).members

    assert "unpacks to more than" in third.problem
    assert "2 more files are left out" in last.problem


def test_there_is_a_limit_on_how_many_members(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "MOST_MEMBERS", 3)

    members = list(read(packed(*((f"{n}.txt", "x") for n in range(5)))).members)

    assert len(members) == 4
    assert "2 more files are left out" in members[-1].problem


def test_members_that_share_their_bytes_are_refused() -> None:
    data = packed(("a.txt", "y" * 1000))
    at, end = data.index(b"PK\x01\x02"), data.index(b"PK\x05\x06")
    entry = data[at:end]
    both = entry + entry.replace(b"a.txt", b"b.txt")
    tail = data[end : end + 8] + struct.pack("<HHII", 2, 2, len(both), at) + b"\0\0"

    assert all("shares its bytes" in p for p in problems(read(data[:at] + both + tail)).values())


def test_bzip2_is_not_unpacked() -> None:
    data = packed(("a.txt", bytes(10_000_000)), compression=zipfile.ZIP_BZIP2)

    assert "not deflate" in problems(read(data))["a.txt"]


def test_a_locked_member_is_opened_with_a_password_that_fits() -> None:
    data = locked("a.txt", b"The code is 7741.", "sesame")

    assert list(read(data, passwords=("wrong", "sesame")).members) == [
        Member("a.txt", b"The code is 7741.")
    ]


@pytest.mark.parametrize("passwords", [(), ("wrong",)])
def test_a_locked_member_says_so(passwords: tuple[str, ...]) -> None:
    data = locked("a.txt", b"The code is 7741.", "sesame")

    assert "locked with a password" in problems(read(data, passwords=passwords))["a.txt"]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"PK\x05\x06" + bytes(18), "no files"),
        (packed((".hidden", "x")), "no files"),
        (packed(("a.txt", "x" * 100))[:60], "damaged ZIP"),
        (packed(("[Content_Types].xml", "x"), ("theme/x.xml", "x")), "Office file of a kind"),
        (packed(("Index/Document.iwa", "x")), "iWork"),
    ],
)
def test_archives_that_hold_nothing_to_read_are_refused(data: bytes, reason: str) -> None:
    with pytest.raises(Unreadable, match=reason):
        read(data)


CONTAINER = '<container><rootfiles><rootfile full-path="OPS/book.opf"/></rootfiles></container>'
BOOK = """<?xml version="1.0"?>
    <package xmlns="http://www.idpf.org/2007/opf" xmlns:dc="http://purl.org/dc/elements/1.1/">
    <metadata><dc:title>The Valve</dc:title></metadata><manifest>
    <item id="nav" href="nav.xhtml" media-type="application/xhtml+xml" properties="nav"/>
    <item id="two" href="text/two.xhtml" media-type="application/xhtml+xml"/>
    <item id="one" href="text/one%20a.xhtml" media-type="application/xhtml+xml"/></manifest>
    <spine><itemref idref="nav"/><itemref idref="one"/><itemref idref="two"/></spine></package>"""
CHAPTER = """<?xml version="1.0"?><html xmlns="http://www.w3.org/1999/xhtml"><head><title/>
    <script src="x"/></head><body><h1>%s</h1>
    <p>It&nbsp;opens <a id="x"/>at nine.</p></body></html>"""


def book(**more: str) -> bytes:
    members = {
        "mimetype": "application/epub+zip",
        "META-INF/container.xml": CONTAINER,
        "OPS/book.opf": BOOK,
        "OPS/nav.xhtml": CHAPTER % "Contents",
        "OPS/text/one a.xhtml": CHAPTER % "One",
        "OPS/text/two.xhtml": CHAPTER % "Two",
    }
    return packed(*{**members, **more}.items())


def test_a_book_is_read_in_its_own_order() -> None:
    extract = read(book(), "valve.epub")

    assert extract.title == "The Valve"
    assert [(b.level, extract.text[b.start : b.stop]) for b in extract.blocks] == [
        (1, "One"),
        (0, "It opens at nine."),
        (1, "Two"),
        (0, "It opens at nine."),
    ]


def test_a_book_without_its_chapter_says_so() -> None:
    extract = read(book(**{"OPS/book.opf": BOOK.replace("two.xhtml", "gone.xhtml")}), "valve.epub")

    assert "OPS/text/gone.xhtml" in extract.unread[0]
    assert "One" in extract.text


def encryption(algorithm: str) -> str:
    return f'<encryption><EncryptionMethod Algorithm="{algorithm}"/></encryption>'


def test_a_book_locked_against_copying_is_refused() -> None:
    locks = encryption("http://www.w3.org/2001/04/xmlenc#aes128-cbc")

    with pytest.raises(Unreadable, match="DRM"):
        read(book(**{"META-INF/encryption.xml": locks}), "valve.epub")


def test_scrambled_fonts_do_not_lock_a_book() -> None:
    fonts = encryption("http://www.idpf.org/2008/embedding")

    assert read(book(**{"META-INF/encryption.xml": fonts}), "valve.epub").title == "The Valve"


def test_entities_of_a_book_are_not_expanded() -> None:
    bomb = '<!DOCTYPE x [<!ENTITY a "boom"><!ENTITY f SYSTEM "file:///etc/passwd">]>'
    package = BOOK.replace("<package", bomb + "<package").replace("The Valve", "A&a;&f;")

    assert read(book(**{"OPS/book.opf": package}), "valve.epub").title in ("A", "One")


@pytest.mark.parametrize("part", ["META-INF/container.xml", "OPS/book.opf"])
def test_a_damaged_book_is_refused(part: str) -> None:
    with pytest.raises(Unreadable, match="damaged book"):
        read(book(**{part: "<a><b>"}), "valve.epub")
