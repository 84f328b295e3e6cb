"""The JSON interface, by HTTP, against a real service over the sample documents."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from click.testing import CliRunner
from openapi_spec_validator import validate
from prometheus_client.parser import text_string_to_metric_families

from tests.conftest import ROOT, Shelf, running_server, with_graphs
from web.cli import main

PART_TIME = "How many days of annual leave does a part-time officer get?"
ABSENT = "Who won the 1998 World Cup?"


def call(url: str, body: Any = None, **headers: str) -> tuple[int, Any, Any]:
    """Return status, headers and the parsed body."""
    data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
    sent = {"Content-Type": "application/json", **headers} if data is not None else headers
    try:
        with urllib.request.urlopen(urllib.request.Request(url, data, sent), timeout=60) as reply:
            return reply.status, reply.headers, _parsed(reply)
    except urllib.error.HTTPError as reply:
        with reply:
            return reply.code, reply.headers, _parsed(reply)


def _parsed(reply: Any) -> Any:
    text = reply.read().decode()
    return json.loads(text) if "json" in reply.headers["Content-Type"] else text


def ask(url: str, question: str, **fields: Any) -> dict[str, Any]:
    status, _, answer = call(f"{url}/v1/answers", {"question": question, **fields})
    assert status == 200, answer
    assert isinstance(answer, dict)
    return answer


def events(url: str, question: str, **fields: Any) -> Iterator[tuple[str, Any]]:
    body = json.dumps({"question": question, "stream": True, **fields}).encode()
    request = urllib.request.Request(
        f"{url}/v1/answers", body, {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=60) as reply:
        assert reply.headers["Content-Type"].startswith("text/event-stream")
        for block in reply.read().decode().strip().split("\n\n"):
            name, data = block.split("\n", 1)
            yield name.removeprefix("event: "), json.loads(data.removeprefix("data: "))


def children(pid: int) -> list[int]:
    return [
        int(child)
        for task in Path(f"/proc/{pid}/task").iterdir()
        for child in (task / "children").read_text().split()
    ]


def worker_of(pid: int) -> int:
    (found,) = [
        child
        for child in children(pid)
        if b"answer.engine.worker" in Path(f"/proc/{child}/cmdline").read_bytes()
    ]
    return found


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_an_answer_cites_words_that_stand_in_the_document(server_url: str) -> None:
    answer = ask(server_url, PART_TIME)

    assert answer["status"] in ("answered", "quoted")
    assert answer["citations"]
    for citation in answer["citations"]:
        _, _, text = call(f"{server_url}/v1/documents/{citation['document_id']}/text")
        assert text[citation["start"] : citation["stop"]] == citation["quote"]
        if words := citation["answer"]:
            assert citation["start"] <= words["start"] < words["stop"] <= citation["stop"]
    cited = {citation["path"] for citation in answer["citations"]}
    assert "leave-policy-2026.pdf" in cited


def test_an_answer_has_the_shape_of_the_contract(server_url: str) -> None:
    answer = ask(server_url, PART_TIME)

    assert set(answer) >= {
        *("id", "question", "status", "text", "sentences", "citations", "withheld"),
        *("nearest", "generation", "model", "usage", "timings_ms"),
    }
    assert set(answer["sentences"][0]) == {"text", "citations", "support"}
    assert set(answer["citations"][0]) == {
        *("number", "document_id", "title", "path", "sha256", "page", "heading"),
        *("start", "stop", "quote", "answer", "warning", "date", "url"),
    }
    assert set(answer["timings_ms"]) == {"retrieval", "first_token", "total", "evidence", "gate"}
    counts = {"prompt_tokens", "cached_tokens", "completion_tokens", "sources", "left_out"}
    assert set(answer["usage"]) == counts
    assert answer["model"]["sha256"]
    assert answer["citations"][0]["page"] >= 1


def test_a_question_the_documents_do_not_answer_is_refused(server_url: str) -> None:
    answer = ask(server_url, ABSENT)

    assert answer["status"] == "not_found"
    assert answer["text"] == ""
    assert not answer["citations"]
    assert answer["nearest"]


def test_a_stream_ends_with_the_answer_it_was_building(server_url: str) -> None:
    names, data = zip(*events(server_url, PART_TIME), strict=True)

    assert names[0] == "evidence"
    assert names[-1] == "answer"
    streamed = [d["sentence"] for name, d in zip(names, data, strict=True) if name == "sentence"]
    assert streamed == data[-1]["sentences"] != []


def test_two_questions_at_once_are_both_answered(server_url: str) -> None:
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda q: ask(server_url, q), [PART_TIME, ABSENT] * 2))

    assert [a["status"] == "not_found" for a in answers] == [False, True, False, True]


def test_a_follow_up_leans_on_the_question_before(server_url: str) -> None:
    first = ask(
        server_url, "How many days of annual leave do full-time officers get?", conversation="c1"
    )
    second = ask(server_url, "And part-time?", conversation="c1")
    told = ask(server_url, "And part-time?", earlier=[first["question"]], conversation="c2")

    assert first["status"] != "not_found"
    found = second["citations"] + second["nearest"]
    assert any("part-time" in c["quote"].lower() for c in found)
    assert told["searched_for"] == second["searched_for"] is not None


def test_a_search_returns_passages_with_their_place(server_url: str) -> None:
    _, _, found = call(f"{server_url}/v1/search", {"query": "Form 12-B", "limit": 3})

    assert 1 <= len(found["hits"]) <= 3
    best = found["hits"][0]
    assert set(best) >= {"title", "path", "page", "heading", "start", "stop", "text", "score"}
    assert any("12-B" in hit["text"] for hit in found["hits"])


def test_a_filter_limits_a_search_to_the_documents_named(server_url: str) -> None:
    body = {"query": "annual leave", "limit": 50, "filters": {"media_types": ["text/markdown"]}}

    _, _, found = call(f"{server_url}/v1/search", body)

    assert {hit["path"].rsplit(".", 1)[-1] for hit in found["hits"]} == {"md"}


def test_documents_are_listed_and_described(server_url: str) -> None:
    _, _, listed = call(f"{server_url}/v1/documents")
    one = listed["documents"][0]

    status, _, described = call(f"{server_url}/v1/documents/{one['id']}")

    assert status == 200
    assert described.items() >= one.items()
    assert len(listed["documents"]) >= 15


@pytest.mark.parametrize(
    ("path", "body", "status", "says"),
    [
        ("/v1/answers", {}, 422, "question"),
        ("/v1/answers", {"question": "  ?! "}, 422, "at least one word"),
        ("/v1/answers", {"question": 7}, 422, "string"),
        ("/v1/answers", {"question": "x" * 3000}, 422, "2000"),
        ("/v1/answers", {"question": "why", "topk": 3}, 422, "topk"),
        ("/v1/answers", {"question": "why", "top_k": 0}, 422, "top_k"),
        ("/v1/answers", {"question": "why", "filters": {"colour": 1}}, 422, "colour"),
        ("/v1/answers", [], 422, "JSON object"),
        ("/v1/answers", b"{not json", 400, "not valid JSON"),
        ("/v1/answers", b"[" * 60_000, 422, "nested"),
        ("/v1/answers", b"x" * 100_000, 413, "64 KiB"),
        ("/v1/answers", b"x" * 10_000_000, 413, "64 KiB"),
        ("/v1/search", {"query": "x", "limit": 1000}, 422, "limit"),
        ("/v1/documents/none", None, 404, "no document none"),
        ("/v1/documents/none/text", None, 404, "no document none"),
        ("/v1/answers", None, 405, ""),
        ("/nowhere", None, 404, ""),
    ],
)
def test_a_bad_request_is_answered_with_a_problem(
    path: str, body: Any, status: int, says: str, server_url: str
) -> None:
    got, headers, problem = call(server_url + path, body)

    assert got == status == problem["status"]
    assert headers["Content-Type"] == "application/problem+json"
    assert says in problem["detail"]
    assert problem["title"]


def test_a_question_that_is_not_json_is_refused(server_url: str) -> None:
    status, _, problem = call(
        f"{server_url}/v1/answers", b'{"question": "why"}', **{"Content-Type": "text/plain"}
    )

    assert status == 415
    assert problem["status"] == 415


def test_whoever_opens_a_page_is_told_on_a_page(server_url: str) -> None:
    status, headers, page = call(f"{server_url}/documents/none", Accept="text/html,*/*;q=0.8")

    assert status == 404
    assert headers["Content-Type"].startswith("text/html")
    assert "There is no document none" in page


def test_a_strange_host_name_is_refused(server_url: str) -> None:
    for path in ("/v1/documents", "/"):
        status, _, problem = call(server_url + path, Host="evil.example", Accept="text/html")

        assert status == 400
        assert "FOOTNOTE_HOSTS" in problem["detail"]


def test_every_reply_forbids_what_pages_do_not_need(server_url: str) -> None:
    for path in ("/", "/v1/documents", "/nowhere"):
        _, headers, _ = call(server_url + path)
        assert headers["Content-Security-Policy"].startswith("default-src 'none'")
        assert headers["X-Content-Type-Options"] == "nosniff"


def test_the_description_is_valid_and_names_every_address(server_url: str) -> None:
    _, _, description = call(f"{server_url}/openapi.json")

    validate(description)
    assert set(description["paths"]) >= {"/v1/answers", "/v1/search", "/readyz"}


def figures(url: str) -> dict[str, float]:
    _, headers, text = call(f"{url}/metrics")
    assert headers["Content-Type"].startswith("text/plain")
    families = text_string_to_metric_families(text)
    return {
        "".join((sample.name, *sample.labels.values())): sample.value
        for family in families
        for sample in family.samples
    }


def test_the_metrics_count_answers_and_what_the_model_did(server_url: str) -> None:
    before = figures(server_url)
    ask(server_url, PART_TIME)
    list(events(server_url, PART_TIME))
    ask(server_url, ABSENT)
    time.sleep(0.6)  # the model's own figures come twice a second
    after = figures(server_url)

    more = {name: after[name] - before.get(name, 0) for name in after}
    answers = {name: count for name, count in more.items() if name.startswith("footnote_answers")}
    assert sum(answers.values()) == 3
    assert answers["footnote_answers_totalnot_found"] == 1
    assert more["footnote_model_queue_seconds_count"] >= 2
    assert more["footnote_model_generated_tokens_total"] > 0
    assert more["footnote_model_prompt_tokens_cached_total"] > 40, "the instructions, at least"
    assert after["footnote_model_generated_tokens_per_second"] > 0
    assert after["footnote_model_ready"] == 1
    assert all(name.startswith("footnote_") for name in after), "nothing of the system's own"


def test_the_metrics_are_not_for_other_hosts(server_url: str) -> None:
    status, _, _ = call(f"{server_url}/metrics", Host="elsewhere.example")

    assert status == 400


def test_only_what_a_browser_cannot_run_is_shown_inline(server_url: str) -> None:
    _, _, listed = call(f"{server_url}/v1/documents")
    shown = {}
    for document in listed["documents"]:
        with urllib.request.urlopen(
            f"{server_url}/documents/{document['id']}/original", timeout=60
        ) as reply:
            shown[document["media_type"]] = reply.headers["Content-Disposition"].split(";")[0]

    assert shown["application/pdf"] == "inline"
    assert shown["text/html"] == "attachment"


def test_readiness_names_what_is_missing(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with running_server(tmp_path / "empty", graphs=False) as url:
        status, _, ready = call(f"{url}/readyz")
        assert (call(f"{url}/healthz")[0], status) == (200, 503)
        assert "footnote ingest" in ready["missing"][0]
        assert ask(url, "Is anybody there?")["reason"] == "there are no documents yet"


def test_when_the_model_is_full_the_client_chooses_quotes_or_to_come_back(
    sample_shelf: Shelf,
) -> None:
    server = running_server(sample_shelf.home, answers_at_once="1", queue_length="0")
    with server as url, ThreadPoolExecutor(3) as pool:
        over = threading.Event()
        others = [pool.submit(ask_until, url, over) for _ in range(3)]
        body = {"question": PART_TIME, "when_busy": "refuse"}
        end = time.monotonic() + 60
        while (reply := call(f"{url}/v1/answers", body))[0] == 200:
            assert time.monotonic() < end, "three others never kept the model busy"
        streamed = dict(events(url, PART_TIME, when_busy="refuse"))
        over.set()
        reasons = {reason for other in others for reason in other.result()}

    status, headers, problem = reply
    assert status == 429
    assert int(headers["Retry-After"]) >= 1
    assert problem["title"] == "The model is busy"
    assert problem["detail"] in reasons, "others were not quoted to"
    assert "answer" in streamed or streamed["problem"]["retry_after_s"] >= 1


def ask_until(url: str, over: threading.Event) -> list[str | None]:
    reasons = []
    while not over.is_set():
        reasons.append(ask(url, PART_TIME)["reason"])
    return reasons


def test_a_model_killed_mid_answer_leaves_a_quote_and_comes_back(sample_shelf: Shelf) -> None:
    server = running_server(sample_shelf.home)
    with server as url, ThreadPoolExecutor(1) as pool:
        ask(url, PART_TIME)
        worker = worker_of(server.process.pid)
        os.kill(worker, signal.SIGSTOP)
        waiting = pool.submit(ask, url, PART_TIME)
        time.sleep(2)
        os.kill(worker, signal.SIGKILL)
        answer = waiting.result()

        assert answer["status"] == "quoted"
        assert "died" in answer["reason"]
        assert answer["citations"]
        end = time.monotonic() + 20
        while call(f"{url}/readyz")[0] != 200:
            assert time.monotonic() < end
            time.sleep(0.2)
        assert worker_of(server.process.pid) != worker


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL], ids=str)
def test_however_the_service_ends_it_leaves_nothing_running(
    number: signal.Signals, sample_shelf: Shelf
) -> None:
    server = running_server(sample_shelf.home)
    with server as url:
        assert call(f"{url}/healthz")[0] == 200
        worker = worker_of(server.process.pid)
        server.process.send_signal(number)
        code = server.process.wait(timeout=20)

        assert code == (-9 if number is signal.SIGKILL else 0)
        end = time.monotonic() + 5
        while alive(worker):
            assert time.monotonic() < end, "the model's process was left behind"
            time.sleep(0.05)


def test_a_reader_who_hangs_up_does_not_hold_the_model(server_url: str) -> None:
    address = urlsplit(server_url)
    body = json.dumps({"question": PART_TIME, "stream": True})
    head = f"POST /v1/answers HTTP/1.1\r\nHost: {address.netloc}\r\n"
    head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    for _ in range(5):
        with socket.create_connection((address.hostname or "", address.port or 0)) as connection:
            connection.sendall((head + body).encode())

    assert ask(server_url, PART_TIME)["status"] in ("answered", "quoted")


def footnote(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "web.cli", *arguments],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, **environment},
    )


def test_ask_prints_the_answer_with_its_footnotes(sample_shelf: Shelf) -> None:
    done = footnote("ask", PART_TIME, "--home", str(sample_shelf.home))

    assert done.returncode == 0, done.stderr
    assert "[1] leave-policy-2026.pdf, page" in done.stdout


def test_search_prints_json_when_asked(sample_shelf: Shelf) -> None:
    done = footnote("search", "dog licence", "--json", "--home", str(sample_shelf.home))

    assert json.loads(done.stdout)["hits"]


def test_the_documents_are_listed(sample_shelf: Shelf) -> None:
    done = footnote("documents", "list", "--home", str(sample_shelf.home))

    assert "leave-policy-2026.pdf" in done.stdout


def test_commands_label_documents_and_look_only_where_they_are_told(tmp_path: Path) -> None:
    docs, home = tmp_path / "docs", ("--home", str(with_graphs(tmp_path / "library")))
    for name, text in (("hr/leave.md", "Leave is 28 days."), ("fees/dogs.md", "A dog is £31.")):
        (docs / name).parent.mkdir(parents=True)
        (docs / name).write_text(f"---\ndate: 2024-05-01\ntags: [draft]\n---\n{text}\n")
    done = footnote("ingest", str(docs), "--tag", "handbook", "--group", "Council", *home)
    assert done.returncode == 0, done.stderr

    def told(*arguments: str) -> str:
        return CliRunner().invoke(main, [*arguments, *home]).stdout

    told("documents", "group", "hr/leave.md", "HR")
    said = told("documents", "tag", "hr/leave.md", "--remove", "draft", "--json")
    assert json.loads(said)["documents"][0]["tags"] == ["handbook"]

    def found(*where: str) -> set[str]:
        said = told("search", "how much is it", *where, "--json")
        return {hit["path"] for hit in json.loads(said)["hits"]}

    assert found("--group", "hr") == found("--folder", "hr") == {"hr/leave.md"}
    assert found("--tag", "DRAFT") == found("--document", "fees/dogs.md") == {"fees/dogs.md"}
    assert len(found("--type", "md", "--since", "2024-05-01", "--until", "2024-05-01")) == 2
    assert found("--type", "pdf") == set()
    listed = told("documents", "list", "--group", "HR")
    assert "hr/leave.md" in listed
    assert "dogs" not in listed
    said = told("ask", "what is a dog", "--since", "2025-01-01")
    assert "Not found: no document matches the filter." in said


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--since", "May"], "--since: “May” is no day"),
        (["--since", "2026-02-02", "--until", "2026-02-01"], "2026-02-02 is after"),
        (["--type", "exe"], "no type of document"),
        (["--tag", ""], "at least 1 character"),
        (["--document", "nothing.pdf"], "There is no document nothing.pdf"),
    ],
)
def test_an_option_that_makes_no_sense_is_refused(
    options: list[str], says: str, sample_shelf: Shelf
) -> None:
    done = footnote("documents", "list", *options, "--home", str(sample_shelf.home))

    assert done.returncode != 0
    assert says in done.stderr


@pytest.mark.parametrize(
    ("arguments", "environment", "says"),
    [
        (["ask", "why"], {"FOOTNOTE_MODEL": "/nowhere.gguf"}, "cannot be opened"),
        (["ask", "why"], {"FOOTNOTE_MODEL": "pyproject.toml"}, "not a GGUF"),
        (["search", "why"], {"FOOTNOTE_EMBEDDER": "/nowhere"}, "no embedding model"),
        (["search", "why"], {"FOOTNOTE_MODLE": "x"}, "There is no setting"),
        (["ingest", "nowhere"], {}, "no file or folder"),
        (["ask", "why"], {}, "There is no library"),
        (["search", "why"], {}, "There is no library"),
        (["documents", "list"], {}, "There is no library"),
        (["serve", "--host", "nosuch.invalid"], {}, "cannot be used"),
        (["serve"], {"FOOTNOTE_MODEL": "README.md"}, "not a GGUF"),
    ],
)
def test_a_command_that_cannot_work_says_so_in_one_line(
    arguments: list[str], environment: dict[str, str], says: str, tmp_path: Path
) -> None:
    done = footnote(*arguments, "--home", str(tmp_path / "library"), **environment)

    assert done.returncode == 1
    assert says in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert done.stdout == ""


def test_a_port_in_use_is_named(sample_shelf: Shelf, server_url: str) -> None:
    port = str(urlsplit(server_url).port)

    done = footnote("serve", "--port", port, "--home", str(sample_shelf.home))

    assert done.returncode == 1
    assert f"Port {port}" in done.stderr
