"""Untrusted files: whatever one does to its reader, it ends with a clear reason and alone."""

import io
import os
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import docx
import pytest

from answer.engine import LlamaProcess
from answer.model import find_model
from ingest import Sandbox
from ingest.confinement import Protections, seccomp
from ingest.errors import Unreadable
from ingest.sandbox import Limits, Reading
from ingest.types import Extract, PageState

linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has seccomp and Landlock")

LIMITS = Limits(wait_s=3.0, page_s=1.5, memory_mib=512, unpacked_mib=5, members=20)
MIB = 2**20


@contextmanager
def holding(data: bytes | str) -> Iterator[BinaryIO]:
    """An open file."""
    with tempfile.TemporaryFile() as file:
        file.write(data.encode() if isinstance(data, str) else data)
        file.flush()
        yield file


@pytest.fixture(scope="module")
def hostile() -> Iterator[Sandbox]:
    """A child with readers that do what the first line of a file says; see tests/hostile.py."""
    with Sandbox(LIMITS, module="tests.hostile") as sandbox:
        yield sandbox


def read(sandbox: Sandbox, data: bytes | str, name: str = "a.txt") -> Reading:
    with holding(data) as file:
        return sandbox.read(name, file)


def text(sandbox: Sandbox, data: bytes | str, name: str = "a.txt") -> str:
    with read(sandbox, data, name) as reading:
        return reading.extract.text


def reason(sandbox: Sandbox, data: bytes | str, name: str = "a.txt") -> str:
    with pytest.raises(Unreadable) as refused:
        read(sandbox, data, name).close()
    return str(refused.value)


def test_a_file_comes_back_as_text_with_its_kind_and_its_reader(sandbox: Sandbox) -> None:
    with read(sandbox, "# Title\n\nSome words.", "a.md") as reading:
        assert reading.extract.title == "Title"
        assert reading.media_type == "text/markdown"
        assert reading.reader.startswith("text/markdown;v=")
        assert not reading.members


def test_a_file_is_read_from_its_start_and_its_position_is_left_alone(sandbox: Sandbox) -> None:
    with holding("Some words.") as file:
        file.seek(4)
        with sandbox.read("a.txt", file) as reading:
            assert reading.extract.text == "Some words."
        assert file.tell() == 4


def test_what_is_still_in_the_buffer_is_read_too(sandbox: Sandbox) -> None:
    with tempfile.TemporaryFile() as file:
        file.write(b"Some words.")
        with sandbox.read("a.txt", file) as reading:
            assert reading.extract.text == "Some words."


def test_a_pipe_is_refused_and_does_not_hang(sandbox: Sandbox) -> None:
    ours, theirs = os.pipe()
    with os.fdopen(ours, "rb") as file, pytest.raises(Unreadable, match="ordinary file"):
        sandbox.read("a.txt", file)
    os.close(theirs)


@linux
def test_every_protection_is_in_force_here(sandbox: Sandbox) -> None:
    """Each was tried in the child, so this fails where a kernel has less."""
    assert sandbox.protections() == Protections(*[True] * 6)
    assert sandbox.protections().missing == ()


REFUSED = """
connect pair read_passwords read_project write_file write_beside write_to_it change_mode fork
start_program leave_group kill_parent kill_all starve_parent raise_limit share_memory overfill
""".split()


@linux
@pytest.mark.parametrize("act", REFUSED)
def test_a_reader_gone_bad_is_refused(act: str, hostile: Sandbox, tmp_path: Path) -> None:
    target = tmp_path / "a.txt"

    assert text(hostile, act, str(target)).startswith("refused: ")
    assert not target.exists()
    assert not Path("/tmp/footnote-was-here").exists()


@linux
def test_a_reader_cannot_move_where_its_owner_reads(hostile: Sandbox) -> None:
    with holding("move_in_it") as file, hostile.read("a.txt", file) as reading:
        assert reading.extract.text == "done: 10"
        assert file.tell() == 10
        assert os.lseek(file.fileno(), 0, os.SEEK_CUR) == 10


def test_a_reader_sees_nothing_of_our_environment(
    hostile: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_TOKEN", "x")
    hostile.close()

    assert "SECRET" not in text(hostile, "look_around")


def test_a_reader_may_use_threads_and_print(hostile: Sandbox) -> None:
    assert text(hostile, "start_thread") == "ran"
    assert text(hostile, "print_much") == "printed"
    assert text(hostile, "fine") == "fine"


LOST = {
    "loop": "longer than 3 s",
    "ignore_processor_limit": "longer than 3 s",
    "burn": "longer than allowed",
    "swallow": "more than 512 MiB of memory",
    "die": "memory ran out",
    "crash": "crashed the reader .SIGSEGV",
    "abort": "crashed the reader .SIGABRT",
    "leave": "status 7",
    "hang_up": "stopped talking",
    "babble": "no sense",
    "flood": "more than 64 MiB of text",
    "nest": "no sense",
    "lie": "no sense",
    "overlap": "no sense",
    "many_parts": "more than 4000000 parts",
}


@linux
@pytest.mark.parametrize("act", LOST)
def test_a_lost_reader_has_a_reason_and_the_next_file_is_read(act: str, hostile: Sandbox) -> None:
    with pytest.raises(Unreadable, match=LOST[act]):
        read(hostile, act)
    assert text(hostile, "fine") == "fine"


def test_an_answer_out_of_turn_is_not_taken_for_the_next(hostile: Sandbox) -> None:
    assert text(hostile, "speak_twice") == "once"
    time.sleep(0.4)

    assert text(hostile, "fine") == "fine"


def test_a_child_that_ended_meanwhile_is_replaced_unnoticed(hostile: Sandbox) -> None:
    text(hostile, "fine")
    for child in children():
        os.kill(child, 9)
    time.sleep(0.1)

    assert text(hostile, "fine") == "fine"


def test_a_child_outlives_the_thread_that_it_was_started_in(hostile: Sandbox) -> None:
    """The kernel ends the child with that thread; the next file gets another."""
    hostile.close()
    thread = threading.Thread(target=text, args=(hostile, "fine"))
    thread.start()
    thread.join()

    assert text(hostile, "fine") == "fine"


def test_sandboxes_work_side_by_side() -> None:
    said: list[str] = []

    def work(number: int) -> None:
        with Sandbox(LIMITS, module="tests.hostile") as own:
            said.extend(text(own, f"fine {number}.{n}") for n in range(20))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(set(said)) == 80


def test_nothing_is_left_behind_however_often_a_child_is_lost() -> None:
    """No descriptor, no process and no zombie after a dozen reads, half of them fatal."""
    with Sandbox(LIMITS, module="tests.hostile") as own:
        text(own, "fine")
        files, processes = descriptors(), len(children())
        for _ in range(6):
            reason(own, "crash")
            read(own, "members").close()

        assert descriptors() == files
        assert len(children()) == processes
    assert len(children()) == processes - 1


def descriptors() -> int:
    return len(list(Path("/dev/fd").iterdir()))


def children() -> list[int]:
    """Return our child processes that look like readers, zombies among them."""
    listed = subprocess.run(["ps", "-eo", "pid,ppid,args"], capture_output=True, text=True)
    rows = [line.split(None, 2) for line in listed.stdout.splitlines()[1:]]
    ours = [row for row in rows if row[1] == str(os.getpid()) and not row[2].startswith("ps ")]
    return [int(row[0]) for row in ours if "hostile" in row[2] or "defunct" in row[2]]


@linux
def test_the_child_ends_with_its_parent_even_when_busy(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("ignore_processor_limit")
    code = (
        "from ingest.sandbox import Sandbox; import sys\n"
        "sandbox = Sandbox(module='tests.hostile'); sandbox.protections()\n"
        "print(sandbox._reader._child.pid, flush=True)\n"
        "sandbox.read('a.txt', open(sys.argv[1], 'rb'))"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "a.txt")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout
        child = int(parent.stdout.readline())
        time.sleep(0.3)
        parent.kill()
    time.sleep(0.3)

    state = subprocess.run(["ps", "-o", "stat=", "-p", str(child)], capture_output=True, text=True)
    assert state.stdout[:1] in ("", "Z"), "ended, if not yet reaped by the system"


def test_files_inside_come_out_in_order(hostile: Sandbox) -> None:
    with read(hostile, "members") as reading:
        names = [(taken.name, taken.problem) for taken in reading.members]
        copies = [copy_of(reading, number) for number in range(3)]

    assert names == [("a/../../x", ""), ("b", "It is locked."), ("c", "")]
    assert copies == [b"one", b"", b"three"]


def copy_of(reading: Reading, number: int) -> bytes:
    target = io.BytesIO()
    reading.members[number].copy_to(target)
    return target.getvalue()


def test_a_file_inside_can_be_read_while_the_outer_one_is_open(hostile: Sandbox) -> None:
    with read(hostile, "members") as outer, tempfile.TemporaryFile() as file:
        outer.members[0].copy_to(file)
        with hostile.read("x", file) as inner:
            assert inner.extract.text == "one"
        assert copy_of(outer, 2) == b"three"


@pytest.mark.parametrize(
    ("act", "taken", "why"),
    [
        ("many_members", 20, "it holds more"),
        ("large_members", 5, "over 5 MiB"),
        ("broken_members", 1, "ValueError: torn"),
    ],
)
def test_what_was_not_taken_out_is_said(act: str, taken: int, why: str, hostile: Sandbox) -> None:
    with read(hostile, act) as reading:
        (unread,) = reading.extract.unread

        assert len(reading.members) == taken
        assert f"Only {taken} of the files in it were taken out" in unread
        assert why in unread


def test_what_a_child_takes_back_is_missed(hostile: Sandbox) -> None:
    with read(hostile, "empty_spool") as reading:
        time.sleep(0.4)

        with pytest.raises(Unreadable, match="lost while it was taken out"):
            copy_of(reading, 0)


def states(reading: Reading) -> str:
    return " ".join(page.state for page in reading.extract.pages)


def test_images_are_recognised_page_by_page(hostile: Sandbox) -> None:
    done: list[tuple[int, int]] = []
    with holding("images\nfine") as file:
        reading = hostile.read("a.pdf", file, progress=lambda *at: done.append(at))

    with reading:
        assert states(reading) == "ocr ocr ocr"
        assert reading.extract.text == "page 1\n\npage 2\n\npage 3"
    assert done == [(1, 3), (2, 3), (3, 3)]


@linux
@pytest.mark.parametrize("trouble", ["crash", "loop", "fork"])
def test_a_page_that_breaks_its_recogniser_costs_no_other(trouble: str, hostile: Sandbox) -> None:
    with read(hostile, f"images\n{trouble}") as reading:
        assert states(reading) == "ocr image ocr"
    assert len(children()) == 1, "all that the recogniser started is gone"


@linux
@pytest.mark.parametrize("act", ["write", "connect", "kill"])
def test_what_recognises_may_start_programs_and_no_more(act: str, hostile: Sandbox) -> None:
    with read(hostile, f"images\n{act}") as reading:
        assert "refused: " in reading.extract.text


def test_images_stay_images_where_recognition_is_off() -> None:
    with Sandbox(LIMITS, module="tests.hostile", ocr=False) as own, read(own, "images") as reading:
        assert states(reading) == "image image image"
        assert PageState.OCR not in {page.state for page in reading.extract.pages}


def word_file(document: bytes) -> bytes:
    """A Word file with another document in it."""
    whole, broken = io.BytesIO(), io.BytesIO()
    docx.Document().save(whole)
    with zipfile.ZipFile(whole) as old, zipfile.ZipFile(broken, "w") as new:
        for name in old.namelist():
            if name != "word/document.xml":
                new.writestr(name, old.read(name))
        if document:
            new.writestr("word/document.xml", document, zipfile.ZIP_DEFLATED)
    return broken.getvalue()


def test_entities_that_multiply_are_not_expanded(sandbox: Sandbox) -> None:
    entities = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 12))
    bomb = (
        f'<?xml version="1.0"?><!DOCTYPE d [<!ENTITY e0 "{"x" * 1000}">{entities}]>'
        '<w:document xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main">'
        "<w:body><w:p><w:r><w:t>&e11;</w:t></w:r></w:p></w:body></w:document>"
    )
    started = time.monotonic()

    try:
        assert len(text(sandbox, word_file(bomb.encode()), "a.docx")) < MIB
    except Unreadable as refused:
        assert str(refused)
    assert time.monotonic() - started < 10


def test_ten_gibibytes_of_zeros_in_a_word_file_are_refused(sandbox: Sandbox) -> None:
    assert reason(sandbox, zip_bomb(word_file(b"")), "a.docx")
    assert text(sandbox, "still here") == "still here"


def zip_bomb(whole: bytes) -> bytes:
    """Add a member of 10 GiB of zeros, made of one compressed piece said over and over."""
    times, piece = 640, bytes(16 * MIB)
    squeeze = zlib.compressobj(9, zlib.DEFLATED, -15)
    first = squeeze.compress(piece) + squeeze.flush(zlib.Z_FULL_FLUSH)
    again = squeeze.compress(piece) + squeeze.flush(zlib.Z_FULL_FLUSH)
    squeezed = first + again * (times - 1) + squeeze.flush()
    file = io.BytesIO(whole)
    with zipfile.ZipFile(file, "a") as archive:
        member = zipfile.ZipInfo("word/document.xml")
        member.compress_type = zipfile.ZIP_DEFLATED
        member.header_offset = archive.start_dir
        member.CRC = 0
        member.file_size, member.compress_size = times * len(piece), len(squeezed)
        file.seek(archive.start_dir)
        file.write(member.FileHeader(zip64=True) + squeezed)
        archive.start_dir = file.tell()
        archive.filelist.append(member)
        archive.NameToInfo[member.filename] = member
        archive._didModify = True  # type: ignore[attr-defined]
    return file.getvalue()


def pdf(*objects: str) -> bytes:
    """A PDF of these objects, numbered from 1, the first its catalogue."""
    body = b"%PDF-1.4\n"
    places = []
    for number, content in enumerate(objects, start=1):
        places.append(len(body))
        body += f"{number} 0 obj\n{content}\nendobj\n".encode()
    table = "".join(f"{place:010} 00000 n \n" for place in places)
    size = len(objects) + 1
    end = f"xref\n0 {size}\n0000000000 65535 f \n{table}trailer\n<< /Size {size} /Root 1 0 R >>\n"
    return body + f"{end}startxref\n{len(body)}\n%%EOF\n".encode()


CATALOGUE = "<< /Type /Catalog /Pages 2 0 R >>"
HOSTILE_PDFS = {
    "pages that hold themselves": pdf(CATALOGUE, "<< /Type /Pages /Kids [2 0 R] /Count 1 >>"),
    "an object that is itself": pdf("1 0 R"),
    "a length that is itself": pdf(
        CATALOGUE,
        "<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        "<< /Type /Page /Parent 2 0 R /Contents 4 0 R /MediaBox [0 0 9 9] >>",
        "<< /Length 4 0 R >>\nstream\nBT ET\nendstream",
    ),
    "a hundred thousand pages": pdf(
        CATALOGUE,
        f"<< /Type /Pages /Kids [{'3 0 R ' * 100_000}] /Count 100000 >>",
        "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 9 9] >>",
    ),
}


@pytest.mark.parametrize("kind", HOSTILE_PDFS)
def test_a_hostile_pdf_ends_in_time(kind: str) -> None:
    started = time.monotonic()

    with Sandbox(Limits(wait_s=5.0)) as own:
        try:
            assert not text(own, HOSTILE_PDFS[kind], "a.pdf")
        except Unreadable as refused:
            assert str(refused)
        assert text(own, "still here") == "still here"
    assert time.monotonic() - started < 15


def test_a_large_empty_file_costs_its_parent_nothing() -> None:
    """64 MiB with nothing in them but a word never reach the parent."""
    code = (
        "import sys, resource; from ingest.sandbox import Sandbox\n"
        "def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "with Sandbox() as sandbox, open(sys.argv[1], 'rb') as file:\n"
        "    before = peak()\n"
        "    try: sandbox.read('a.txt', file)\n"
        "    except Exception as problem: print(peak() - before, problem)"
    )
    with tempfile.NamedTemporaryFile() as file:
        file.write(b"word")
        file.truncate(64 * MIB)
        command = [sys.executable, "-c", code, file.name]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)

    kib, problem = done.stdout.split(" ", 1)
    assert "not text" in problem or "MiB of memory" in problem
    assert int(kib) < 20 * 1024


def test_a_reader_that_takes_no_time_at_all_is_stopped() -> None:
    with Sandbox(Limits(wait_s=0.0)) as impatient:
        assert "longer than 0 s" in reason(impatient, "Too slow for this limit.")


def test_a_child_that_cannot_start_is_one_clear_error() -> None:
    with Sandbox(module="tests.no_such_module") as own:
        assert "could not be started" in reason(own, "Some words.")


def test_code_in_the_current_folder_is_never_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("docx", "queue", "lxml", "json"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('planted code ran')")
    monkeypatch.chdir(tmp_path)

    with Sandbox() as own:
        assert text(own, "Safe and sound.") == "Safe and sound."
    model = LlamaProcess(find_model(None))
    model.start()
    model.close()


@pytest.mark.parametrize(
    "reply",
    [
        {"page_starts": [-5, 99]},
        {"text": "a\ud800"},
        {"blocks": [[3, 1, 0, ""]]},
        {"blocks": [[0, 99, 0, ""]]},
        {"blocks": [[0, 1, 10**30, ""]]},
        {"title": None},
        {"tables": 10**30},
    ],
    ids=str,
)
def test_what_comes_out_of_the_sandbox_is_checked(reply: dict[str, Any]) -> None:
    sound = Extract("", "abcd", ()).to_json()
    Extract.from_json(sound)

    with pytest.raises(ValueError, match=r"order|clean|page|level|number"):
        Extract.from_json({**sound, **reply})


@pytest.mark.parametrize("machine", seccomp.ARCHITECTURES)
@pytest.mark.parametrize("programs", [True, False])
def test_the_filter_fits_the_kernel_and_every_jump_stays_in_it(
    machine: str, programs: bool
) -> None:
    code = seccomp.assemble(machine, programs=programs, signals=programs)

    assert len(code) < 4096
    for place, (kind, if_true, if_false, _) in enumerate(code):
        assert place + 1 + max(if_true, if_false) < len(code) or kind == seccomp.RETURN


@linux
def test_no_call_is_refused_under_a_wrong_number() -> None:
    """The table is compared with the C library's own, where its headers are installed."""
    headers = list(Path("/usr/include").glob("**/asm/unistd_64.h"))
    if not headers or os.uname().machine != "x86_64":
        pytest.skip("no headers of this architecture")
    lines = [line.split() for line in headers[0].read_text().splitlines()]
    real = {words[1][5:]: int(words[2]) for words in lines if "#define __NR_" in " ".join(words)}
    ours = seccomp._numbers(seccomp.CALLS + seccomp.PROGRAMS + seccomp.LOOKED_INTO, "x86_64")

    assert {name: real.get(name, number) for name, number in ours.items()} == ours
