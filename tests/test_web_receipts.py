"""Receipts over HTTP and from the command line, of a real service with a library of its own."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from answer.receipts import FILE
from retrieval import Library, SentenceTransformerEmbedder
from tests.conftest import running_server
from tests.test_web_api import ask, call, events
from tests.test_web_documents import read, send
from web.cli import main

FEE = "What does a moth licence cost?"
MOTHS = "# Moths\n\nA moth licence costs 17 crowns a year.\n"
NOBODY = "00000000-0000-4000-8000-000000000000"


class Service:
    """A real `footnote serve`, and the command line over the same library."""

    def __init__(self, url: str, home: Path) -> None:
        self.url, self.home = url, home
        self.moths = read(url, ("moths.md", MOTHS))["moths.md"]

    def receipt(self, answer_id: str) -> Any:
        return send("GET", f"{self.url}/v1/answers/{answer_id}")

    def footnote(self, *arguments: str, **environment: str) -> Result:
        given = [*arguments, "--home", str(self.home)]
        return CliRunner(env=environment).invoke(main, given)

    def verified(self, *ids: str) -> tuple[int, Any]:
        done = self.footnote("receipts", "verify", *ids, "--json")
        return done.exit_code, json.loads(done.stdout)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    home = tmp_path_factory.mktemp("service") / "library"
    with running_server(home) as url:
        yield Service(url, home)


def test_an_answer_is_there_again_by_its_id_as_it_was_given(service: Service) -> None:
    answer = ask(service.url, FEE, conversation="moths", filters={"media_types": ["md"]})

    status, headers, again = service.receipt(answer["id"])

    receipt = again.pop("receipt")
    assert (status, again) == (200, answer)
    assert headers["Cache-Control"] == "no-store"
    assert (receipt["id"], receipt["state"], receipt["notes"]) == (answer["id"], "as_it_was", [])
    assert receipt["filters"] == {"media_types": ["text/markdown"]}
    assert receipt["method"]["judge"].startswith("judge@")
    assert receipt["method"]["threshold"] == 0.5
    assert len(receipt["sha256"]) == 64


def test_a_streamed_answer_and_a_refusal_are_there_again_too(service: Service) -> None:
    *_, (_, streamed) = events(service.url, FEE)
    refused = ask(service.url, "Who won the 1998 World Cup?")

    for answer in (streamed, refused):
        status, _, again = service.receipt(answer["id"].upper())
        assert (status, again.pop("receipt")["state"]) == (200, "as_it_was")
        assert again == answer


@pytest.mark.parametrize(
    ("answer_id", "status", "says"),
    [
        (NOBODY, 404, "kept for 90 days"),
        ("newest", 422, "“newest” is no id of an answer"),
        ("x" * 300, 422, "is no id of an answer"),
    ],
)
def test_an_id_that_names_no_answer_is_a_problem(
    answer_id: str, status: int, says: str, service: Service
) -> None:
    got, headers, problem = service.receipt(answer_id)

    assert (got, problem["status"]) == (status, status)
    assert headers["Content-Type"] == "application/problem+json"
    assert says in problem["detail"]


def test_the_description_names_receipts(service: Service) -> None:
    _, _, described = call(f"{service.url}/openapi.json")

    assert described["paths"]["/v1/answers/{id}"]["get"]
    assert "receipt" in described["components"]["schemas"]["StoredAnswerReply"]["required"]


def test_ask_leaves_a_receipt_and_says_which(service: Service) -> None:
    done = service.footnote("ask", FEE)

    name = done.stderr.split("(receipt: ")[1].split(")")[0]
    assert service.receipt(name)[2]["question"] == FEE


def test_receipts_are_listed_and_shown(service: Service) -> None:
    answer = ask(service.url, FEE)

    listed = service.footnote("receipts", "list", "--limit", "1").stdout
    shown = service.footnote("receipts", "show", answer["id"]).stdout
    as_json = service.footnote("receipts", "show", answer["id"], "--json").stdout

    assert listed.startswith(answer["id"])
    assert FEE in listed
    assert answer["text"] in shown
    assert "as it was" in shown
    assert json.loads(as_json) == service.receipt(answer["id"])[2]


def test_a_question_cannot_order_the_terminal_about(service: Service) -> None:
    ask(service.url, f"{FEE}\x1b]0;owned\x07\nand a second line")

    listed = service.footnote("receipts", "list", "--limit", "1").stdout
    shown = service.footnote("receipts", "show", listed.split()[0]).stdout

    assert listed.removesuffix("\n").isprintable()
    assert FEE in listed
    assert shown.replace("\n", "").isprintable()


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("show", NOBODY), 1, "There is no receipt"),
        (("verify", NOBODY), 1, "There is no receipt"),
        (("prune", NOBODY), 1, "There is no receipt"),
        (("show", "newest"), 2, "no id of an answer"),
        (("prune", NOBODY, "--days", "3"), 2, "--days"),
    ],
)
def test_a_command_that_finds_none_says_so(
    arguments: tuple[str, ...], code: int, says: str, service: Service
) -> None:
    done = service.footnote("receipts", *arguments)

    assert (done.exit_code, done.stdout) == (code, "")
    assert says in done.stderr


def test_verify_tells_what_became_of_the_sources(service: Service) -> None:
    url = service.url
    name = read(url, ("newt.md", "# Newts\n\nA newt licence costs 23 crowns a year.\n"))["newt.md"]
    answer = ask(url, "What does a newt licence cost?")
    assert answer["citations"][0]["document_id"] == name
    assert service.verified(answer["id"])[1] == {
        "checked": 1,
        "as_it_was": 1,
        "changed": 0,
        "broken": 0,
        "receipts": [],
    }

    newer = read(url, ("newt.md", "# Newts\n\nA newt licence costs 29 crowns a year.\n"))["newt.md"]
    code, found = service.verified()

    assert (code, found["changed"], found["broken"]) == (0, 1, 0)
    assert found["checked"] == found["as_it_was"] + 1
    (told,) = found["receipts"]
    assert told["id"] == answer["id"]
    assert told["notes"] == [f"newt.md: the source has a newer revision, {newer}"]

    send("DELETE", f"{url}/v1/documents/{newer}?erase=true")
    code, found = service.verified(answer["id"])
    assert (code, found["changed"]) == (0, 1)
    assert "erased" in found["receipts"][0]["notes"][0]
    _, _, again = service.receipt(answer["id"])
    assert (again["text"], again["citations"][0]["quote"]) == ("", "")
    assert again["receipt"]["erased"] == [name]
    for path in filter(Path.is_file, service.home.rglob("*")):
        assert b"23 crowns" not in path.read_bytes(), path


def test_erasing_from_the_command_line_reaches_the_receipts_of_a_running_service(
    service: Service,
) -> None:
    read(service.url, ("toad.md", "# Toads\n\nA toad licence costs 71 crowns a year.\n"))
    answer = ask(service.url, "What does a toad licence cost?")
    assert "71 crowns" in answer["text"]

    done = service.footnote("documents", "withdraw", "toad.md", "--erase", "--yes")

    assert done.exit_code == 0, done.output
    for path in filter(Path.is_file, service.home.rglob("*")):
        assert b"71 crowns" not in path.read_bytes(), path
    assert service.receipt(answer["id"])[2]["text"] == ""


def test_verify_fails_when_a_receipt_is_not_what_was_written(service: Service) -> None:
    answer = ask(service.url, FEE)
    with closing(sqlite3.connect(service.home / FILE, isolation_level=None)) as db:
        change = "UPDATE receipt SET content = replace(content, '17 crowns', '18 crowns')"
        db.execute(f"{change} WHERE id = ?", (answer["id"],))

    done = service.footnote("receipts", "verify")

    assert done.exit_code == 1
    (line,) = (line for line in done.stdout.splitlines() if "broken: " in line)
    assert line.startswith(answer["id"])
    assert "the receipt is not what was written" in line
    assert done.stdout.strip().endswith("1 broken")
    assert service.receipt(answer["id"])[2]["receipt"]["state"] == "broken"
    assert "1 receipts are not what was written" in service.footnote("doctor").stdout

    assert service.footnote("receipts", "prune", answer["id"]).exit_code == 0
    assert service.footnote("receipts", "verify").exit_code == 0


def test_doctor_makes_up_for_an_erasure_that_was_cut_off(
    service: Service, embedder: SentenceTransformerEmbedder
) -> None:
    name = read(service.url, ("eft.md", "# Efts\n\nAn eft licence costs 37 crowns.\n"))["eft.md"]
    answer = ask(service.url, "What does an eft licence cost?")
    with closing(Library(service.home, embedder)) as library:
        library.withdraw([name], erase=True)

    told = service.footnote("doctor")
    code, found = service.verified(answer["id"])
    mended = service.footnote("doctor", "--repair")

    assert (told.exit_code, code, found["broken"], mended.exit_code) == (1, 1, 1, 0)
    assert "Words of 1 erased documents stand in receipts" in told.stdout
    assert service.verified(answer["id"])[1]["changed"] == 1


def test_prune_removes_receipts(service: Service) -> None:
    answer = ask(service.url, FEE)

    done = service.footnote("receipts", "prune", "--days", "0", "--json")

    assert json.loads(done.stdout)["kept"] == 0
    assert service.receipt(answer["id"])[0] == 404


def test_a_receipts_file_that_is_damaged_costs_no_answer_and_doctor_names_it(
    tmp_path: Path,
) -> None:
    server = running_server(tmp_path / "library")
    with server as url:
        service = Service(url, tmp_path / "library")
        (service.home / FILE).write_bytes(b"no database at all" * 1000)
        answers = [ask(url, FEE), ask(url, FEE)]
        status, _, problem = service.receipt(answers[0]["id"])
        erased = send("DELETE", f"{url}/v1/documents/{service.moths}?erase=true")

    assert all("17 crowns" in answer["text"] for answer in answers)
    assert (status, FILE in problem["detail"]) == (503, True)
    assert (erased[0], FILE in erased[2]["detail"]) == (503, True)
    lines = [json.loads(line) for line in server.log.read_text().splitlines() if "{" in line]
    assert (
        len([line for line in lines if "receipts of answers are not stored" in line["message"]])
        == 1
    )
    done = service.footnote("doctor")
    assert done.exit_code == 1
    assert f"receipts: {FILE}: " in done.stdout


def test_where_questions_are_not_kept_an_answer_is_there_without_its_own(service: Service) -> None:
    done = service.footnote("ask", FEE, "--json", FOOTNOTE_RECEIPTS_QUESTIONS="no")

    answer = json.loads(done.stdout)
    again = service.receipt(answer["id"])[2]
    assert (again["question"], again["text"]) == ("", answer["text"])
    assert "(the question is not kept)" in service.footnote("receipts", "list").stdout


def test_where_no_receipts_are_kept_nothing_offers_one(tmp_path: Path, service: Service) -> None:
    with running_server(tmp_path / "library", receipts_days="0") as url:
        answer = ask(url, FEE)
        status, _, problem = send("GET", f"{url}/v1/answers/{answer['id']}")
        page = call(f"{url}/")[2]

    assert (status, "switched off" in problem["detail"]) == (404, True)
    assert 'class="receipt"' not in page
    assert 'class="receipt"' in call(f"{service.url}/")[2]
    assert not (tmp_path / "library" / FILE).exists()
