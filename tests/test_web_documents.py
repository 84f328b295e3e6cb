"""Changing documents over HTTP: uploads, withdrawal, runs of the ingest job, and who may."""

import errno
import json
import os
import re
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from flask import Flask
from flask.testing import FlaskClient
from openapi_spec_validator import validate

import web.uploads
from answer import Answerer
from answer.judge import judged_by
from answer.receipts import Receipts
from retrieval import Library, SentenceTransformerEmbedder
from retrieval.errors import LibraryBusy, LibraryUnwritable
from retrieval.types import Run, RunState
from tests.conftest import JUDGE, running_server
from web import create_app, ingestions
from web.guard import Guard, read_token
from web.ingestions import Ingestions
from web.settings import Settings, SettingsError
from web.uploads import MOST_FILES, plain_name
from web.wiring import Services, child_environment

TOKEN = "correct-horse-battery-staple"
RUN_S = 90.0
BOUNDARY = "----7MA4YWxkTrZu0gW"

Given = tuple[str, str | bytes]


def send(
    method: str, url: str, body: Any = None, headers: Mapping[str, str] | None = None
) -> tuple[int, Any, Any]:
    """Return status, headers and the parsed body."""
    data = json.dumps(body).encode() if isinstance(body, dict) else body
    sent = {"Content-Type": "application/json"} if isinstance(body, dict) else {}
    request = urllib.request.Request(url, data, {**sent, **(headers or {})}, method=method)
    try:
        with urllib.request.urlopen(request, timeout=60) as reply:
            return reply.status, reply.headers, _parsed(reply)
    except urllib.error.HTTPError as reply:
        with reply:
            return reply.code, reply.headers, _parsed(reply)


def _parsed(reply: Any) -> Any:
    text = reply.read().decode()
    return json.loads(text) if "json" in reply.headers["Content-Type"] else text


def form(*files: Given, field: str = "file") -> bytes:
    parts = b""
    for name, content in files:
        named = name.replace("\\", "\\\\").replace('"', '\\"')
        head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{field}"; filename="{named}"'
        data = content.encode() if isinstance(content, str) else content
        parts += head.encode() + b"\r\n\r\n" + data + b"\r\n"
    return parts + f"--{BOUNDARY}--\r\n".encode()


FORM = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}


def post_files(url: str, *files: Given) -> tuple[int, Any, Any]:
    return send("POST", f"{url}/v1/documents", form(*files), FORM)


def upload(url: str, *files: Given) -> str:
    """Upload files and return the id of the run that reads them."""
    status, headers, reply = post_files(url, *files)
    assert status == 202, reply
    assert headers["Location"] == f"/v1/ingestions/{reply['ingestion']['id']}"
    return str(reply["ingestion"]["id"])


def follow(url: str, run_id: str) -> list[tuple[str, Any]]:
    """Return the events of a run, up to its end."""
    request = urllib.request.Request(
        f"{url}/v1/ingestions/{run_id}", headers={"Accept": "text/event-stream"}
    )
    with urllib.request.urlopen(request, timeout=RUN_S) as reply:
        assert reply.headers["Content-Type"].startswith("text/event-stream")
        blocks = reply.read().decode().strip().split("\n\n")
    named = [block.split("\n", 1) for block in blocks if not block.startswith(":")]
    return [
        (name.removeprefix("event: "), json.loads(data.removeprefix("data: ")))
        for name, data in named
    ]


def ended(url: str, run_id: str) -> dict[str, Any]:
    name, run = follow(url, run_id)[-1]
    assert name == "ended"
    assert isinstance(run, dict)
    return run


def read(url: str, *files: Given) -> dict[str, str]:
    """Upload files, wait until they are read, and return the ids of their documents by path."""
    run = ended(url, upload(url, *files))
    assert run["state"] == "done", run
    return ids(url)


def ids(url: str) -> dict[str, str]:
    _, _, listed = send("GET", f"{url}/v1/documents")
    return {document["path"]: document["id"] for document in listed["documents"]}


def everything(url: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return all documents by id, and all other files by path."""
    _, _, listed = send("GET", f"{url}/v1/documents?state=all")
    return (
        {document["id"]: document for document in listed["documents"]},
        {file["path"]: file for file in listed["files"]},
    )


def found(url: str, query: str) -> str:
    _, _, reply = send("POST", f"{url}/v1/search", {"query": query})
    return " ".join(hit["text"] for hit in reply["hits"])


def until(holds: Callable[[], Any], wait_s: float = RUN_S) -> Any:
    end = time.monotonic() + wait_s
    while not (value := holds()):
        assert time.monotonic() < end
        time.sleep(0.05)
    return value


@contextmanager
def held(library: Library) -> Iterator[None]:
    """Hold the right to write, once whoever has it has let go: runs have to wait then."""
    end = time.monotonic() + RUN_S
    with ExitStack() as stack:
        while True:
            try:
                stack.enter_context(library.writing())
                break
            except LibraryBusy:
                assert time.monotonic() < end
                time.sleep(0.1)
        yield


def ingesting(pid: int) -> list[int]:
    """Return the processes of a service that ingest."""
    children = [
        int(child)
        for task in Path(f"/proc/{pid}/task").iterdir()
        for child in (task / "children").read_text().split()
    ]
    return [c for c in children if b"web.lifeline" in Path(f"/proc/{c}/cmdline").read_bytes()]


def long_text(name: str) -> str:
    """Return a text that takes a while to embed."""
    lines = (f"The {name} rule {n} says that item {n * 7} is kept {n} days." for n in range(300))
    return f"# {name}\n\n" + "\n\n".join(lines)


class Service:
    """A real `footnote serve` over a library of its own, with two folders to read again."""

    def __init__(self, url: str, pid: int, home: Path, folders: list[Path]) -> None:
        self.url, self.pid, self.home, self.folders = url, pid, home, folders


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    top = tmp_path_factory.mktemp("service")
    folders = [top / "rules", top / "forms"]
    for folder in folders:
        folder.mkdir()
    (folders[0] / "parking.md").write_text("# Parking\n\nA parking permit costs 31 euros.\n")
    (folders[0] / "broken.pdf").write_bytes(b"%PDF-1.7 nonsense")
    (folders[1] / "forms.md").write_text("# Forms\n\nForm 88-Z registers a beehive.\n")
    server = running_server(top / "library", folders=",".join(map(str, folders)))
    with server as url:
        yield Service(url, server.process.pid, top / "library", folders)


@pytest.fixture
def own(service: Service, embedder: SentenceTransformerEmbedder) -> Iterator[Library]:
    """The service's library, opened by another process: this one."""
    with closing(Library(service.home, embedder)) as library:
        yield library


@pytest.fixture
def app_of(tmp_path: Path, embedder: SentenceTransformerEmbedder) -> Iterator[Callable[..., Flask]]:
    """Makes an application without a model, with these settings."""
    with ExitStack() as stack:

        def make(**given: Any) -> Flask:
            settings = Settings(home=tmp_path / "library", **given)
            library = stack.enter_context(closing(Library(settings.home, embedder)))
            runs = Ingestions(library, child_environment(settings))
            stack.enter_context(closing(runs))
            answerer = Answerer(
                library, None, judgement=judged_by(embedder, JUDGE), passages=6, threshold=0.5
            )
            receipts = Receipts(settings.home, library)
            services = Services(settings, embedder, library, None, answerer, runs, receipts)
            return create_app(services)

        yield make


@pytest.fixture
def client(app_of: Callable[..., Flask]) -> FlaskClient:
    return app_of().test_client()


# Uploads


def test_an_uploaded_file_is_read_and_answered_from(service: Service) -> None:
    status, _, reply = post_files(service.url, ("moths.md", "# Moths\n\nA moth licence is £17.\n"))
    events = follow(service.url, reply["ingestion"]["id"])

    assert status == 202
    assert [(file["path"], file["state"]) for file in reply["files"]] == [("moths.md", "waiting")]
    assert {name for name, _ in events[:-1]} == {"progress"}
    assert events[-1][0] == "ended"
    run = events[-1][1]
    assert (run["state"], run["problem"], run["files"]) == ("done", None, [])
    assert run["progress"]["stage"] == "done"
    assert "£17" in found(service.url, "moth licence")
    _, _, answer = send(
        "POST", f"{service.url}/v1/answers", {"question": "What is a moth licence?"}
    )
    assert any(c["path"] == "moths.md" for c in answer["citations"])


def test_several_files_are_read_by_one_run(service: Service) -> None:
    known = read(service.url, ("one.md", "# One\n\nOne is one."), ("two.txt", "Two is two."))

    assert {"one.md", "two.txt"} <= set(known)


def test_a_bad_file_among_several_means_that_none_is_taken(service: Service) -> None:
    status, _, problem = post_files(
        service.url, ("fine.md", "Fine."), ("setup.exe", b"MZ\x90"), ("nothing.md", b"")
    )

    assert status == 422
    assert "setup.exe: It is a program" in problem["detail"]
    assert "nothing.md: It is empty." in problem["detail"]
    assert "None of the files was taken" in problem["detail"]
    assert "fine.md" not in everything(service.url)[1]


@pytest.mark.parametrize(
    ("files", "says"),
    [
        ([("setup.exe", "not even a program")], ".docx"),
        ([("data.bin", b"\x00\x01")], ".pdf"),
        ([("notes.txt", b"\x7fELF\x02")], "a program"),
        ([("scan.md", b"\x89PNG\r\n\x1a\n")], "a picture (PNG)"),
        ([("empty.md", b"")], "It is empty"),
        ([("..", "text")], "no name"),
        ([("/", "text")], "no name"),
        ([("\x07", "text")], "no name"),
        ([(f"{'n' * 300}.md", "text")], "200 characters"),
        ([("a/same.md", "one"), ("b\\same.md", "two")], "same name"),
        ([("e\u0301.md", "one"), ("\u00e9.md", "two")], "same name"),
        ([], "no file"),
    ],
)
def test_a_file_that_cannot_be_taken_is_refused(
    client: FlaskClient, files: list[Given], says: str
) -> None:
    reply = client.post("/v1/documents", data=form(*files), headers=FORM)

    assert reply.status_code == 422
    assert reply.mimetype == "application/problem+json"
    assert says in reply.get_json()["detail"]


def test_a_pdf_may_be_called_anything(service: Service) -> None:
    run = ended(service.url, upload(service.url, ("report", b"%PDF-1.7 nonsense")))

    assert [(file["path"], file["state"]) for file in run["files"]] == [("report", "failed")]


@pytest.mark.parametrize(
    ("body", "kind", "status", "says"),
    [
        (form(("a.md", "text"), field="files"), None, 422, "“files” is not known"),
        (form(("a.md", "text"))[:-60], None, 422, "not whole"),
        (form(("a.md", "text")).replace(b'; filename="a.md"', b""), None, 422, "its name"),
        (b'{"file": "a.md"}', "application/json", 415, "multipart/form-data"),
        (b"--x--", "multipart/form-data", 422, "boundary"),
        (
            form(*[(f"{n}.md", "x") for n in range(MOST_FILES + 1)]),
            None,
            422,
            f"{MOST_FILES} files",
        ),
    ],
    ids=["field", "cut", "unnamed", "json", "boundary", "many"],
)
def test_a_body_that_is_no_upload_is_refused(
    client: FlaskClient, body: bytes, kind: str | None, status: int, says: str
) -> None:
    headers = {"Content-Type": kind} if kind else FORM

    reply = client.post("/v1/documents", data=body, headers=headers)

    assert reply.status_code == status
    assert says in reply.get_json()["detail"]


def test_a_name_is_never_a_path(service: Service) -> None:
    before = {path for path in service.home.parent.rglob("*") if service.home not in path.parents}

    known = read(service.url, ("../../up/..\\evil\x00 \u202ename.md", "# Evil\n\nNot a path."))

    assert "evil name.md" in known
    after = {path for path in service.home.parent.rglob("*") if service.home not in path.parents}
    assert after == before


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("a.md", "a.md"),
        ("C:\\docs\\a.md", "a.md"),
        ("docs/../a.md", "a.md"),
        ("  a \t.md ", "a .md"),
        ("a\u202efdp.md", "afdp.md"),
        ("\ud800.md", ".md"),
        ("docs/", ""),
    ],
)
def test_a_plain_name_is_what_readers_can_be_shown(given: str, name: str) -> None:
    assert plain_name(given) == name


def test_a_file_over_the_limit_is_refused(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web.uploads, "LARGEST_BYTES", 1000)
    files = form(("large.md", "x" * 1001), ("fine.md", "x" * 1000))

    reply = client.post("/v1/documents", data=files, headers=FORM)

    assert reply.status_code == 422
    assert reply.get_json()["detail"].startswith("large.md: It is larger than")
    assert "fine.md:" not in reply.get_json()["detail"]


def test_a_request_over_the_limit_is_refused(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web.uploads, "LARGEST_UPLOAD", 1024 * 1024)

    reply = client.post("/v1/documents", data=form(("a.md", "x" * 1024**2)), headers=FORM)

    assert reply.status_code == 413
    assert "1024 KiB" in reply.get_json()["detail"]


def test_an_upload_is_not_held_in_memory(service: Service) -> None:
    def peak_kib() -> int:
        status = Path(f"/proc/{service.pid}/status").read_text()
        return int(status.split("VmHWM:")[1].split()[0])

    found(service.url, "anything")  # the embedder is loaded by then
    post_files(service.url, ("setup.exe", b"MZ"))
    before = peak_kib()

    status, _, problem = post_files(service.url, ("setup.exe", bytes(150 * 1024**2)))

    assert (status, problem["status"]) == (422, 422), "the server refused it by itself"
    assert peak_kib() - before < 40 * 1024


def test_what_is_not_an_upload_may_not_be_large(service: Service) -> None:
    status, _, _ = send("POST", f"{service.url}/v1/ingestions", b"x" * 100_000, FORM)

    assert status in (413, 415)


# Documents


def test_a_document_tells_how_it_was_read(service: Service) -> None:
    known = read(service.url, ("told.md", "# Told\n\nIt was told."))

    _, _, document = send("GET", f"{service.url}/v1/documents/{known['told.md']}")

    assert (document["state"], document["current"]) == ("current", True)
    assert (document["unread"], document["warnings"], document["uncovered"]) == ([], [], 0)
    assert document["pages_read"] == []


def test_the_pages_of_a_document_are_accounted_for(server_url: str) -> None:
    document_id = ids(server_url)["leave-policy-2026.pdf"]

    _, _, document = send("GET", f"{server_url}/v1/documents/{document_id}")

    assert [page["page"] for page in document["pages_read"]] == list(range(1, 6))
    assert all(page["characters"] > 100 for page in document["pages_read"])


def test_no_file_vanishes_from_the_list_of_all(service: Service) -> None:
    ended(service.url, upload(service.url, ("bad.pdf", b"%PDF-1.7 nonsense")))

    documents, files = everything(service.url)

    assert files["bad.pdf"]["state"] == "failed"
    assert files["bad.pdf"]["reason"]
    assert "bad.pdf" not in {document["path"] for document in documents.values()}
    assert "bad.pdf" not in ids(service.url)


def test_a_list_of_something_else_is_refused(service: Service) -> None:
    status, _, problem = send("GET", f"{service.url}/v1/documents?state=none")

    assert status == 422
    assert "“all”" in problem["detail"]


def test_an_old_revision_still_opens_and_names_the_new_one(service: Service) -> None:
    old = read(service.url, ("fee.md", "# Fee\n\nThe otter fee is £10."))["fee.md"]
    new = read(service.url, ("fee.md", "# Fee\n\nThe otter fee is £12."))["fee.md"]

    status, _, text = send("GET", f"{service.url}/v1/documents/{old}/text")
    _, _, page = send("GET", f"{service.url}/documents/{old}")
    _, _, document = send("GET", f"{service.url}/v1/documents/{old}")

    assert (status, "£10" in text) == (200, True)
    assert send("GET", f"{service.url}/documents/{old}/original")[0] == 200
    assert (document["state"], document["current"]) == ("superseded", False)
    assert f'href="/documents/{new}"' in page
    assert everything(service.url)[0][old]["state"] == "superseded"
    assert "£10" not in found(service.url, "otter fee")
    status, _, problem = send("POST", f"{service.url}/v1/documents/{old}/restore")
    assert (status, "newer" in problem["detail"]) == (422, True)


def test_a_withdrawn_document_is_gone_from_the_next_question_on(service: Service) -> None:
    url = service.url
    name = read(url, ("newt.md", "# Newts\n\nA newt permit costs 93 crowns."))["newt.md"]
    question = {"question": "What does a newt permit cost?"}
    assert "93 crowns" in json.dumps(send("POST", f"{url}/v1/answers", question)[2])

    status, _, reply = send("DELETE", f"{url}/v1/documents/{name}")

    assert (status, reply["state"]) == (200, "withdrawn")
    assert "93 crowns" not in found(url, "newt permit")
    _, _, answer = send("POST", f"{url}/v1/answers", question)
    assert "93 crowns" not in json.dumps(answer)
    assert answer["generation"] == reply["generation"]
    for path in (f"/v1/documents/{name}/text", f"/documents/{name}", f"/documents/{name}/original"):
        status, _, said = send("GET", url + path)
        assert (status, "was withdrawn" in str(said)) == (410, True), path
    assert send("GET", f"{url}/v1/documents/{name}")[2]["state"] == "withdrawn"
    documents, files = everything(url)
    assert documents[name]["state"] == "withdrawn"
    assert (files["newt.md"]["state"], files["newt.md"]["document_id"]) == ("withdrawn", name)


def test_a_withdrawn_document_can_be_restored(service: Service) -> None:
    url = service.url
    name = read(url, ("toad.md", "# Toads\n\nA toad permit costs 71 crowns."))["toad.md"]
    send("DELETE", f"{url}/v1/documents/{name}")

    status, _, reply = send("POST", f"{url}/v1/documents/{name}/restore")

    assert (status, reply["state"]) == (200, "current")
    assert "71 crowns" in found(url, "toad permit")
    again = send("POST", f"{url}/v1/documents/{name}/restore")
    assert again[2] == reply, "what is current is left as it is"


def test_an_erased_document_leaves_no_text(service: Service) -> None:
    url = service.url
    name = read(url, ("frog.md", "# Frogs\n\nThe frog secret is quizzaciously."))["frog.md"]
    _, _, answer = send("POST", f"{url}/v1/answers", {"question": "What is the frog secret?"})
    assert "quizzaciously" in answer["text"]

    status, _, reply = send("DELETE", f"{url}/v1/documents/{name}?erase=true")

    assert (status, reply["state"]) == (200, "erased")
    assert send("GET", f"{url}/v1/documents/{name}/text")[0] == 410
    assert send("POST", f"{url}/v1/documents/{name}/restore")[0] == 410
    for path in filter(Path.is_file, service.home.rglob("*")):
        assert b"quizzaciously" not in path.read_bytes(), path
    assert send("GET", f"{url}/v1/answers/{answer['id']}")[2]["receipt"]["erased"] == [name]


def test_erasing_while_another_writes_withdraws_and_says_so(service: Service, own: Library) -> None:
    name = read(service.url, ("eel.md", "# Eels\n\nAn eel permit costs 57 crowns."))["eel.md"]

    with held(own):
        status, _, problem = send("DELETE", f"{service.url}/v1/documents/{name}?erase=true")

    assert (status, "not yet erased" in problem["detail"]) == (409, True)
    assert "57 crowns" not in found(service.url, "eel permit")


def test_a_document_that_never_was_cannot_be_withdrawn(service: Service) -> None:
    assert send("DELETE", f"{service.url}/v1/documents/none")[0] == 404
    assert send("POST", f"{service.url}/v1/documents/none/restore")[0] == 404
    assert send("DELETE", f"{service.url}/v1/documents/none?erase=maybe")[0] == 422


# Runs


def test_the_folders_are_read_again(service: Service) -> None:
    status, headers, run = send("POST", f"{service.url}/v1/ingestions", {"folders": ["rules"]})
    assert (status, run["state"]) == (202, "waiting")
    assert headers["Location"] == f"/v1/ingestions/{run['id']}"

    last = ended(service.url, run["id"])

    assert last["state"] == "done"
    assert last["paths"] == [str(service.folders[0])]
    assert ("broken.pdf", "failed") in [(file["path"], file["state"]) for file in last["files"]]
    assert "parking.md" in ids(service.url)
    assert "forms.md" not in ids(service.url)
    run = send("POST", f"{service.url}/v1/ingestions")[2]
    assert ended(service.url, run["id"])["state"] == "done"
    assert "forms.md" in ids(service.url)
    listed = send("GET", f"{service.url}/v1/ingestions")[2]["ingestions"]
    assert {run["id"], last["id"]} <= {run["id"] for run in listed}
    assert [run["started_at"] for run in listed] == sorted(
        (run["started_at"] for run in listed), reverse=True
    )


def test_pruning_withdraws_what_is_no_longer_there(service: Service) -> None:
    lost = service.folders[1] / "lost.md"
    lost.write_text("# Lost\n\nA lost key costs 5 euros.")
    for prune in (False, True):
        run = send("POST", f"{service.url}/v1/ingestions", {"folders": [str(lost.parent)]})[2]
        ended(service.url, run["id"])
        assert ("lost.md" in ids(service.url)) is True
        lost.unlink(missing_ok=True)
        run = send("POST", f"{service.url}/v1/ingestions", {"folders": ["forms"], "prune": prune})
        ended(service.url, run[2]["id"])
        assert ("lost.md" in ids(service.url)) is not prune
        if not prune:
            lost.write_text("# Lost\n\nA lost key costs 5 euros.")


@pytest.mark.parametrize("body", [{"folders": ["/etc"]}, {"folders": []}, {"folder": "rules"}])
def test_only_the_operators_folders_can_be_read(service: Service, body: dict[str, Any]) -> None:
    assert send("POST", f"{service.url}/v1/ingestions", body)[0] == 422


def test_without_folders_it_says_how_to_set_them(client: FlaskClient) -> None:
    reply = client.post("/v1/ingestions")

    assert reply.status_code == 422
    assert "FOOTNOTE_FOLDERS" in reply.get_json()["detail"]


def test_one_run_goes_on_at_a_time(service: Service, own: Library) -> None:
    with held(own):  # so that the first has to wait
        first = send("POST", f"{service.url}/v1/ingestions")[2]["id"]
        status, headers, problem = send("POST", f"{service.url}/v1/ingestions")

        assert (status, problem["ingestion"]) == (409, first)
        assert int(headers["Retry-After"]) > 0
        assert first in problem["detail"]
        cancelled = send("DELETE", f"{service.url}/v1/ingestions/{first}")[2]
        assert cancelled["state"] == "cancelled"
        until(lambda: send("GET", f"{service.url}/v1/ingestions/{first}")[2]["ended_at"])
    assert ended(service.url, first)["state"] == "cancelled"
    assert send("DELETE", f"{service.url}/v1/ingestions/{first}")[0] == 200


def test_a_run_that_another_process_began_counts_too(service: Service, own: Library) -> None:
    run = Run("elsewhere", "2026-01-01T00:00:00+00:00", RunState.RUNNING)

    with held(own):
        own.ledger.start(run)
        status, _, problem = send("POST", f"{service.url}/v1/ingestions")
        assert (status, problem["ingestion"]) == (409, "elsewhere")
        assert send("DELETE", f"{service.url}/v1/ingestions/elsewhere")[2]["state"] == "cancelled"
        assert own.ledger.progress("elsewhere", {}) is False


def test_uploads_that_wait_are_read_by_one_run(service: Service, own: Library) -> None:
    with held(own):
        first = upload(service.url, ("left.md", "# Left\n\nLeft is left."))
        second = upload(service.url, ("right.md", "# Right\n\nRight is right."))
        files = everything(service.url)[1]
    assert first == second
    assert (files["left.md"]["state"], files["right.md"]["state"]) == ("waiting", "waiting")
    assert ended(service.url, first)["state"] == "done"
    assert {"left.md", "right.md"} <= set(ids(service.url))


def test_an_upload_during_a_run_is_read_by_the_next(service: Service) -> None:
    first = upload(service.url, ("early.md", long_text("early")))
    state = f"{service.url}/v1/ingestions/{first}"
    until(lambda: send("GET", state)[2]["state"] == "running")
    (child,) = ingesting(service.pid)
    os.kill(child, signal.SIGSTOP)
    second = upload(service.url, ("late.md", "# Late\n\nLate is late."))
    waiting = send("GET", f"{service.url}/v1/ingestions/{second}")[2]
    os.kill(child, signal.SIGCONT)

    assert first != second
    assert waiting["state"] == "waiting"
    assert ended(service.url, first)["state"] == "done"
    assert ended(service.url, second)["state"] == "done"
    assert {"early.md", "late.md"} <= set(ids(service.url))


def test_a_run_that_goes_on_can_be_cancelled(service: Service) -> None:
    run = upload(service.url, ("endless.md", long_text("endless")))
    state = f"{service.url}/v1/ingestions/{run}"
    until(lambda: send("GET", state)[2]["progress"].get("stage") == "reading")

    assert send("DELETE", state)[2]["state"] == "cancelled"

    until(lambda: not ingesting(service.pid), 20)
    assert send("GET", state)[2]["state"] == "cancelled"
    assert "endless.md" not in ids(service.url)
    assert everything(service.url)[1]["endless.md"]["state"] == "waiting"


def test_a_run_cancelled_as_it_starts_does_not_come_back(service: Service) -> None:
    run = upload(service.url, ("hasty.md", "# Hasty\n\nHasty is hasty."))
    until(lambda: ingesting(service.pid))

    send("DELETE", f"{service.url}/v1/ingestions/{run}")
    until(lambda: not ingesting(service.pid), 30)

    assert send("GET", f"{service.url}/v1/ingestions/{run}")[2]["state"] == "cancelled"
    assert "hasty.md" not in ids(service.url)


def test_a_run_whose_process_dies_has_failed_and_the_next_goes_on(service: Service) -> None:
    run = upload(service.url, ("doomed.md", long_text("doomed")))
    state = f"{service.url}/v1/ingestions/{run}"
    until(lambda: send("GET", state)[2]["state"] == "running")
    os.kill(ingesting(service.pid)[0], signal.SIGKILL)

    last = ended(service.url, run)

    assert last["state"] == "failed"
    assert "signal 9" in last["problem"]
    assert last["ended_at"]
    assert {"doomed.md", "after.md"} <= set(read(service.url, ("after.md", "# After\n\nAfter.")))


def test_a_run_that_was_never_begun_is_not_found(service: Service) -> None:
    for method in ("GET", "DELETE"):
        status, _, problem = send(method, f"{service.url}/v1/ingestions/none")
        assert (status, problem["detail"]) == (404, "There is no ingestion none.")


def test_those_who_follow_leave_room_for_questions(service: Service, own: Library) -> None:
    with held(own):
        run = upload(service.url, ("slow.md", "# Slow\n\nSlow is slow."))
        address = f"{service.url}/v1/ingestions/{run}?stream=true"
        followers = [urllib.request.urlopen(address, timeout=30) for _ in range(4)]
        assert all(follower.readline() == b"event: progress\n" for follower in followers)

        status, headers, problem = send("GET", address)

        assert (status, problem["status"]) == (503, 503)
        assert headers["Retry-After"]
        for follower in followers:
            follower.close()
        until(lambda: is_streamed(address), 5)
    assert ended(service.url, run)["state"] == "done"


def test_a_follower_who_leaves_is_let_go(service: Service, own: Library) -> None:
    parts = urlsplit(service.url)
    with held(own):
        run = upload(service.url, ("left-alone.md", "# Left\n\nAlone."))
        head = f"GET /v1/ingestions/{run}?stream=true HTTP/1.1\r\nHost: {parts.netloc}\r\n\r\n"
        for _ in range(4):
            with socket.create_connection((parts.hostname or "", parts.port or 0)) as connection:
                connection.sendall(head.encode())
                connection.recv(100)
        until(lambda: is_streamed(f"{service.url}/v1/ingestions/{run}?stream=true"), 5)
    # Not followed: the last of those who left may still be on their way out.
    address = f"{service.url}/v1/ingestions/{run}"
    until(lambda: send("GET", address)[2]["state"] == "done", RUN_S)


def is_streamed(address: str) -> bool:
    try:
        with urllib.request.urlopen(address, timeout=30) as reply:
            return bool(reply.readline() == b"event: progress\n")
    except urllib.error.HTTPError as refusal:
        refusal.close()
        return False


def test_there_are_signs_of_life_while_nothing_changes(
    tmp_path: Path, embedder: SentenceTransformerEmbedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ingestions, "HEARTBEAT_S", 0.3)
    with closing(Library(tmp_path / "library", embedder)) as library:
        runs = Ingestions(library, child_environment(Settings(home=tmp_path / "library")))
        with held(library):
            run = runs.read_uploads()
            followed = runs.follow(run.id)
            assert [next(followed), next(followed)] == [run, None]
            runs.cancel(run.id)
            last = list(followed)[-1]
        runs.close()

    assert last is not None
    assert last.state is RunState.CANCELLED


def test_a_run_whose_end_cannot_be_written_does_not_hold_up_the_next(
    tmp_path: Path, embedder: SentenceTransformerEmbedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise LibraryUnwritable("The disk is full.")

    with closing(Library(tmp_path / "library", embedder)) as library:
        runs = Ingestions(library, child_environment(Settings(home=tmp_path / "library")))
        with monkeypatch.context() as broken:
            broken.setattr(library.ledger, "end", full)
            broken.setattr(subprocess, "Popen", full_of_processes)
            first = runs.start([tmp_path])
            until(lambda: not runs._orders)
        (tmp_path / "dogs.md").write_text("Dogs bark.")
        second = runs.start([tmp_path / "dogs.md"])
        last = list(runs.follow(second.id))[-1]
        runs.close()

    assert first.id != second.id
    assert last is not None
    assert last.state is RunState.DONE


def full_of_processes(*_: object, **__: object) -> None:
    raise OSError(errno.EAGAIN, "Resource temporarily unavailable")


def test_a_service_that_starts_again_reads_what_waited(tmp_path: Path) -> None:
    home = tmp_path / "library"
    server = running_server(home)
    with (
        server as url,
        closing(Library(home, SentenceTransformerEmbedder())) as library,
        held(library),
    ):
        run = upload(url, ("patient.md", "# Patient\n\nPatience is a virtue."))
        server.process.kill()
        server.process.wait(10)
    with running_server(home) as url:
        assert ended(url, run)["state"] == "done"
        assert "patient.md" in ids(url)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL], ids=str)
def test_however_the_service_ends_its_ingest_ends_too(
    number: signal.Signals, tmp_path: Path
) -> None:
    server = running_server(tmp_path / "library")
    with server as url:
        run = upload(url, ("endless.md", long_text("endless")))
        until(lambda: send("GET", f"{url}/v1/ingestions/{run}")[2]["state"] == "running")
        (child,) = ingesting(server.process.pid)
        server.process.send_signal(number)
        server.process.wait(timeout=20)

        until(lambda: not Path(f"/proc/{child}").exists(), 10)
    with closing(Library(tmp_path / "library", SentenceTransformerEmbedder())) as library:
        last = library.ledger.run(run)
    assert last is not None
    assert last.state is (RunState.FAILED if number is signal.SIGTERM else RunState.RUNNING)


# Labels and filters


def labelled_form(
    *fields: tuple[str, str], file: Given = ("bees.md", "# Bees\n\nA hive costs 8 euros.")
) -> bytes:
    parts = b"".join(
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
        for name, value in fields
    )
    return parts + form(file)


def test_documents_are_labelled_and_filtered_by(service: Service) -> None:
    body = labelled_form(("tag", "insects"), ("tag", "Fees"), ("group", "Parks"))
    _, _, reply = send("POST", f"{service.url}/v1/documents", body, FORM)
    ended(service.url, reply["ingestion"]["id"])
    name = ids(service.url)["bees.md"]
    url = f"{service.url}/v1/documents/{name}"

    _, _, bees = send("GET", url)
    assert (bees["tags"], bees["group"], bees["dated"]) == (["insects", "Fees"], "Parks", "added")
    assert bees["date"] == bees["added_at"][:10]
    status, _, bees = send("PATCH", url, {"tags": ["fees", "hives"], "group": "Gardens"})
    assert (status, bees["tags"], bees["group"]) == (200, ["Fees", "hives"], "Gardens")
    assert send("PATCH", url, {"tags": ["hives"]})[2]["group"] == "Gardens"

    _, _, listed = send("GET", f"{service.url}/v1/documents?tags=HIVES&tags=none&groups=gardens")
    assert [d["path"] for d in listed["documents"]] == ["bees.md"]
    _, _, listed = send("GET", f"{service.url}/v1/documents?tags=hives&date_to=2020-01-01")
    assert listed["documents"] == []
    asked = {"query": "hive", "filters": {"groups": ["Gardens"]}}
    _, _, hits = send("POST", f"{service.url}/v1/search", asked)
    assert {hit["path"] for hit in hits["hits"]} == {"bees.md"}
    _, _, labels = send("GET", f"{service.url}/v1/labels")
    assert {"value": "hives", "name": "hives", "documents": 1} in labels["tags"]
    assert {"value": "Gardens", "name": "Gardens", "documents": 1} in labels["groups"]
    assert "Markdown" in {kind["name"] for kind in labels["media_types"]}

    ended(service.url, upload(service.url, ("bees.md", "# Bees\n\nA hive costs 9 euros.")))
    _, _, bees = send("GET", f"{service.url}/v1/documents/{ids(service.url)['bees.md']}")
    assert (bees["id"] != name, bees["tags"], bees["group"]) == (True, ["hives"], "Gardens")
    assert (
        send("PATCH", f"{service.url}/v1/documents/{bees['id']}", {"group": None})[2]["group"]
        is None
    )


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({"tags": [""]}, "at least one character"),
        ({"tags": ["a,b"]}, "comma"),
        ({"group": "x" * 65}, "longer than 64"),
        ({"tags": "a"}, "“tags”"),
        ({"label": "a"}, "“label” is not known"),
    ],
    ids=str,
)
def test_what_cannot_be_a_label_is_refused(
    service: Service, body: dict[str, Any], says: str
) -> None:
    name = next(iter(ids(service.url).values()))
    status, _, problem = send("PATCH", f"{service.url}/v1/documents/{name}", body)

    assert status == 422
    assert says in problem["detail"]


def test_a_label_that_cannot_be_means_that_no_file_is_taken(client: FlaskClient) -> None:
    reply = client.post("/v1/documents", data=labelled_form(("tag", "a,b")), headers=FORM)

    assert reply.status_code == 422
    assert client.get("/v1/documents?state=all").get_json()["files"] == []


BAD_FILTERS = [
    ({"date_from": "2026-02-30"}, "“2026-02-30” is no day"),
    ({"date_to": "yesterday"}, "“yesterday” is no day"),
    ({"date_from": "2026-02-02", "date_to": "2026-02-01"}, "is after"),
    ({"tags": [""]}, "at least 1 character"),
    ({"groups": [" "]}, "at least 1 character"),
    ({"folder": ""}, "at least 1 character"),
    ({"media_types": ["application/x-nothing"]}, "no type of document"),
]


@pytest.mark.parametrize(("filters", "says"), BAD_FILTERS, ids=str)
def test_a_filter_that_makes_no_sense_is_refused(
    client: FlaskClient, filters: dict[str, Any], says: str
) -> None:
    replies = [
        client.post("/v1/search", json={"query": "bees", "filters": filters}),
        client.post("/v1/answers", json={"question": "bees?", "filters": filters}),
        client.get("/v1/documents", query_string=filters),
    ]

    for reply in replies:
        assert reply.status_code == 422
        assert reply.mimetype == "application/problem+json"
        assert says in reply.get_json()["detail"]


def test_an_answer_says_that_no_document_matches_the_filter(service: Service) -> None:
    asked = {"question": "What does a hive cost?", "filters": {"tags": ["none such"]}}
    _, _, answer = send("POST", f"{service.url}/v1/answers", asked)

    assert (answer["status"], answer["nearest"]) == ("not_found", [])
    assert answer["reason"] == "no document matches the filter"


# Who may


ELSEWHERE = [
    {"Origin": "https://evil.example"},
    {"Origin": "http://localhost:9999"},
    {"Origin": "null"},
    {"Origin": "http://["},
    {"Sec-Fetch-Site": "cross-site", "Origin": "http://localhost"},
    {"Sec-Fetch-Site": "same-site"},
]


@pytest.mark.parametrize("headers", ELSEWHERE, ids=str)
def test_a_page_from_elsewhere_may_change_nothing(
    client: FlaskClient, headers: dict[str, str]
) -> None:
    for method, path in [
        ("POST", "/v1/documents"),
        ("DELETE", "/v1/documents/x"),
        ("POST", "/v1/documents/x/restore"),
        ("PATCH", "/v1/documents/x"),
        ("POST", "/v1/ingestions"),
        ("DELETE", "/v1/ingestions/x"),
        ("POST", "/v1/answers"),
    ]:
        reply = client.open(path, method=method, headers=headers)
        assert reply.status_code == 403, path
        assert "another site" in reply.get_json()["detail"]
    assert client.get("/v1/documents", headers=headers).status_code == 200


@pytest.mark.parametrize(
    "headers", [{}, {"Origin": "http://localhost"}, {"Sec-Fetch-Site": "same-origin"}], ids=str
)
def test_our_own_page_may(client: FlaskClient, headers: dict[str, str]) -> None:
    assert client.delete("/v1/documents/x", headers=headers).status_code == 404


def test_beyond_loopback_changing_takes_a_token(app_of: Callable[..., Flask]) -> None:
    client = app_of(host="0.0.0.0").test_client()

    for method, path in [
        ("POST", "/v1/documents"),
        ("DELETE", "/v1/documents/x"),
        ("POST", "/v1/documents/x/restore"),
        ("PATCH", "/v1/documents/x"),
        ("POST", "/v1/ingestions"),
        ("DELETE", "/v1/ingestions/x"),
    ]:
        reply = client.open(path, method=method)
        assert reply.status_code == 403, path
        assert "FOOTNOTE_ADMIN_TOKEN_FILE" in reply.get_json()["detail"]
    assert client.get("/v1/documents").status_code == 200
    assert client.get("/v1/ingestions").status_code == 200


def test_called_by_another_name_it_takes_a_token_too(app_of: Callable[..., Flask]) -> None:
    client = app_of(hosts=["docs.example"]).test_client()

    reply = client.delete("/v1/documents/x", headers={"Host": "docs.example"})
    assert reply.status_code == 403
    # The web server in front may ask by the address it has, as nginx does by default.
    assert client.delete("/v1/documents/x").status_code == 403


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
def test_a_token_is_needed_wherever_one_is_set(
    host: str, app_of: Callable[..., Flask], tmp_path: Path
) -> None:
    file = tmp_path / "token"
    file.write_text(f"{TOKEN}\n")
    file.chmod(0o600)
    client = app_of(host=host, admin_token_file=file).test_client()

    for given in ("", f"Bearer {TOKEN}x", "Bearer ", f"Basic {TOKEN}", TOKEN, "Bearer café"):
        reply = client.delete("/v1/documents/x", headers={"Authorization": given})
        assert reply.status_code == 401, given
        assert reply.headers["WWW-Authenticate"].startswith("Bearer")
        assert TOKEN not in reply.text
    right = client.delete("/v1/documents/x", headers={"Authorization": f"Bearer {TOKEN}"})
    assert right.status_code == 404


def test_a_token_file_that_is_no_good_stops_the_start(
    app_of: Callable[..., Flask], tmp_path: Path
) -> None:
    file = tmp_path / "token"
    with pytest.raises(SettingsError, match="No such file"):
        app_of(admin_token_file=file)
    for content, says in ((b" \n", "0 characters"), (b"short", "5 characters"), (b"\xff", "text")):
        file.write_bytes(content)
        with pytest.raises(SettingsError, match=says):
            Guard.of(Settings(admin_token_file=file))


def test_a_token_that_others_can_read_is_warned_about(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "token"
    file.write_text(TOKEN)
    file.chmod(0o600)
    assert read_token(file) == TOKEN
    assert not caplog.records
    file.chmod(0o644)
    assert read_token(file) == TOKEN
    assert "chmod 600" in caplog.text


def test_who_may_not_upload_cannot_fill_the_disk(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(TOKEN)
    file.chmod(0o600)
    with running_server(tmp_path / "library", admin_token_file=str(file)) as url:
        parts = urlsplit(url)

        def said(path: str, token: str) -> bytes:
            head = f"POST {path} HTTP/1.1\r\nHost: {parts.netloc}\r\n"
            head += f"Content-Length: {900 * 1024**2}\r\nAuthorization: Bearer {token}\r\n\r\n"
            with socket.create_connection((parts.hostname or "", parts.port or 0), 3) as line:
                line.sendall(head.encode())
                return line.recv(100).split(b"\r\n")[0]

        assert b"413" in said("/v1/documents", f"{TOKEN}x")
        assert b"413" in said("/v1/answers", TOKEN)
        with pytest.raises(TimeoutError):  # it waits for the rest
            said("/v1/documents", TOKEN)


# The description


def test_every_address_is_described(client: FlaskClient) -> None:
    description = client.get("/openapi.json").get_json()

    validate(description)
    described = {
        (method.upper(), path)
        for path, methods in description["paths"].items()
        for method in methods
        if method != "parameters"
    }
    served = {
        (method, re.sub(r"<\w+>", "{id}", rule.rule))
        for rule in client.application.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
        if rule.rule.startswith("/v1/")
    }
    assert described >= served
