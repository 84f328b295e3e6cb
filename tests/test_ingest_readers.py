"""Readers: what is in the file is in the text, and where it stands is known."""

import io

import docx
import pytest
from reportlab.pdfgen.canvas import Canvas

from ingest.errors import Unreadable
from ingest.readers import detect
from ingest.types import Extract, File


def read(name: str, data: bytes) -> Extract:
    file = File(name, data)
    return detect(file).read(file)


def blocks(extract: Extract) -> list[tuple[int, str]]:
    return [(b.level, extract.text[b.start : b.stop]) for b in extract.blocks]


def pdf(*pages: list[str]) -> bytes:
    out = io.BytesIO()
    canvas = Canvas(out, invariant=1)
    for page in pages:
        for number, line in enumerate(page):
            canvas.drawString(72, 760 - 16 * number, line)
        canvas.showPage()
    canvas.save()
    return out.getvalue()


def test_markdown_is_quoted_from_its_own_source() -> None:
    source = "# Rules\n\nDogs are *not* allowed.\n\n- Cats are.\n- Fish `may` be.\n"

    extract = read("rules.md", source.encode())

    assert extract.text == source
    assert extract.title == "Rules"
    assert blocks(extract) == [
        (1, "# Rules"),
        (0, "Dogs are *not* allowed."),
        (0, "Cats are."),
        (0, "Fish `may` be."),
    ]


def test_each_row_of_a_markdown_table_is_a_block() -> None:
    source = "| Fee | Amount |\n|---|---|\n| Dog | £12 |\n| Cat | £3 |\n"

    rows = [text for _, text in blocks(read("fees.md", source.encode()))]

    assert rows == ["| Fee | Amount |", "| Dog | £12 |", "| Cat | £3 |"]


def test_front_matter_is_not_taken_for_text() -> None:
    extract = read("a.md", b"---\nowner: nobody\n---\n# Title\n\nBody.\n")

    assert blocks(extract) == [(1, "# Title"), (0, "Body.")]


def test_plain_text_knows_underlined_headings_and_list_items() -> None:
    source = "Report\n======\n\nIt went well.\n\n1. First\n2. Second\n   and more\n"

    assert blocks(read("report.txt", source.encode())) == [
        (1, "Report"),
        (0, "It went well."),
        (0, "1. First"),
        (0, "2. Second\n   and more"),
    ]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_plain_text_is_read_in_any_encoding(encoding: str) -> None:
    source = "Die Gebühr beträgt 12 €. Für Hunde über drei Jahre gilt die Hälfte davon. " * 3

    assert read("gebuehr.txt", source.encode(encoding)).text == source


def test_html_leaves_navigation_and_scripts_out() -> None:
    page = """<html><head><title>Guide</title><style>p{}</style></head><body>
        <nav>Home | About</nav><header>Banner</header>
        <main><h1>Buying</h1><p>Ask for <b>three</b> quotes.</p><script>alert(1)</script>
        <ul><li>One</li><li>Two</li></ul>
        <table><tr><th>Value</th><th>Route</th></tr><tr><td>£100</td><td>Card</td></tr></table>
        <!-- a comment --></main><footer>Cookies</footer></body></html>"""

    extract = read("guide.html", page.encode())

    assert extract.title == "Guide"
    assert blocks(extract) == [
        (1, "Buying"),
        (0, "Ask for three quotes."),
        (0, "One"),
        (0, "Two"),
        (0, "Value | Route"),
        (0, "£100 | Card"),
    ]


def test_deeply_nested_html_is_read() -> None:
    page = "<div>" * 3000 + "<p>Deep down.</p>" + "</div>" * 3000

    assert "Deep down." in read("deep.html", page.encode()).text


def test_word_documents_keep_headings_and_tables_in_order() -> None:
    document = docx.Document()
    document.core_properties.title = "Travel"
    document.add_heading("Trains", level=2)
    document.add_paragraph("Second class only.")
    table = document.add_table(rows=1, cols=2)
    table.rows[0].cells[0].text, table.rows[0].cells[1].text = "Hotel", "£150"
    document.add_paragraph("Keep receipts.")
    out = io.BytesIO()
    document.save(out)

    extract = read("travel.docx", out.getvalue())

    assert extract.title == "Travel"
    assert blocks(extract) == [
        (2, "Trains"),
        (0, "Second class only."),
        (0, "Hotel | £150"),
        (0, "Keep receipts."),
    ]


def test_a_pdf_knows_its_pages_and_joins_its_lines() -> None:
    data = pdf(
        ["The reactor vents automatically when the", "pressure is above nine bar, and then waits."],
        ["Call the engineer."],
    )

    extract = read("manual.pdf", data)

    first, second = extract.page_starts
    assert extract.text[first:second].strip() == (
        "The reactor vents automatically when the pressure is above nine bar, and then waits."
    )
    assert extract.text[second:] == "Call the engineer."


def test_a_pdf_without_text_is_refused_with_what_to_do() -> None:
    with pytest.raises(Unreadable, match="images"):
        read("scan.pdf", pdf([]))


def test_lines_that_every_page_of_a_pdf_repeats_are_left_out() -> None:
    bodies = ("Open the valve.", "Call the engineer.", "Wait for it.", "Close the valve.")
    data = pdf(*([body, f"Manual · page {n}"] for n, body in enumerate(bodies, start=1)))

    text = read("manual.pdf", data).text

    assert "Call the engineer." in text
    assert "Manual" not in text


@pytest.mark.parametrize(
    ("name", "data", "reason"),
    [
        ("broken.pdf", b"%PDF-1.7\nnonsense", "damaged PDF"),
        ("notes.docx", b"just text", "called .docx"),
        ("notes.docx", b"PK\x03\x04broken", "damaged ZIP archive or Office"),
        ("old.doc", b"\xd0\xcf\x11\xe0" + bytes(100), "old Office file"),
        ("things.zip", b"PK\x03\x04" + bytes(100), "ZIP archive"),
        ("photo.jpg", b"\xff\xd8\xff", "picture .JPEG."),
        ("binary.txt", b"\x00\x01\xfe\xc0" * 99, "not text"),
    ],
)
def test_what_cannot_be_read_is_refused_with_a_reason(name: str, data: bytes, reason: str) -> None:
    with pytest.raises(Unreadable, match=reason):
        read(name, data)
