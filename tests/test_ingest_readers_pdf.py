"""The PDF reader: where text stands, what became of each page, and files made to do harm."""

import io
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from PIL import Image, ImageDraw, ImageFont
from pypdf import PdfReader, PdfWriter
from pypdf.annotations import FreeText, Text
from pypdf.constants import PageLabelStyle, UserAccessPermissions
from pypdf.generic import (
    ArrayObject,
    DictionaryObject,
    NameObject,
    NumberObject,
    StreamObject,
    TextStringObject,
)
from reportlab.lib.pagesizes import A4
from reportlab.lib.utils import ImageReader
from reportlab.pdfgen.canvas import Canvas

from ingest import ocr
from ingest.errors import Unreadable
from ingest.readers import pdf
from ingest.types import Extract, File, PageState

LOREM = (
    "The committee met on the third of May and went through the accounts of the year before.",
    "It found that the roof of the town hall had cost more than twice what was planned, and",
    "that nobody had been told. The treasurer explained that the slates had to be replaced.",
)


def drawn(*pages: Callable[[Canvas], None]) -> bytes:
    """A PDF whose pages these functions draw."""
    out = io.BytesIO()
    canvas = Canvas(out, pagesize=A4, invariant=1)
    for page in pages:
        canvas.setFont("Helvetica", 11)
        page(canvas)
        canvas.showPage()
    canvas.save()
    return out.getvalue()


def typed(*lines: str, left: float = 72, top: float = 760) -> Callable[[Canvas], None]:
    """A page of lines set one below the other."""

    def draw(canvas: Canvas) -> None:
        for number, line in enumerate(lines):
            canvas.drawString(left, top - 14 * number, line)

    return draw


def raw(*objects: str, trailer: str = "") -> bytes:
    """A PDF from its objects' bodies, the catalog first, as somebody may write one to do harm."""
    out = bytearray(b"%PDF-1.7\n")
    places = []
    for number, body in enumerate(objects, start=1):
        places.append(len(out))
        out += f"{number} 0 obj\n{body}\nendobj\n".encode("latin-1")
    start = len(out)
    out += f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n".encode()
    out += b"".join(f"{place:010} 00000 n \n".encode() for place in places)
    out += f"trailer\n<</Size {len(objects) + 1}/Root 1 0 R{trailer}>>\n".encode()
    out += f"startxref\n{start}\n%%EOF\n".encode()
    return bytes(out)


def stream(content: str, entries: str = "") -> str:
    return f"<</Length {len(content)}{entries}>>\nstream\n{content}\nendstream"


def changed(data: bytes, change: Callable[[PdfWriter], None]) -> bytes:
    """The file after a change with pypdf's writer."""
    writer = PdfWriter(clone_from=PdfReader(io.BytesIO(data)))
    change(writer)
    out = io.BytesIO()
    writer.write(out)
    return out.getvalue()


def read(data: bytes, passwords: Sequence[str] = (), ocr: dict[int, str] | None = None) -> Extract:
    return pdf.read(File("a.pdf", data, passwords, ocr or {}))


def blocks(extract: Extract) -> list[str]:
    return [extract.text[b.start : b.stop] for b in extract.blocks]


def states(extract: Extract) -> list[PageState]:
    return [page.state for page in extract.pages]


def scanned(text: str) -> Callable[[Canvas], None]:
    """A page that is a picture of a text."""
    image = Image.new("L", (1240, 1754), 255)
    ImageDraw.Draw(image).text((120, 160), text, fill=0, font=ImageFont.load_default(size=48))

    def draw(canvas: Canvas) -> None:
        canvas.drawImage(ImageReader(image), 0, 0, *A4)

    return draw


# Order, paragraphs


def test_lines_become_paragraphs_and_a_line_with_room_to_spare_ends_one() -> None:
    extract = read(drawn(typed(*LOREM, "That was all.", *LOREM)))

    assert blocks(extract) == [" ".join([*LOREM, "That was all."]), " ".join(LOREM)]


def test_a_wider_gap_ends_a_paragraph() -> None:
    def draw(canvas: Canvas) -> None:
        typed(*LOREM)(canvas)
        typed(*LOREM, top=690)(canvas)

    assert blocks(read(drawn(draw))) == [" ".join(LOREM)] * 2


def test_a_paragraph_goes_on_over_the_end_of_a_page() -> None:
    extract = read(drawn(typed(*LOREM, "Before that, he had"), typed("asked three roofers.")))

    assert blocks(extract) == [f"{' '.join(LOREM)} Before that, he had asked three roofers."]
    assert extract.text[extract.page_starts[1] :] == "asked three roofers."


def test_columns_are_read_one_after_the_other_even_when_drawn_across() -> None:
    left = ["All of the animals that live in", "the park are counted in May,", "by two people"] * 2
    right = [
        "Whoever finds a deer that has",
        "been hurt must call the office",
        "and stay there",
    ] * 2

    def draw(canvas: Canvas) -> None:
        for number, (a, b) in enumerate(zip(left, right, strict=True)):
            canvas.drawString(60, 760 - 14 * number, a)
            canvas.drawString(320, 760 - 14 * number, b)

    text = " ".join(read(drawn(draw)).text.split())

    assert text.index("by two people") < text.index("Whoever finds a deer")
    assert "live in the park are counted in May, by two" in text


def test_a_page_drawn_in_no_order_is_read_from_top_to_bottom() -> None:
    lines = [f"Rule {n} of the house is that this line stands in place {n}." for n in range(24)]

    def draw(canvas: Canvas) -> None:
        for number in sorted(range(24), key=lambda n: n * 7 % 24):
            canvas.drawString(72, 760 - 14 * number, lines[number])

    assert " ".join(read(drawn(draw)).text.split()) == " ".join(lines)


@pytest.mark.parametrize(
    ("before", "after", "joined"),
    [
        ("He asked for an exam-", "ination of the roof.", "an examination of"),
        ("It was a long-", "term plan for the roof.", "a long-term plan"),
        ("He paid in Septem-", "ber. In September it rains.", "in September. In"),
        ("It is a well-", "known roof. A well-known one.", "a well-known roof"),
        ("It is from 1998-", "2004, say the papers.", "1998-2004"),
    ],
)
def test_a_hyphen_goes_where_it_parts_a_word_and_stays_where_it_is_one(
    before: str, after: str, joined: str
) -> None:
    words = "In the long run each term counts, as is known, and so it is with every roof there is."

    assert joined in read(drawn(typed(words, "", before, after))).text


def test_headers_and_footers_are_left_out_though_the_pages_alternate() -> None:
    def page(number: int) -> Callable[[Canvas], None]:
        def draw(canvas: Canvas) -> None:
            canvas.drawString(72, 800, "Roofs" if number % 2 else "A guide for committees")
            canvas.drawString(72, 700, f"{'ABCDEFGH'[number]} is what this page says.")
            canvas.drawString(300, 40, f"{number + 1}")

        return draw

    extract = read(drawn(*(page(number) for number in range(8))))

    assert blocks(extract) == [f"{letter} is what this page says." for letter in "ABCDEFGH"]


def test_a_page_is_not_left_empty_because_others_say_the_same() -> None:
    assert "Page 2" in read(drawn(*(typed(f"Page {n}") for n in range(5)))).text


def test_text_drawn_twice_to_look_bold_is_read_once() -> None:
    def draw(canvas: Canvas) -> None:
        canvas.drawString(72, 700, "Important")
        canvas.drawString(72.3, 700, "Important")

    assert read(drawn(draw)).text == "Important"


def test_the_number_of_a_footnote_does_not_break_its_line() -> None:
    def draw(canvas: Canvas) -> None:
        text = canvas.beginText(72, 700)
        text.textOut("The roof")
        text.setFont("Helvetica", 6)
        text.setRise(5)
        text.textOut("1")
        text.setFont("Helvetica", 11)
        text.setRise(0)
        text.textOut(" is new.")
        canvas.drawText(text)

    assert read(drawn(draw)).text == "The roof1 is new."


def test_a_page_that_lies_on_its_side_is_read() -> None:
    def draw(canvas: Canvas) -> None:
        canvas.rotate(90)
        for number, line in enumerate(LOREM):
            canvas.drawString(72, -100 - 14 * number, line)

    assert read(drawn(draw)).text == " ".join(LOREM)


def test_text_inside_forms_is_read_where_it_stands() -> None:
    def draw(canvas: Canvas) -> None:
        canvas.beginForm("below")
        canvas.setFont("Helvetica", 11)
        canvas.drawString(0, 0, "Second.")
        canvas.endForm()
        canvas.drawString(72, 700, "First.")
        canvas.translate(72, 650)
        canvas.doForm("below")

    assert blocks(read(drawn(draw))) == ["First.", "Second."]


def with_characters(*mapped: str) -> tuple[str, ...]:
    """A file that shows the bytes 1, 2, 3… from left to right, and says what they stand for."""
    codes = "".join(f"{n:02x}" for n in range(1, len(mapped) + 1))
    pairs = "".join(
        f"<{n:02x}> <{text.encode('utf-16-be').hex()}>\n" for n, text in enumerate(mapped, start=1)
    )
    cmap = f"{len(mapped)} beginbfchar\n{pairs}endbfchar"
    return (
        "<</Type/Catalog/Pages 2 0 R>>",
        TREE,
        PAGE.replace("/BaseFont", "/ToUnicode 5 0 R/BaseFont"),
        stream(f"BT /F 12 Tf 72 700 Td <{codes}> Tj ET"),
        stream(f"1 begincodespacerange <00> <ff> endcodespacerange\n{cmap}"),
    )


@pytest.mark.parametrize(
    ("seen", "text"),
    [
        (("ש", "ל", "ו", "ם")[::-1], "שלום"),
        (("\u0645", "\u0627", "\u0644\u0623"), "\u0644\u0623\u0627\u0645"),
        (("1", "2", " ", "ב", "א"), "אב 12"),
        (("o", "\ufb03", "c", "e"), "office"),
    ],
    ids=["Hebrew", "an Arabic ligature", "a number in Hebrew", "a Latin ligature"],
)
def test_letters_stand_in_the_order_they_are_read(seen: tuple[str, ...], text: str) -> None:
    assert read(raw(*with_characters(*seen))).text == text


def test_letters_that_a_font_does_not_name_are_left_to_ocr() -> None:
    extract = read(raw(*with_characters(*"\ue001\ue002\ue003\ue004")))

    assert states(extract) == [PageState.IMAGE]
    assert extract.text == ""


def test_the_outline_makes_headings_whatever_their_numbers() -> None:
    def draw(canvas: Canvas) -> None:
        for level, name in enumerate(("Roofs", "Slates")):
            canvas.bookmarkPage(name)
            canvas.addOutlineEntry(name, name, level)
        typed("1 Roofs", *LOREM, "1.1 Slates", *LOREM)(canvas)

    extract = read(drawn(draw))

    assert [(b.level, b.title) for b in extract.blocks if b.level] == [
        (1, "1 Roofs"),
        (2, "1.1 Slates"),
    ]


# Tables


def table(canvas: Canvas) -> None:
    rows = (
        ("Cash", "27,502", "34,940"),
        ("Receivables of every kind, less what", "", ""),
        ("will not be paid", "21,803", "(26,278)"),
        ("Total", "49,305", "61,218"),
    )
    for x, lines in ((400, ("June 25,", "2022")), (500, ("September 25,", "2021"))):
        for number, line in enumerate(lines):
            canvas.drawRightString(x, 720 - 10 * number, line)
    for number, (label, *figures) in enumerate(rows):
        canvas.drawString(72, 690 - 14 * number, label)
        for x, figure in zip((400, 500), figures, strict=True):
            canvas.drawRightString(x, 690 - 14 * number, figure)
        if figures[0]:
            canvas.drawString(340, 690 - 14 * number, "$")


def test_a_row_of_a_table_is_one_block_with_its_label_and_figures() -> None:
    extract = read(drawn(table))

    assert blocks(extract) == [
        "June 25, 2022 | September 25, 2021",
        "Cash | $ 27,502 | 34,940",
        "Receivables of every kind, less what will not be paid | $ 21,803 | (26,278)",
        "Total | $ 49,305 | 61,218",
    ]
    assert extract.tables == extract.pages[0].tables == 1


def test_wide_spaces_in_one_line_make_no_table() -> None:
    assert read(drawn(typed("Chairman        Treasurer"))).tables == 0


# What became of each page


def test_each_page_says_what_became_of_it() -> None:
    extract = read(drawn(typed(*LOREM), lambda _: None, scanned("Deer"), typed("Short.")))

    assert states(extract) == [PageState.TEXT, PageState.EMPTY, PageState.IMAGE, PageState.TEXT]
    assert len(extract.page_starts) == 4
    assert len(extract.unread) == 1
    assert extract.unread[0].startswith("Page 3 is an image")


def test_a_scan_with_a_stamp_is_an_image_but_its_stamp_is_kept() -> None:
    def draw(canvas: Canvas) -> None:
        scanned("Deer")(canvas)
        canvas.drawString(450, 800, "Received 3 May")

    extract = read(drawn(draw))

    assert states(extract) == [PageState.IMAGE]
    assert extract.text == "Received 3 May"


def test_a_logo_does_not_make_an_image_of_a_page() -> None:
    def draw(canvas: Canvas) -> None:
        canvas.drawImage(ImageReader(Image.new("L", (50, 50), 9)), 450, 780, 60, 60)
        canvas.drawString(72, 700, "Thank you.")

    assert states(read(drawn(draw))) == [PageState.TEXT]


def test_letters_drawn_as_shapes_are_an_image() -> None:
    def draw(canvas: Canvas) -> None:
        for number in range(40):
            path = canvas.beginPath()
            path.moveTo(72 + number, 700)
            for x in range(20):
                path.curveTo(72 + x, 700, 73 + x, 705, 74 + x, 710 + number)
            canvas.drawPath(path)

    assert states(read(drawn(draw))) == [PageState.IMAGE]


def test_recognised_text_takes_the_place_of_an_image() -> None:
    data = drawn(typed(*LOREM), scanned("Deer"))

    extract = read(data, ocr={2: "All deer are\ncounted in May.\n\nBy two people.\n"})

    assert states(extract) == [PageState.TEXT, PageState.OCR]
    assert blocks(extract)[1:] == ["All deer are counted in May.", "By two people."]
    assert extract.unread == ()


def test_a_damaged_page_does_not_take_the_others_with_it() -> None:
    data = raw(
        "<</Type/Catalog/Pages 2 0 R>>",
        "<</Type/Pages/Count 2/Kids[3 0 R 4 0 R]>>",
        f"<</Type/Page/Parent 2 0 R/Contents 5 0 R{BOX_AND_FONT}>>",
        f"<</Type/Page/Parent 2 0 R/Contents 6 0 R{BOX_AND_FONT}>>",
        stream("BT /F 12 Tf 72 700 Td (Still here.) Tj ET"),
        stream("not lzw at all", "/Filter[/LZWDecode/FlateDecode/NoSuchFilter]"),
    )

    extract = read(data)

    assert states(extract) == [PageState.TEXT, PageState.FAILED]
    assert extract.text == "Still here."
    assert "Page 2 is damaged" in extract.unread[0]


def test_a_file_that_pypdf_gives_up_on_is_read_with_pdfium() -> None:
    data = drawn(typed("The roof is new.")).replace(b"startxref", b"startxxxx")
    data = data[: data.rindex(b"%%EOF")]

    extract = read(data)

    assert extract.text == "The roof is new."
    assert "PDFium" in extract.warnings[0]


def test_printed_page_numbers_are_known() -> None:
    def label(writer: PdfWriter) -> None:
        writer.set_page_label(0, 1, style=PageLabelStyle.LOWERCASE_ROMAN)
        writer.set_page_label(2, 2, prefix="A-", style=PageLabelStyle.DECIMAL, start=1)

    extract = read(changed(drawn(*[typed("Some text.")] * 3), label))

    assert [page.label for page in extract.pages] == ["i", "ii", "A-1"]


def test_pages_have_no_label_where_the_file_gives_none() -> None:
    assert read(drawn(typed("Some text."))).pages[0].label == ""


# Locked files


@pytest.mark.parametrize("algorithm", ["RC4-128", "AES-128", "AES-256"])
def test_a_locked_file_is_read_with_one_of_the_passwords(algorithm: str) -> None:
    def lock(writer: PdfWriter) -> None:
        writer.encrypt("deer", "stag", algorithm=algorithm)

    data = changed(drawn(typed("The roof is new.")), lock)

    assert read(data, passwords=["wrong", "deer"]).text == "The roof is new."
    with pytest.raises(Unreadable, match=r"password.*--passwords"):
        read(data, passwords=["wrong"])


def test_a_file_that_only_its_owner_may_change_is_read() -> None:
    def lock(writer: PdfWriter) -> None:
        allowed = UserAccessPermissions(0)
        writer.encrypt("", "stag", permissions_flag=allowed, algorithm="AES-256")

    assert read(changed(drawn(typed("The roof is new.")), lock)).text == "The roof is new."


# Forms, notes, attachments, scripts


def test_what_is_filled_into_a_form_is_read() -> None:
    def draw(canvas: Canvas) -> None:
        canvas.drawString(72, 760, "Application")
        form = canvas.acroForm
        form.textfield(name="who", tooltip="Name", value="Rosa Diaz", x=72, y=700)
        form.textfield(name="empty", tooltip="Left out", value="", x=72, y=650)
        form.checkbox(name="dog", tooltip="Has a dog", checked=True, x=72, y=600)
        form.checkbox(name="cat", tooltip="Has a cat", checked=False, x=72, y=550)

    assert blocks(read(drawn(draw))) == ["Application", "Name: Rosa Diaz", "Has a dog: Yes"]


def test_notes_and_comments_are_read_and_links_are_not() -> None:
    def annotate(writer: PdfWriter) -> None:
        writer.add_annotation(0, FreeText(text="Approved.", rect=(50, 550, 200, 650)))
        writer.add_annotation(0, Text(text="Is that so?", rect=(50, 450, 200, 550)))

    def draw(canvas: Canvas) -> None:
        canvas.linkURL("https://example.org", (72, 690, 200, 710))
        canvas.drawString(72, 700, "The roof is new.")

    extract = read(changed(drawn(draw), annotate))

    assert blocks(extract) == ["The roof is new.", "Approved.", "Note: Is that so?"]


def test_attached_files_are_members_and_scripts_are_warned_about() -> None:
    def attach(writer: PdfWriter) -> None:
        writer.add_attachment("roof.txt", b"Slates")
        script = {"/S": NameObject("/JavaScript"), "/JS": TextStringObject("app.alert(1)")}
        writer.root_object[NameObject("/OpenAction")] = DictionaryObject(
            {NameObject(key): value for key, value in script.items()}
        )

    extract = read(changed(drawn(typed("See attached.")), attach))

    assert [(m.name, m.data) for m in extract.members] == [("roof.txt", b"Slates")]
    assert any("JavaScript" in warning for warning in extract.warnings)


# Files made to do harm

BOX_AND_FONT = (
    "/MediaBox[0 0 612 792]/Resources<</Font<</F<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>>>>>"
)
PAGE = f"<</Type/Page/Parent 2 0 R/Contents 4 0 R{BOX_AND_FONT}>>"
SAYS = "BT /F 12 Tf 72 700 Td (Still here.) Tj ET"
TREE = "<</Type/Pages/Count 1/Kids[3 0 R]>>"


@pytest.mark.parametrize(
    "objects",
    [
        pytest.param(
            (
                "<</Type/Catalog/Pages 2 0 R>>",
                "<</Type/Pages/Count 99999999/Kids[3 0 R]>>",
                PAGE,
                stream(SAYS),
            ),
            id="a count that lies",
        ),
        pytest.param(
            (
                "<</Type/Catalog/Pages 2 0 R>>",
                "<</Type/Pages/Count 2/Kids[3 0 R 2 0 R]>>",
                PAGE,
                stream(SAYS),
            ),
            id="a page tree that holds itself",
        ),
        pytest.param(
            (
                "<</Type/Catalog/Pages 2 0 R/Outlines 5 0 R>>",
                TREE,
                PAGE,
                stream(SAYS),
                "<</First 6 0 R/Last 6 0 R>>",
                "<</Title(Loop)/Next 6 0 R/First 6 0 R/Parent 6 0 R/Dest[3 0 R/Fit]>>",
            ),
            id="an outline that holds itself",
        ),
        pytest.param(
            (
                "<</Type/Catalog/Pages 2 0 R>>",
                TREE,
                PAGE.replace("/Font<<", "/XObject<</X 5 0 R>>/Font<<"),
                stream(f"{SAYS} /X Do"),
                stream(
                    "/X Do /X Do",
                    "/Type/XObject/Subtype/Form/BBox[0 0 9 9]/Resources<</XObject<</X 5 0 R>>>>",
                ),
            ),
            id="a form that draws itself",
        ),
        pytest.param(
            (
                "<</Type/Catalog/Pages 2 0 R/AcroForm<</Fields[5 0 R]>>>>",
                TREE,
                PAGE[:-2] + "/Annots[5 0 R 3 0 R 99 0 R]>>",
                stream(SAYS),
                "<</Subtype/Widget/FT/Tx/T(a)/Parent 5 0 R/Kids[5 0 R]>>",
            ),
            id="a field that is its own parent",
        ),
        pytest.param(
            ("<</Type/Catalog/Pages 2 0 R>>", TREE, PAGE, stream(f"{'q ' * 50_000}{SAYS}")),
            id="a state saved without end",
        ),
        pytest.param(
            ("<</Type/Catalog/Pages 2 0 R>>", TREE, PAGE, stream(f"{SAYS} {'[' * 5_000} TJ")),
            id="arrays nested deeply, after the text",
        ),
        pytest.param(
            (
                "<</Type/Catalog/Pages 2 0 R/PageLabels<</Nums[0 6 0 R 0]>>>>",
                TREE,
                PAGE,
                stream(f"/F Tf Td (a) Tm {SAYS} 1 0 cm (x) Tw"),
            ),
            id="operators without operands",
        ),
    ],
)
def test_a_file_made_to_do_harm_is_still_read(objects: tuple[str, ...]) -> None:
    began = time.perf_counter()

    assert "Still here." in read(raw(*objects)).text
    assert time.perf_counter() - began < 10


def test_forms_that_draw_forms_a_million_times_come_to_an_end() -> None:
    form = "/Type/XObject/Subtype/Form/BBox[0 0 9 9]/Resources<</XObject<</X {} 0 R>>>>"
    forms = [stream("/X Do " * 10, form.format(number)) for number in range(6, 16)]
    page = PAGE.replace("/Font<<", "/XObject<</X 5 0 R>>/Font<<")
    objects = ["<</Type/Catalog/Pages 2 0 R>>", TREE, page, stream(f"{SAYS} /X Do"), *forms]
    began = time.perf_counter()

    assert read(raw(*objects, stream("", "/Subtype/Form"))).text == "Still here."
    assert time.perf_counter() - began < 10


def test_a_bomb_of_a_stream_costs_its_page_only() -> None:
    writer = PdfWriter(clone_from=PdfReader(io.BytesIO(drawn(typed("Before."), typed("Bomb.")))))
    bomb = StreamObject()
    bomb.set_data(b" " * 200_000_000)
    writer.pages[1][NameObject("/Contents")] = writer._add_object(bomb.flate_encode(9))
    out = io.BytesIO()
    writer.write(out)

    extract = read(out.getvalue())

    assert extract.text == "Before."
    assert states(extract)[0] is PageState.TEXT


def test_a_page_too_many_is_said_not_to_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pdf, "MOST_PAGES", 2)

    extract = read(drawn(*(typed(f"{word} is here.") for word in ("One", "Two", "Three"))))

    assert extract.unread == ("Pages 3 to 3 are not read: split the file.",)


def test_arrays_as_long_as_tagged_files_have_are_read() -> None:
    def tag(writer: PdfWriter) -> None:
        kids = ArrayObject(NumberObject(1) for _ in range(150_000))
        writer.root_object[NameObject("/StructTreeRoot")] = DictionaryObject(
            {NameObject("/K"): kids, NameObject("/Note"): TextStringObject("long")}
        )

    assert read(changed(drawn(typed("The roof is new.")), tag)).text == "The roof is new."


@pytest.mark.parametrize(
    "data",
    [
        b"%PDF-1.7\nnonsense",
        b"%PDF-1.7\n",
        raw("<</Type/Catalog>>"),
        raw("<</Type/Catalog/Pages 1 0 R>>"),
    ],
    ids=["nonsense", "nothing", "no pages", "a catalog for pages"],
)
def test_a_file_without_pages_is_refused_as_damaged(data: bytes) -> None:
    with pytest.raises(Unreadable, match="damaged PDF"):
        read(data)


@pytest.mark.parametrize("cut", [0.3, 0.6, 0.9])
def test_a_file_cut_short_is_read_or_refused_but_never_raises_otherwise(cut: float) -> None:
    data = drawn(*[typed(*LOREM)] * 5)
    try:
        read(data[: int(cut * len(data))])
    except Unreadable as problem:
        assert "damaged" in str(problem)


# OCR


needs_tesseract = pytest.mark.skipif(
    not ocr.available(), reason="Tesseract is not installed (apt-get install tesseract-ocr)"
)


@needs_tesseract
def test_an_image_is_recognised() -> None:
    data = drawn(typed(*LOREM), scanned("All deer are counted in May"))

    assert ocr.recognise(File("a.pdf", data), 2) == "All deer are counted in May"


@needs_tesseract
def test_a_locked_file_is_recognised_with_its_password() -> None:
    data = changed(drawn(scanned("All deer are counted")), lambda w: w.encrypt("deer"))

    assert "deer" in ocr.recognise(File("a.pdf", data, ["wrong", "deer"]), 1)


@needs_tesseract
def test_recognising_keeps_within_the_limits_of_a_sandbox_and_writes_no_file(
    tmp_path: Path,
) -> None:
    """It is run in a process that may write no byte to a file, with 2 GiB of memory."""
    scan = tmp_path / "scan.pdf"
    scan.write_bytes(drawn(scanned("All deer are counted in May")))
    script = (
        "import sys; from pathlib import Path; from ingest import ocr; from ingest.types import"
        " File; print(ocr.recognise(File('a.pdf', Path(sys.argv[1]).read_bytes()), 1))"
    )

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (2**31, 2**31))
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
        resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))

    done = subprocess.run(
        [sys.executable, "-Bc", script, str(scan)],
        capture_output=True,
        text=True,
        preexec_fn=limit,
        check=False,
        cwd=Path(pdf.__file__).parents[2],
    )

    assert done.stdout.strip() == "All deer are counted in May", done.stderr


@needs_tesseract
@pytest.mark.parametrize("page", [0, 2])
def test_a_page_that_is_not_there_cannot_be_recognised(page: int) -> None:
    with pytest.raises(Unreadable, match="could not be drawn"):
        ocr.recognise(File("a.pdf", drawn(scanned("Deer"))), page)


def test_a_huge_page_is_rendered_within_bounds() -> None:
    from ingest.readers import pdfium

    out = io.BytesIO()
    canvas = Canvas(out, pagesize=(14_000, 14_000))
    canvas.showPage()
    canvas.save()
    with pdfium.opened(out.getvalue(), ()) as document:
        assert len(pdfium.grey(document, 0)) < 1.1 * pdfium.MOST_PIXELS


def test_the_advice_about_images_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda _: None)

    assert ocr.advice([3]) == (
        "Page 3 is an image: install Tesseract (apt-get install tesseract-ocr) and ingest again."
    )
    assert ocr.advice(range(1, 13)).startswith("12 pages are images: install Tesseract")
