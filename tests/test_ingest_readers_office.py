"""Office files: what one sees in Word, PowerPoint and Excel is in the text, bombs are not."""

import io
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any
from zipfile import ZIP_DEFLATED, ZipFile

import docx
import openpyxl
import pptx
import pytest
from odfdo import Document as OpenDocument
from odfdo import Header, Paragraph, Row, Table
from openpyxl.comments import Comment
from pptx.chart.data import CategoryChartData
from pptx.enum.chart import XL_CHART_TYPE
from pptx.util import Inches

from ingest.errors import Unreadable
from ingest.readers import detect
from ingest.readers.rows import Cell, Room, add_rows
from ingest.sandbox import Sandbox
from ingest.types import Draft, Extract, File, PageState

W = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
RELATIONS = "http://schemas.openxmlformats.org/package/2006/relationships"
LOCKED = "EncryptedPackage".encode("utf-16-le")
TYPES = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"


def read(name: str, data: bytes) -> Extract:
    file = File(name, data)
    return detect(file).read(file)


def blocks(extract: Extract) -> list[tuple[int, str]]:
    return [(b.level, extract.text[b.start : b.stop]) for b in extract.blocks]


def texts(extract: Extract) -> list[str]:
    return [text for _, text in blocks(extract)]


def zipped(parts: Mapping[str, str | bytes]) -> bytes:
    out = io.BytesIO()
    with ZipFile(out, "w", ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return out.getvalue()


def repacked(data: bytes, changes: Mapping[str, bytes]) -> bytes:
    """Return an archive with some members replaced or added."""
    with ZipFile(io.BytesIO(data)) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    return zipped({**parts, **changes})


def member(data: bytes, name: str) -> bytes:
    with ZipFile(io.BytesIO(data)) as archive:
        return archive.read(name)


def word(body: str, prologue: str = "", **parts: str) -> bytes:
    """Return a Word document of a body's XML and other parts, such as `footnotes`."""
    names = " ".join(
        [
            f'xmlns:w="{W}"',
            'xmlns:m="http://schemas.openxmlformats.org/officeDocument/2006/math"',
            'xmlns:mc="http://schemas.openxmlformats.org/markup-compatibility/2006"',
            'xmlns:wps="http://schemas.microsoft.com/office/word/2010/wordprocessingShape"',
            'xmlns:v="urn:schemas-microsoft-com:vml"',
        ]
    )
    main = f"{prologue}<w:document {names}><w:body>{body}</w:body></w:document>"
    links = "".join(
        f'<Relationship Id="r{name}" Type="{TYPES}/{name.rstrip("12")}" Target="{name}.xml"/>'
        for name in parts
    )
    members = {
        "[Content_Types].xml": "<Types/>",
        "word/document.xml": main,
        "word/_rels/document.xml.rels": f'<R xmlns="{RELATIONS}">{links}</R>',
    }
    for name, xml in parts.items():
        members[f"word/{name}.xml"] = (
            f"<w:{name.rstrip('12')} {names}>{xml}</w:{name.rstrip('12')}>"
        )
    return zipped(members)


def p(text: str, properties: str = "") -> str:
    return f"<w:p><w:pPr>{properties}</w:pPr><w:r><w:t>{text}</w:t></w:r></w:p>"


def cell(content: str, properties: str = "") -> str:
    return f"<w:tc><w:tcPr>{properties}</w:tcPr>{content}</w:tc>"


def table(*rows: str) -> str:
    return f"<w:tbl>{''.join(f'<w:tr>{row}</w:tr>' for row in rows)}</w:tbl>"


def saved(document: object) -> bytes:
    out = io.BytesIO()
    document.save(out)  # type: ignore[attr-defined]
    return out.getvalue()


# Word


def test_word_headings_are_known_by_style_its_base_and_the_outline() -> None:
    styles = (
        '<w:style w:styleId="H2"><w:name w:val="heading 2"/></w:style>'
        '<w:style w:styleId="Ours"><w:name w:val="Our heading"/><w:basedOn w:val="H2"/></w:style>'
        '<w:style w:styleId="Loop"><w:name w:val="x"/><w:basedOn w:val="Loop"/></w:style>'
    )
    body = (
        p("By style", '<w:pStyle w:val="H2"/>')
        + p("By base", '<w:pStyle w:val="Ours"/>')
        + p("By outline", '<w:outlineLvl w:val="2"/>')
        + p("Not any more", '<w:pStyle w:val="H2"/><w:outlineLvl w:val="9"/>')
        + p("A style based on itself", '<w:pStyle w:val="Loop"/>')
    )

    extract = read("a.docx", word(body, styles=styles))

    assert [level for level, _ in blocks(extract)] == [2, 2, 3, 0, 0]


def test_word_merged_cells_are_read_once_and_columns_stay_in_place() -> None:
    rows = table(
        cell(p("Grade"), '<w:vMerge w:val="restart"/>') + cell(p("Fee"), '<w:gridSpan w:val="2"/>'),
        cell(p("Grade"), "<w:vMerge/>") + cell(p("Dog")) + cell(p("£12")),
    )

    extract = read("a.docx", word(rows))

    assert texts(extract) == ["Grade | Fee", "| Dog | £12"]
    assert extract.tables == 1


def test_word_nested_tables_follow_the_row_they_are_in() -> None:
    inner = table(cell(p("a")) + cell(p("b")))

    extract = read("a.docx", word(table(cell(p("Left") + inner) + cell(p("Right")))))

    assert texts(extract) == ["Left | Right", "a | b"]
    assert extract.tables == 2


def test_word_tables_that_only_frame_text_keep_its_paragraphs() -> None:
    body = table(cell(p("Rules", '<w:outlineLvl w:val="0"/>') + p("One.") + p("Two.")))

    assert blocks(read("a.docx", word(body))) == [(1, "Rules"), (0, "One."), (0, "Two.")]


def test_word_text_boxes_are_read_once_although_stored_twice() -> None:
    box = "<w:txbxContent><w:p><w:r><w:t>In the box</w:t></w:r></w:p></w:txbxContent>"
    body = (
        "<w:p><w:r><w:t>Before</w:t></w:r><w:r><mc:AlternateContent>"
        f'<mc:Choice Requires="wps"><w:drawing><wps:txbx>{box}</wps:txbx></w:drawing></mc:Choice>'
        f"<mc:Fallback><w:pict><v:textbox>{box}</v:textbox></w:pict></mc:Fallback>"
        f"</mc:AlternateContent></w:r></w:p>{p('After')}"
    )

    assert texts(read("a.docx", word(body))) == ["Before", "In the box", "After"]


def test_word_content_controls_are_read_around_paragraphs_runs_rows_and_cells() -> None:
    def held(inner: str) -> str:
        return f"<w:sdt><w:sdtPr><w:alias/></w:sdtPr><w:sdtContent>{inner}</w:sdtContent></w:sdt>"

    row = f"<w:tr>{held(cell(p('x')))}{cell(p('y'))}</w:tr>"
    body = (
        held(p("Whole"))
        + f"<w:p>{held('<w:r><w:t>Part</w:t></w:r>')}</w:p>"
        + f"<w:tbl>{held(row)}</w:tbl>"
    )

    assert texts(read("a.docx", word(body))) == ["Whole", "Part", "x | y"]


def test_word_tracked_changes_are_read_as_accepted() -> None:
    body = (
        "<w:p><w:r><w:t>Fee: </w:t></w:r><w:del><w:r><w:delText>£1</w:delText></w:r></w:del>"
        "<w:ins><w:r><w:t>£2</w:t></w:r></w:ins>"
        "<w:moveFrom><w:r><w:t>gone</w:t></w:r></w:moveFrom></w:p>"
    )

    extract = read("a.docx", word(body))

    assert texts(extract) == ["Fee: £2"]
    assert any("tracked changes" in warning for warning in extract.warnings)


def test_word_notes_stand_after_the_paragraph_that_refers_to_them() -> None:
    body = '<w:p><w:r><w:t>Claim.</w:t></w:r><w:r><w:footnoteReference w:id="2"/></w:r></w:p>'
    notes = "".join(
        f'<w:footnote w:id="{number}">{p(text)}</w:footnote>'
        for number, text in ((-1, "---"), (2, "Proof."))
    )

    extract = read("a.docx", word(body + p("Next."), footnotes=notes))

    assert texts(extract) == ["Claim.", "Proof.", "Next."]


def test_word_comments_are_counted_but_not_read() -> None:
    comments = f'<w:comment w:id="1">{p("Why?")}</w:comment>' * 3

    extract = read("a.docx", word(p("Text."), comments=comments))

    assert texts(extract) == ["Text."]
    assert extract.warnings == ("It has 3 comments, which are not read.",)


def test_word_hidden_text_is_left_out_with_a_warning() -> None:
    hidden = "<w:r><w:rPr><w:vanish/></w:rPr><w:t>Unseen</w:t></w:r>"
    body = f"<w:p><w:r><w:t>Seen</w:t></w:r>{hidden}</w:p>"

    extract = read("a.docx", word(body))

    assert extract.text == "Seen"
    assert extract.warnings == ("It has hidden text, which is not read.",)


def test_word_headers_and_footers_are_read_once_without_page_numbers() -> None:
    extract = read(
        "a.docx",
        word(
            p("Body."),
            header1=p("Policy 7"),
            header2=p("POLICY 7") + p("Body."),
            footer1=p("Page 1 of 3") + p("Valid from May"),
        ),
    )

    assert texts(extract) == ["Policy 7", "Body.", "Valid from May"]


def test_word_lists_carry_the_numbers_that_word_shows() -> None:
    def level(number: int, kind: str, text: str) -> str:
        return (
            f'<w:lvl w:ilvl="{number}"><w:start w:val="1"/><w:numFmt w:val="{kind}"/>'
            f'<w:lvlText w:val="{text}"/></w:lvl>'
        )

    def item(text: str, depth: int, number: int = 1) -> str:
        return p(text, f'<w:numPr><w:ilvl w:val="{depth}"/><w:numId w:val="{number}"/></w:numPr>')

    numbering = (
        f'<w:abstractNum w:abstractNumId="0">{level(0, "decimal", "%1.")}'
        f"{level(1, 'decimal', '%1.%2')}{level(2, 'lowerLetter', '(%3)')}</w:abstractNum>"
        f'<w:abstractNum w:abstractNumId="1">{level(0, "bullet", "·")}</w:abstractNum>'
        f'<w:abstractNum w:abstractNumId="2">{level(0, "upperRoman", "%1")}</w:abstractNum>'
        + "".join(
            f'<w:num w:numId="{n}"><w:abstractNumId w:val="{n - 1}"/></w:num>' for n in (1, 2, 3)
        )
    )
    body = (
        item("Scope", 0) + item("Staff", 1) + item("full time", 2) + item("part time", 2)
        + item("Visitors", 1) + item("Fees", 0) + item("Dogs", 1)
        + item("a point", 0, 2) + "".join(item("roman", 0, 3) for _ in range(4))
    )  # fmt: skip

    assert texts(read("a.docx", word(body, numbering=numbering))) == [
        "1. Scope", "1.1 Staff", "(a) full time", "(b) part time", "1.2 Visitors", "2. Fees",
        "2.1 Dogs", "a point", "I roman", "II roman", "III roman", "IV roman",
    ]  # fmt: skip


def test_word_equations_are_written_on_one_line() -> None:
    def run(text: str) -> str:
        return f"<m:r><m:t>{text}</m:t></m:r>"

    square = f"<m:sSup><m:e>{run('r')}</m:e><m:sup>{run('2')}</m:sup></m:sSup>"
    half = f"<m:f><m:num>{run('a+b')}</m:num><m:den>{run('2')}</m:den></m:f>"
    body = f"<w:p><w:r><w:t>Area:</w:t></w:r><m:oMath>{run('A=π')}{square}</m:oMath></w:p>"

    extract = read(
        "a.docx", word(body + f"<w:p><m:oMathPara><m:oMath>{half}</m:oMath></m:oMathPara></w:p>")
    )

    assert texts(extract) == ["Area: A=πr^2", "(a+b)/2"]


def test_word_tells_of_the_files_embedded_in_a_document() -> None:
    body = "<w:p><w:r><w:object><OLEObject/></w:object></w:r></w:p><w:altChunk/>"

    extract = read("a.docx", word(p("Text.") + body))

    assert extract.unread == ("It holds 2 embedded files. Save each on its own to have it read.",)


def test_word_diagrams_say_what_is_in_their_boxes() -> None:
    diagram = "<a:p xmlns:a='a'><a:r><a:t>Step one</a:t></a:r></a:p>"
    ids = '<relIds xmlns:r="r" r:dm="rdiagramData"/>'

    extract = read(
        "a.docx", word(f"<w:p><w:r><w:drawing>{ids}</w:drawing></w:r></w:p>", diagramData=diagram)
    )

    assert texts(extract) == ["Step one"]


def test_word_macros_are_ignored_with_a_warning() -> None:
    data = repacked(word(p("Text.")), {"word/vbaProject.bin": b"\xd0\xcf"})

    assert read("a.docm", data).warnings == ("It has macros, which are ignored.",)


def test_word_documents_of_strict_office_are_read() -> None:
    data = word(p("Strict.", '<w:outlineLvl w:val="0"/>') + p("Text."))
    strict = member(data, "word/document.xml").replace(
        W.encode(), b"http://purl.oclc.org/ooxml/wordprocessingml/main"
    )

    assert blocks(read("a.docx", repacked(data, {"word/document.xml": strict}))) == [
        (1, "Strict."),
        (0, "Text."),
    ]


def test_a_damaged_part_that_word_could_do_without_costs_only_itself() -> None:
    data = repacked(word(p("Text."), styles=""), {"word/styles.xml": b"<styles"})

    extract = read("a.docx", data)

    assert extract.text == "Text."
    assert "word/styles.xml" in extract.unread[0]


def test_word_links_outside_the_file_are_not_followed() -> None:
    links = (
        f'<Relationships xmlns="{RELATIONS}"><Relationship Id="r1" Type="{TYPES}/footnotes" '
        'TargetMode="External" Target="file:///etc/passwd"/></Relationships>'
    )
    data = repacked(word(p("Text.")), {"word/_rels/document.xml.rels": links.encode()})

    assert read("a.docx", data).text == "Text."


def test_word_documents_of_python_docx_keep_their_title() -> None:
    document = docx.Document()
    document.core_properties.title = "Travel"
    document.add_paragraph("Second class only.", style="List Bullet")

    extract = read("travel.docx", saved(document))

    assert (extract.title, extract.text) == ("Travel", "Second class only.")


def test_word_headings_alone_can_be_quoted() -> None:
    body = p("Closed on Mondays.", '<w:outlineLvl w:val="0"/>')

    extract = read("a.docx", word(body))

    assert (extract.title, blocks(extract)) == ("Closed on Mondays.", [(0, "Closed on Mondays.")])


# Packages that are not what they claim


BOMB = "<!DOCTYPE x [<!ENTITY a 'ha'><!ENTITY b '&a;&a;&a;&a;'>]>"
THIEF = "<!DOCTYPE x [<!ENTITY a SYSTEM 'file:///etc/passwd'>]>"


@pytest.mark.parametrize("prologue", [BOMB, THIEF, f"<!-- {'x' * 9000} -->{BOMB}"])
def test_entities_in_a_document_are_refused(prologue: str) -> None:
    with pytest.raises(Unreadable, match="declares XML entities"):
        read("a.docx", word(p("&b;"), prologue))


def test_entities_are_refused_in_any_encoding_and_any_part() -> None:
    hidden = f'<?xml version="1.0" encoding="UTF-16"?>{BOMB}<sst>&b;</sst>'.encode("utf-16")

    with pytest.raises(Unreadable, match=r"sharedstrings[.]xml” declares XML entities"):
        read("a.xlsx", repacked(sheet([["a", "b"]]), {"xl/sharedStrings.xml": hidden}))


def test_a_zip_bomb_is_refused_before_it_is_unpacked() -> None:
    data = repacked(word(p("Text.")), {"word/media/a.bin": bytes(80 * 1024 * 1024)})

    with pytest.raises(Unreadable, match="unpacks to 80 MiB"):
        read("a.docx", data)


def test_a_part_that_is_there_twice_is_refused() -> None:
    out = io.BytesIO(word(p("Text.")))
    with ZipFile(out, "a") as archive:
        archive.writestr("word/Document.xml", "<other/>")

    with pytest.raises(Unreadable, match="twice"):
        read("a.docx", out.getvalue())


def test_deep_nesting_is_refused_without_harm(tmp_path: Path) -> None:
    depth = 20_000
    data = word("<w:sdt>" * depth + p("Deep.") + "</w:sdt>" * depth)
    path = tmp_path / "a.docx"

    with Sandbox() as sandbox, pytest.raises(Unreadable, match="damaged"):
        path.write_bytes(data)
        with path.open("rb") as file:
            sandbox.read(path.name, file)


def test_nesting_that_xml_allows_but_we_do_not_is_refused() -> None:
    data = word("<w:sdt>" * 1500 + p("Deep.") + "</w:sdt>" * 1500)

    with pytest.raises(Unreadable, match=r"nested too deeply|damaged"):
        read("a.docx", data)


@pytest.mark.parametrize(
    ("name", "data", "reason"),
    [
        ("a.docx", zipped({"[Content_Types].xml": "", "word/x.xml": ""}), "lacks its part"),
        ("a.docx", zipped({"[Content_Types].xml": "", "word/document.xml": "<a"}), "is damaged"),
        ("a.docx", zipped({"[Content_Types].xml": "", "word/document.xml": "<a/>"}), "no body"),
        ("a.docx", word(""), "holds no text"),
        ("a.pptx", b"text", "called .pptx but its content is not"),
        ("a.xlsx", b"a,b\n", "called .xlsx but its content is not"),
        ("a.rtf", b"text", "called .rtf but its content is not"),
        ("a.xlsb", zipped({"[Content_Types].xml": "", "xl/workbook.bin": ""}), "binary workbook"),
        ("a.docx", b"\xd0\xcf\x11\xe0" + bytes(98) + LOCKED, "locked with a password"),
        ("a.csv", b" \n\n", "holds no text"),
        ("a.rtf", b"{\\rtf1 }", "holds no text"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_refused_with_a_reason(name: str, data: bytes, reason: str) -> None:
    with pytest.raises(Unreadable, match=reason):
        read(name, data)


# PowerPoint


def deck() -> "pptx.presentation.Presentation":
    return pptx.Presentation()


def picture() -> io.BytesIO:
    """Return the smallest GIF there is."""
    return io.BytesIO(
        b"GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\xff\xff\xff!\xf9\x04\x01\x00\x00\x00\x00,"
        b"\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02D\x01\x00;"
    )


def test_slides_are_pages_and_are_read_from_top_to_bottom_and_left_to_right() -> None:
    show = deck()
    slide = show.slides.add_slide(show.slide_layouts[5])
    for text, left, top in (("below", 1, 5), ("right", 5, 3), ("left", 1, 3.05)):
        box = slide.shapes.add_textbox(Inches(left), Inches(top), Inches(2), Inches(1))
        box.text_frame.text = text
    slide.shapes.title.text = "Fees"
    second = show.slides.add_slide(show.slide_layouts[1])
    second.shapes.title.text, second.placeholders[1].text = "Dogs", "One\nTwo"

    extract = read("a.pptx", saved(show))

    assert blocks(extract) == [
        (1, "Fees"), (0, "left"), (0, "right"), (0, "below"), (1, "Dogs"), (0, "One"), (0, "Two"),
    ]  # fmt: skip
    assert extract.text[extract.page_starts[1] :].startswith("Dogs")
    assert [page.state for page in extract.pages] == [PageState.TEXT, PageState.TEXT]


def test_slides_give_tables_groups_charts_and_notes() -> None:
    show = deck()
    slide = show.slides.add_slide(show.slide_layouts[6])
    group = slide.shapes.add_group_shape()
    group.shapes.add_textbox(0, 0, Inches(1), Inches(1)).text_frame.text = "In a group"
    grid = slide.shapes.add_table(2, 2, 0, Inches(2), Inches(3), Inches(1)).table
    for at, text in (((0, 0), "Fee"), ((1, 0), "Dog"), ((1, 1), "£12")):
        grid.cell(*at).text = text
    grid.cell(0, 0).merge(grid.cell(0, 1))
    data: Any = CategoryChartData()  # type: ignore[no-untyped-call]
    data.categories = ["2023", "2024"]
    data.add_series("Visitors", (10, 20))
    slide.shapes.add_chart(XL_CHART_TYPE.COLUMN_CLUSTERED, 0, Inches(4), Inches(3), Inches(3), data)
    slide.notes_slide.notes_text_frame.text = "Say hello"

    extract = read("a.pptx", saved(show))

    assert blocks(extract) == [
        (1, "In a group"),
        (0, "Fee"),
        (0, "Dog | £12"),
        (0, "Visitors | 2023: 10 | 2024: 20"),
        (0, "Notes: Say hello"),
    ]
    assert (extract.tables, extract.pages[0].tables) == (1, 1)


def test_slides_that_are_images_are_counted_as_not_read() -> None:
    show = deck()
    show.slides.add_slide(show.slide_layouts[5]).shapes.title.text = "Title"
    show.slides[0].shapes.add_textbox(0, 0, 9, 9).text_frame.text = "Text"
    show.slides.add_slide(show.slide_layouts[6]).shapes.add_picture(picture(), 0, 0)
    show.slides.add_slide(show.slide_layouts[6])

    extract = read("a.pptx", saved(show))

    states = [page.state for page in extract.pages]
    assert states == [PageState.TEXT, PageState.IMAGE, PageState.EMPTY]
    assert extract.unread == ("1 slide is an image. Save it as PDF and run OCR over it.",)


def test_a_deck_of_images_is_refused_with_what_to_do() -> None:
    show = deck()
    show.slides.add_slide(show.slide_layouts[6]).shapes.add_picture(picture(), 0, 0)

    with pytest.raises(Unreadable, match="slides are images"):
        read("a.pptx", saved(show))


def test_hidden_slides_are_read_with_a_warning() -> None:
    show = deck()
    for title in ("Shown", "Hidden"):
        slide = show.slides.add_slide(show.slide_layouts[1])
        slide.shapes.title.text, slide.placeholders[1].text = title, "Text"
    show.slides[1]._element.set("show", "0")

    extract = read("a.pptx", saved(show))

    assert "Hidden" in extract.text
    assert extract.warnings == ("It has hidden slides, which are read: 2.",)


# Excel


def sheet(rows: list[list[object]], **formats: str) -> bytes:
    """Return a workbook of one sheet; `formats` name the number format of cells by reference."""
    book = openpyxl.Workbook()
    page = book.worksheets[0]
    for row in rows:
        page.append(row)
    for reference, code in formats.items():
        page[reference].number_format = code
    return saved(book)


def test_each_row_of_a_sheet_names_its_columns() -> None:
    extract = read(
        "staff.xlsx",
        sheet([["Staff list"], ["Name", "Grade", "Pay"], ["Anna", 7, 31200], ["Ben", 8, None]],
              C3='"£"#,##0'),
    )  # fmt: skip

    assert blocks(extract) == [
        (1, "Sheet"),
        (0, "Staff list"),
        (0, "Name | Grade | Pay"),
        (0, "Name: Anna | Grade: 7 | Pay: £31,200"),
        (0, "Name: Ben | Grade: 8"),
    ]
    assert extract.tables == 1


def test_a_sheet_without_a_header_is_read_row_by_row() -> None:
    assert texts(read("a.xlsx", sheet([["Fee", 12], ["Term", 3]]))) == [
        "Sheet",
        "Fee | 12",
        "Term | 3",
    ]


@pytest.mark.parametrize(
    ("number", "code", "shown"),
    [
        (7.0, "General", "7"),
        (0.1 + 0.2, "General", "0.3"),
        (12345678901234, "General", "12345678901234"),
        (0.075, "0.0%", "7.5%"),
        (1234567.891, "#,##0.00", "1,234,567.89"),
        (-5, '#,##0;(#,##0)', "(5)"),
        (-5, '"£"#,##0', "-£5"),
        (31200, "[$€-407] #,##0.00", "€ 31,200.00"),
        (31200, '#,##0.00\\ "kr"', "31,200.00 kr"),
        (1500000, '0.0,,"m"', "1.5m"),
        (2.5, "0.##", "2.5"),
        (2, "0.##", "2"),
        (7, "000", "007"),
        (12000, "0.00E+00", "1.20E+04"),
        (date(2024, 5, 1), "dd/mm/yyyy", "2024-05-01"),
        (45413.604166666664, "d mmm yyyy h:mm", "2024-05-01 14:30"),
        (0.604166666666667, "h:mm", "14:30"),
        (1.25, "[h]:mm", "30:00"),
        (1e12, "yyyy-mm-dd", "1000000000000"),
        (True, "General", "TRUE"),
    ],
)  # fmt: skip
def test_numbers_are_written_as_the_sheet_shows_them(number: object, code: str, shown: str) -> None:
    assert texts(read("a.xlsx", sheet([[number]], A1=code))) == ["Sheet", shown]


def test_hidden_sheets_rows_and_comments_are_warned_about() -> None:
    book = openpyxl.Workbook()
    page = book.worksheets[0]
    page.append(["Seen"])
    page.append(["Hidden row"])
    page.row_dimensions[2].hidden = True
    page["A1"].comment = Comment("Why?", "me")
    secret = book.create_sheet("Secret")
    secret.append(["Hidden sheet"])
    secret.sheet_state = "hidden"

    extract = read("a.xlsx", saved(book))

    assert texts(extract) == ["Sheet", "Seen", "Hidden row", "Secret", "Hidden sheet"]
    assert extract.warnings == (
        "It has hidden sheets, which are read: Secret.",
        "It has hidden rows, which are read: 1.",
        "It has comments, which are not read: 1.",
    )


def test_formulas_without_a_result_are_told_of() -> None:
    extract = read("a.xlsx", sheet([["Total", "=SUM(B2:B9)"]]))

    assert texts(extract) == ["Sheet", "Total"]
    assert "formulas without a stored result were not read: 1" in extract.unread[0]


def test_a_million_empty_rows_and_a_wrong_dimension_cost_little() -> None:
    data = sheet([["Name", "Pay"], ["Anna", 1]])
    xml = member(data, "xl/worksheets/sheet1.xml")
    empty = b"".join(
        b'<row r="%d" s="1"><c r="A%d" s="0"/></row>' % (n, n) for n in range(3, 300_000)
    )
    last = b'<row r="1048576"><c r="A1048576" t="inlineStr"><is><t>Last</t></is></c></row>'
    xml = xml.replace(b'ref="A1:B2"', b'ref="A1:XFD1048576"')
    xml = xml.replace(b"</sheetData>", empty + last + b"</sheetData>")

    extract = read("a.xlsx", repacked(data, {"xl/worksheets/sheet1.xml": xml}))

    assert texts(extract)[2:] == ["Name: Anna | Pay: 1", "Name: Last"]


def test_a_damaged_sheet_costs_only_what_follows_in_it() -> None:
    data = sheet([["One"], ["Two"]])
    xml = member(data, "xl/worksheets/sheet1.xml")

    extract = read(
        "a.xlsx", repacked(data, {"xl/worksheets/sheet1.xml": xml[: xml.rindex(b"<row")]})
    )

    assert texts(extract) == ["Sheet", "One"]
    assert "sheet1.xml” is damaged" in extract.unread[0]


def test_text_boxes_on_a_sheet_follow_its_rows() -> None:
    link = (
        f'<R xmlns="{RELATIONS}"><Relationship Id="r1" Type="{TYPES}/drawing" '
        'Target="../drawings/drawing1.xml"/></R>'
    )
    box = '<d xmlns:a="a"><txBody><a:p><a:r><a:t>Prices from May</a:t></a:r></a:p></txBody></d>'
    parts = {"xl/worksheets/_rels/sheet1.xml.rels": link, "xl/drawings/drawing1.xml": box}

    extract = read("a.xlsx", repacked(sheet([["Dog"]]), {n: x.encode() for n, x in parts.items()}))

    assert texts(extract) == ["Sheet", "Dog", "Prices from May"]


@pytest.mark.parametrize("room", [Room(rows=3), Room(size=3 * 60)])
def test_rows_for_which_there_is_no_room_are_told_of(room: Room) -> None:
    draft = Draft()

    add_rows(draft, ({0: Cell(f"row {n}")} for n in range(10)), room)

    assert draft.finish("").text == "row 0\n\nrow 1\n\nrow 2"
    assert room.unread() == ["Only its first 3 rows were read. Split it into smaller files."]


# CSV


@pytest.mark.parametrize("delimiter", list(",;\t|"))
def test_csv_is_read_whatever_stands_between_its_cells(delimiter: str) -> None:
    rows = [["Name", "Note", "Pay"], ["Anna", '"a, b; c"', "31200"], ["Ben", "d", "7"]]
    source = "\r\n".join(delimiter.join(row) for row in rows)

    extract = read("staff.csv", source.encode())

    assert extract.title == "staff"
    assert texts(extract) == [
        "Name | Note | Pay",
        "Name: Anna | Note: a, b; c | Pay: 31200",
        "Name: Ben | Note: d | Pay: 7",
    ]


def test_commas_in_numbers_and_text_do_not_hide_the_semicolon() -> None:
    source = "Jahr;Umsatz\n2022;1.143,10\n2023;815,00\n"

    assert texts(read("a.csv", source.encode()))[1:] == [
        "Jahr: 2022 | Umsatz: 1.143,10",
        "Jahr: 2023 | Umsatz: 815,00",
    ]


def test_a_csv_cell_may_be_larger_than_the_csv_module_allows() -> None:
    long = "word " * 40_000

    assert read("a.csv", f"Name,Text\nAnna,{long}\n".encode()).text.endswith("word")


def test_a_quotation_mark_that_is_not_closed_does_not_swallow_the_rest() -> None:
    rows = "".join(f"n{n},{n}\n" for n in range(300))

    extract = read("a.csv", f'Name,Number\n"oops,1\n{rows}'.encode())

    assert len(extract.blocks) == 302
    assert extract.warnings == ("A quotation mark is not closed; all were taken for text.",)


def test_a_csv_of_one_column_is_read_line_by_line() -> None:
    assert texts(read("a.csv", b"Industry\nSales\nOther\n")) == ["Industry", "Sales", "Other"]


def test_years_can_name_columns() -> None:
    source = "Country,2023,2024\nChile,1,2\n"

    assert texts(read("a.csv", source.encode()))[1] == "Country: Chile | 2023: 1 | 2024: 2"


# OpenDocument


def test_odt_gives_headings_lists_tables_and_notes() -> None:
    document = OpenDocument("text")
    body = document.body
    body.clear()
    body.append(Header(2, "Trains"))
    noted = Paragraph("Second class only.")
    noted.insert_note(after="only", note_id="n1", citation="1", body="Since May.")
    body.append(noted)
    grid = Table("t")
    grid.append_row(Row())
    grid.set_values([["Hotel", "£150"]])
    body.append(grid)

    extract = read("a.odt", saved(document))

    assert blocks(extract) == [
        (2, "Trains"),
        (0, "Second class only."),
        (0, "Since May."),
        (0, "Hotel | £150"),
    ]


OPEN = " ".join(
    f'xmlns:{name}="urn:oasis:names:tc:opendocument:xmlns:{name}:1.0"'
    for name in ("office", "text", "table", "draw", "presentation")
)


def opened(kind: str, body: str, **parts: str) -> bytes:
    """Return an OpenDocument file of the XML of what is in its body."""
    stated = f"application/vnd.oasis.opendocument.{kind}"
    inner = f"<office:{kind}>{body}</office:{kind}>"
    content = f"<office:c {OPEN}><office:body>{inner}</office:body></office:c>"
    return zipped({"mimetype": stated, "content.xml": content, **parts})


def test_odt_reads_spaces_boxes_and_insertions_but_not_deletions_and_comments() -> None:
    body = (
        "<text:tracked-changes><text:p>Deleted</text:p></text:tracked-changes>"
        '<text:list><text:list-item><text:p>a<text:s text:c="2"/>b<text:tab/>c</text:p>'
        "</text:list-item></text:list>"
        "<text:p>Seen<office:annotation><text:p>Comment</text:p></office:annotation>"
        "<draw:frame><draw:text-box><text:p>Boxed</text:p></draw:text-box></draw:frame>, too"
        "</text:p>"
    )

    extract = read("a.odt", opened("text", body))

    assert texts(extract) == ["a  b\tc", "Seen, too", "Boxed"]
    assert extract.warnings[0] == "It has 1 comment, which are not read."


def test_ods_reads_rows_as_shown_and_repeated_ones_within_reason() -> None:
    def cells(*texts: str) -> str:
        return "".join(
            f'<table:table-cell office:value-type="{"string" if t.isalpha() else "float"}">'
            f"<text:p>{t}</text:p></table:table-cell>"
            for t in texts
        )

    body = (
        '<table:table table:name="Staff">'
        f"<table:table-row>{cells('Name', 'Pay')}</table:table-row>"
        f"<table:table-row>{cells('Anna', '£31,200')}</table:table-row>"
        '<table:table-row table:number-rows-repeated="1048574">'
        '<table:table-cell table:number-columns-repeated="16384"/></table:table-row></table:table>'
    )

    assert blocks(read("a.ods", opened("spreadsheet", body))) == [
        (1, "Staff"),
        (0, "Name | Pay"),
        (0, "Name: Anna | Pay: £31,200"),
    ]


def test_odp_reads_slides_as_pages() -> None:
    def slide(title: str, text: str) -> str:
        return (
            '<draw:page><draw:frame presentation:class="title"><draw:text-box>'
            f"<text:p>{title}</text:p></draw:text-box></draw:frame>"
            f"<draw:custom-shape><text:p>{text}</text:p></draw:custom-shape></draw:page>"
        )

    extract = read("a.odp", opened("presentation", slide("Fees", "£12") + slide("Dogs", "None")))

    assert blocks(extract) == [(1, "Fees"), (0, "£12"), (1, "Dogs"), (0, "None")]
    assert extract.text[extract.page_starts[1] :].startswith("Dogs")


def test_a_locked_opendocument_file_is_refused() -> None:
    manifest = "<manifest><file-entry><encryption-data/></file-entry></manifest>"

    with pytest.raises(Unreadable, match="locked with a password"):
        read("a.odt", opened("text", "", **{"META-INF/manifest.xml": manifest}))


# Rich text


def test_rtf_gives_paragraphs_headings_rows_notes_and_boxes() -> None:
    source = (
        r"{\rtf1\ansi\ansicpg1252{\fonttbl{\f0 Arial;}}{\info{\title Our fees}}"
        r"\pard\outlinelevel1 Fees\par\pard Dogs are \b not\b0  free."
        r"{\footnote\pard Since May.}\par"
        r"\trowd\intbl Dog\cell \'a312\cell\row\pard "
        r"{\shp{\*\shpinst{\sp{\sn a}{\sv 1}}{\shptxt\pard Boxed\par}}}The \u8364?5 end.\par}"
    )

    extract = read("a.rtf", source.encode("ascii"))

    assert extract.title == "Our fees"
    assert blocks(extract) == [
        (2, "Fees"),
        (0, "Dogs are not free."),
        (0, "Dog | £12"),
        (0, "The €5 end."),
        (0, "Since May."),
        (0, "Boxed"),
    ]


def test_rtf_knows_its_encoding_escaped_or_not() -> None:
    text = "Собака"
    raw = text.encode("cp1251")
    escaped = "".join(f"\\'{byte:02x}" for byte in raw).encode()

    source = b"{\\rtf1\\ansi\\ansicpg1251 " + raw + b"\\par " + escaped + b"\\par}"

    assert texts(read("a.rtf", source)) == [text, text]


def test_rtf_pictures_are_passed_over() -> None:
    picture = rb"{\pict\pngblip " + b"89504e47" * 100_000 + rb"}{\pict\bin9 {{{{{{{{{}"

    assert texts(read("a.rtf", b"{\\rtf1 Before\\par " + picture + b"After\\par}")) == [
        "Before",
        "After",
    ]


@pytest.mark.parametrize(
    ("data", "text"),
    [(b"{\\rtf1 Rich\\par}", "Rich"), (b"<html><body><p>Web</p></body></html>", "Web")],
)
def test_a_doc_that_is_something_else_is_read_as_what_it_is(data: bytes, text: str) -> None:
    assert read("a.doc", data).text == text
