"""The pages, in a real browser against a real service."""

import json
import re
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit
from urllib.request import Request, urlopen

import numpy as np
import pytest
from playwright.sync_api import Browser, BrowserContext, Locator, Page, Route, expect
from werkzeug.serving import make_server

from answer import Answerer
from answer.judge import judged_by
from answer.receipts import Receipts
from ingest import Job, Sandbox
from retrieval import Library
from retrieval.embedder import InContext
from retrieval.types import Span, Vectors
from scripts.screenshot import chromium, find_chromium
from tests.conftest import JUDGE, running_server
from web import create_app
from web.ingestions import Ingestions
from web.settings import Settings
from web.wiring import Services, child_environment

pytestmark = pytest.mark.skipif(find_chromium() is None, reason="there is no Chromium")

FULL_TIME = "How many days of annual leave does a full-time officer get?"
PART_TIME = "How many days of annual leave does a part-time officer get?"
ABSENT = "Who won the 1998 World Cup?"
ANSWER_MS = 60_000
TOKEN = "correct-horse-battery-staple"
HOSTILE = "<img src=/gone onerror=\"document.title='owned'\"><script>alert(1)</script>&amp; 🦉"
LONG_LINES = 12_000

expect.set_options(timeout=10_000)


class Watch:
    """What went wrong in a browser: console errors, script errors, requests to elsewhere."""

    def __init__(self) -> None:
        self.errors: list[str] = []
        self.forgiven: list[str] = []
        self._origins: set[str] = set()

    def over(self, context: BrowserContext) -> None:
        context.on("console", lambda m: self._add(m.text) if m.type == "error" else None)
        context.on("weberror", lambda e: self._add(str(e.error)))
        context.on("request", lambda r: self._origins.add(urlsplit(r.url).netloc))

    def check(self) -> None:
        assert not self.errors
        assert len(self._origins) <= 1

    def _add(self, error: str) -> None:
        if not any(known in error for known in self.forgiven):
            self.errors.append(error)


class Words:
    """An embedder that costs nothing, for documents that are looked at and not searched."""

    name = "words@1"
    dimensions = 8
    max_tokens = 256

    def embed(self, texts: Sequence[str]) -> Vectors:
        rows = np.ones((len(texts), self.dimensions), np.float32)
        return np.asarray(rows / np.sqrt(self.dimensions), np.float32)

    def tokens(self, texts: Sequence[str]) -> list[list[Span]]:
        return [[m.span() for m in re.finditer(r"\S+", text)] for text in texts]

    def in_context(self, texts: Sequence[str]) -> list[InContext]:
        return [(spans, self.embed(["word"] * len(spans))) for spans in self.tokens(texts)]


class OddServer:
    """A service over documents that are hostile, superseded or very long; it has no model."""

    def __init__(self, home: Path, sandbox: Sandbox, **given: Any) -> None:
        self._library = Library(home, Words())
        self._job = Job(self._library, Words(), [sandbox], chunk_tokens=160)
        answerer = Answerer(
            self._library, None, judgement=judged_by(Words(), JUDGE), passages=6, threshold=0.5
        )
        settings = Settings(home=home, **given)
        ingestions = Ingestions(self._library, child_environment(settings))
        receipts = Receipts(home, self._library)
        services = Services(settings, Words(), self._library, None, answerer, ingestions, receipts)
        self._server = make_server("127.0.0.1", 0, create_app(services), threaded=True)
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def ingest(self, *paths: Path) -> None:
        assert self._job.run(paths, lambda *_: None).complete

    def address(self, path: str) -> str:
        found = next(d for d in self._library.documents() if d.path == path)
        return f"{self.url}/documents/{found.id}"

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
        self._library.close()


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture
def watch() -> Iterator[Watch]:
    watch = Watch()
    yield watch
    watch.check()


@pytest.fixture
def new_page(browser: Browser, watch: Watch) -> Iterator[Callable[..., Page]]:
    """Opens a page in a fresh profile; any of its errors fails the test."""
    contexts = []

    def new(**options: Any) -> Page:
        context = browser.new_context(**options)
        context.set_default_timeout(10_000)
        watch.over(context)
        contexts.append(context)
        return context.new_page()

    yield new
    for context in contexts:
        context.close()


@pytest.fixture
def page(new_page: Callable[..., Page]) -> Page:
    return new_page(viewport={"width": 1200, "height": 800})


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory, sandbox: Sandbox) -> Iterator[OddServer]:
    files = tmp_path_factory.mktemp("files")
    (files / "hostile.txt").write_text(
        f"{HOSTILE}\n======\n\n🦉🦉 {HOSTILE} The quoted words. 🦉\n"
    )
    lines = "".join(f"Line {n} of a very long document. 🦉\n\n" for n in range(LONG_LINES))
    (files / "long.txt").write_text(lines)
    (files / "rule.txt").write_text("The rule allows three days.\n")
    server = OddServer(tmp_path_factory.mktemp("odd") / "library", sandbox)
    server.ingest(files)
    yield server
    server.close()


@pytest.fixture
def odd_with_token(tmp_path: Path, sandbox: Sandbox) -> Iterator[OddServer]:
    (tmp_path / "rule.txt").write_text("The rule allows three days.\n")
    token = tmp_path / "token"
    token.write_text(TOKEN)
    token.chmod(0o600)
    server = OddServer(tmp_path / "library", sandbox, admin_token_file=token)
    server.ingest(tmp_path / "rule.txt")
    yield server
    server.close()


@pytest.fixture
def odd_beyond(tmp_path: Path, sandbox: Sandbox) -> Iterator[OddServer]:
    """A service that thinks it listens on every address, and has no token."""
    (tmp_path / "rule.txt").write_text("The rule allows three days.\n")
    server = OddServer(tmp_path / "library", sandbox, host="0.0.0.0")
    server.ingest(tmp_path / "rule.txt")
    yield server
    server.close()


def ask(page: Page, question: str) -> Locator:
    """Ask on the page and return the turn, answered."""
    page.get_by_label("Your question").fill(question)
    page.keyboard.press("Enter")
    return answered(page)


def answered(page: Page) -> Locator:
    turn = page.locator(".turn").last
    turn.locator("footer").wait_for(timeout=ANSWER_MS)
    return turn


def squeezed(text: str) -> str:
    return " ".join(text.split())


def text_of(address: str) -> str:
    """Return the text that citations of the document at this address count characters of."""
    parts = urlsplit(address)
    with urlopen(f"{parts.scheme}://{parts.netloc}/v1{parts.path}/text") as reply:
        return str(reply.read().decode())


def citation(number: int, **fields: Any) -> dict[str, Any]:
    known = {"title": "Leave policy", "page": 3, "heading": "2.1 Days", "quote": f"Words {number}."}
    place = {"document_id": "d", "path": "leave.pdf", "sha256": "0", "start": 0, "stop": 8}
    return {"number": number, "url": "/documents/d?page=3#cite-0-8", **place, **known, **fields}


def reply(status: str, **fields: Any) -> dict[str, Any]:
    """Return an answer as the interface gives it."""
    cited = [] if status == "not_found" else [citation(1)]
    sentences = [{"text": "Three days.", "citations": [1], "support": 1.0}] if cited else []
    return {
        "id": "1",
        "question": "How long?",
        "status": status,
        "reason": None if status == "answered" else "the documents do not say",
        "sentences": sentences,
        "citations": cited,
        "withheld": [],
        "nearest": [],
        "searched_for": None,
        "unanswered": [],
        "generation": 7,
        "model": {"name": "Small-1B", "sha256": "0"},
        "timings_ms": {"retrieval": 1, "first_token": 2, "total": 1234},
        **fields,
    }


def stub(page: Page, *answers: dict[str, Any]) -> list[dict[str, Any]]:
    """Have questions answered so, in turn, and return the list their requests go to."""
    asked: list[dict[str, Any]] = []

    def give(route: Route) -> None:
        asked.append(route.request.post_data_json or {})
        answer = answers[min(len(asked), len(answers)) - 1]
        body = f"event: answer\ndata: {json.dumps(answer)}\n\n"
        route.fulfill(body=body, content_type="text/event-stream")

    page.route("**/v1/answers", give)
    return asked


# Asking


def test_a_footnote_opens_the_document_at_the_quoted_words(page: Page, server_url: str) -> None:
    page.goto(server_url)
    turn = ask(page, FULL_TIME)
    quote = turn.locator(".sources blockquote").first.inner_text()
    turn.locator(".note").first.click()

    marked = page.locator("#text mark")
    expect(marked).to_be_focused()
    expect(marked).to_be_in_viewport()
    assert squeezed(marked.inner_text()) == squeezed(quote)


def test_hovering_or_focusing_a_footnote_shows_its_quote(page: Page, server_url: str) -> None:
    page.goto(server_url)
    turn = ask(page, FULL_TIME)
    note, card = turn.locator(".note").first, page.locator("#card")
    quote = turn.locator(".sources blockquote").first.inner_text()

    note.hover()
    expect(card.locator("blockquote")).to_have_text(quote)
    expect(card.locator(".place")).to_contain_text("Leave policy")
    card.hover()  # the pointer may go into the card
    expect(card).to_be_visible()
    page.mouse.move(0, 0)
    expect(card).to_be_hidden()

    note.focus()
    expect(card).to_be_visible()
    expect(note).to_have_accessible_description(quote)
    page.keyboard.press("Escape")
    expect(card).to_be_hidden()


def test_the_words_that_answer_are_marked_in_the_quote(page: Page, server_url: str) -> None:
    page.goto(server_url)
    quote = ask(page, FULL_TIME).locator(".sources blockquote").first

    assert "28" in quote.locator("mark").inner_text()
    assert quote.locator("mark").inner_text() in quote.inner_text()
    assert quote.locator("mark").inner_text() != quote.inner_text()


def test_a_citation_shows_the_warning_that_comes_with_it(page: Page, server_url: str) -> None:
    warned = citation(1, warning="The passage also holds orders to an AI assistant.")
    stub(page, reply("answered", citations=[warned]), reply("answered"))
    page.goto(f"{server_url}/?q=How+long")
    turn, card = answered(page), page.locator("#card")

    expect(turn.locator(".sources .warning")).to_have_text(warned["warning"])
    turn.locator(".note").hover()
    expect(card.locator(".warning")).to_have_text(warned["warning"])

    other = ask(page, "And then?")
    expect(other.locator(".sources .warning")).to_be_hidden()
    other.locator(".note").hover()
    expect(card.locator(".warning")).to_be_hidden()


def test_on_a_phone_a_tap_shows_the_card_and_a_tap_elsewhere_closes_it(
    new_page: Callable[..., Page], server_url: str
) -> None:
    page = new_page(viewport={"width": 360, "height": 740}, has_touch=True, is_mobile=True)
    stub(page, reply("answered"))
    page.goto(f"{server_url}/?q=How+long")
    note, card = answered(page).locator(".note"), page.locator("#card")

    note.tap()
    expect(card).to_be_in_viewport(ratio=1)
    assert "/documents/" not in page.url
    page.locator(".question").tap()
    expect(card).to_be_hidden()
    note.tap()
    card.get_by_role("link").click(trial=True)
    expect(card.get_by_role("link")).to_have_attribute("href", citation(1)["url"])


def test_what_the_documents_do_not_say_is_shown_as_not_found(page: Page, server_url: str) -> None:
    page.goto(server_url)
    turn = ask(page, ABSENT)
    expect(turn.get_by_role("status")).to_contain_text("Not in the documents")
    expect(turn.locator(".answer")).to_be_hidden()
    expect(turn.get_by_role("heading", name="Closest passages, not an answer")).to_be_visible()
    nearest = turn.get_by_role("link", name=re.compile("^Open at these words"))
    assert nearest.count() == 3
    nearest.first.click()
    expect(page.locator("#text mark")).to_be_in_viewport()


def test_the_states_differ_in_words_icon_and_colour(page: Page, server_url: str) -> None:
    looks = set()
    for status, label in (
        ("answered", "Answered from the documents"),
        ("quoted", "Quoted word for word"),
        ("not_found", "Not in the documents"),
    ):
        stub(page, reply(status))
        page.goto(f"{server_url}/?q=How+long")
        turn = answered(page)
        expect(turn.locator(".label")).to_have_text(label)
        expect(turn.locator(f".icon[data-for={status}]")).to_be_visible()
        assert turn.locator(".icon:visible").count() == 1
        looks.add(turn.locator(".label").evaluate("label => getComputedStyle(label).color"))
    assert len(looks) == 3


def test_the_small_print_says_who_wrote(page: Page, server_url: str) -> None:
    for status, said in (
        ("answered", "Written by Small-1B, an AI model, and checked against the sources"),
        ("quoted", "Quoted, no AI wording · model Small-1B"),
        ("not_found", "No AI wording"),
    ):
        stub(page, reply(status))
        page.goto(f"{server_url}/?q=How+long")
        expected = f"{said} · 1.2 seconds · library generation 7"
        expect(answered(page).locator(".smallprint")).to_have_text(expected)


def test_an_answer_leads_to_its_receipt_and_back(page: Page, server_url: str) -> None:
    page.goto(server_url)
    turn = ask(page, PART_TIME)
    said = turn.locator(".answer").inner_text()

    turn.get_by_role("link", name="Receipt").click()
    page.wait_for_url(f"{server_url}/v1/answers/*")
    receipt = json.loads(page.locator("body").inner_text())
    assert (receipt["question"], receipt["receipt"]["state"]) == (PART_TIME, "as_it_was")
    page.go_back()
    expect(answered(page).locator(".answer")).to_have_text(said)


def test_withheld_sentences_are_folded_away_with_the_reason(page: Page, server_url: str) -> None:
    withheld = [{"text": "Nine days.", "reason": "the number 9 is not in the cited words"}]
    stub(page, reply("quoted", withheld=withheld))
    page.goto(f"{server_url}/?q=How+long")
    turn = answered(page)
    expect(turn.get_by_text("Nine days.")).to_be_hidden()
    turn.get_by_text("1 sentence was withheld").click()
    expect(turn.locator("s")).to_have_text("Nine days.")
    expect(turn.get_by_text("The number 9 is not in the cited words.")).to_be_visible()


def test_everything_can_be_done_by_keyboard_alone(page: Page, server_url: str) -> None:
    page.goto(f"{server_url}/documents")
    page.goto(server_url)
    expect(page.get_by_label("Your question")).to_be_focused()
    page.keyboard.type("How many days")
    page.keyboard.press("Shift+Enter")
    page.keyboard.type("of annual leave does a full-time officer get?")
    page.keyboard.press("Enter")
    turn = answered(page)
    expect(turn.get_by_role("heading", level=2)).to_contain_text("How many days\nof annual leave")
    page.keyboard.press("Tab")
    expect(turn.locator(".note").first).to_be_focused()
    expect(page.locator("#card")).to_be_visible()
    page.keyboard.press("/")
    expect(page.get_by_label("Your question")).to_be_focused()
    page.keyboard.press("Shift+Tab")
    expect(turn.get_by_role("button", name="Copy with sources")).to_be_focused()
    for _ in range(20):
        if turn.locator(".note").first.evaluate("note => note === document.activeElement"):
            break
        page.keyboard.press("Shift+Tab")
    page.keyboard.press("Enter")
    expect(page.locator("#text mark")).to_be_focused()


def test_a_deep_link_asks_at_once(page: Page, server_url: str) -> None:
    asked = stub(page, reply("answered"))
    page.goto(f"{server_url}/?q=How+long%3F")
    answered(page)
    assert [(a["question"], a["stream"]) for a in asked] == [("How long?", True)]
    expect(page).to_have_title("How long? · Footnote")


def test_going_back_shows_the_same_answers_without_asking_again(
    page: Page, server_url: str
) -> None:
    asked = stub(page, reply("answered", id="1"), reply("not_found", id="2", question="And now?"))
    page.goto(server_url)
    ask(page, "How long?")
    ask(page, "And now?")
    assert page.url == f"{server_url}/?q=And+now%3F"
    page.goto(f"{server_url}/documents")
    page.go_back()
    expect(page.locator(".question")).to_have_text(["How long?", "And now?"])
    page.go_back()
    expect(page.locator(".question")).to_have_text(["How long?"])
    page.go_back()
    expect(page.get_by_role("heading", name="Ask the documents")).to_be_in_viewport()
    page.go_forward()
    expect(answered(page).locator(".answer")).to_contain_text("Three days.")
    assert len(asked) == 2


def test_reloading_asks_again(page: Page, server_url: str) -> None:
    asked = stub(page, reply("answered"))
    page.goto(f"{server_url}/?q=How+long%3F")
    answered(page)
    page.reload()
    answered(page)
    expect(page.locator(".turn")).to_have_count(1)
    assert len(asked) == 2


def test_a_follow_up_belongs_to_the_conversation(page: Page, server_url: str) -> None:
    page.goto(server_url)
    ask(page, FULL_TIME)
    with page.expect_request("**/v1/answers") as second:
        turn = ask(page, "And for part-time officers?")
    assert (second.value.post_data_json or {})["earlier"] == [FULL_TIME]
    expect(page.locator(".question")).to_have_text([FULL_TIME, "And for part-time officers?"])
    expect(turn.locator(".sources")).to_contain_text(re.compile("part-time", re.IGNORECASE))


def test_the_best_words_found_are_there_before_the_model_has_written(
    page: Page, server_url: str
) -> None:
    page.goto(server_url)
    page.evaluate(
        """() => {
          window.seen = [];
          const look = () => seen.push(document.querySelector(".turn .why")?.textContent);
          const all = { subtree: true, childList: true, characterData: true };
          new MutationObserver(look).observe(document.body, all);
        }"""
    )
    ask(page, FULL_TIME)
    seen = page.evaluate("() => seen.filter(Boolean)")
    assert any(re.search(r"Leave policy.*: “.*days.*”", text, re.IGNORECASE) for text in seen), seen


def test_a_question_after_going_back_does_not_lean_on_the_one_left(
    page: Page, server_url: str
) -> None:
    asked = stub(page, reply("answered", id="1"), reply("answered", id="2"))
    page.goto(server_url)
    ask(page, "How long?")
    ask(page, "And now?")
    page.go_back()
    expect(page.locator(".turn")).to_have_count(1)
    ask(page, "And then?")
    assert [a["earlier"] for a in asked] == [[], ["How long?"], ["How long?"]]


def test_a_follow_up_that_is_asked_again_follows_what_it_did(page: Page, server_url: str) -> None:
    asked = stub(page, *(reply("answered", id=str(n)) for n in range(3)))
    page.goto(server_url)
    ask(page, "How long?")
    ask(page, "And now?")
    page.reload()
    answered(page)
    assert [a["earlier"] for a in asked] == [[], ["How long?"], ["How long?"]]


def test_a_new_question_stops_the_one_before(page: Page, server_url: str) -> None:
    page.route("**/v1/answers", lambda _: None)  # never answered
    page.goto(f"{server_url}/?q=How+long")
    expect(page.get_by_role("button", name="Stop")).to_be_visible()
    expect(page.get_by_role("status").first).to_have_text("Searching the documents…")
    page.unroute("**/v1/answers")
    stub(page, reply("answered"))
    ask(page, "And now?")
    expect(page.locator(".label")).to_have_text(["Stopped", "Answered from the documents"])


def test_an_answer_can_be_stopped_and_tried_again(page: Page, server_url: str) -> None:
    page.route("**/v1/answers", lambda _: None)
    page.goto(f"{server_url}/?q=How+long")
    page.get_by_role("button", name="Stop").click()
    expect(page.locator(".label")).to_have_text("Stopped")
    expect(page.get_by_label("Your question")).to_be_focused()
    page.unroute("**/v1/answers")
    stub(page, reply("answered"))
    page.get_by_role("button", name="Try again").click()
    answered(page)
    expect(page.locator(".turn")).to_have_count(1)


def test_a_server_that_is_gone_is_told_in_plain_words(
    page: Page, server_url: str, watch: Watch
) -> None:
    watch.forgiven.append("ERR_INTERNET_DISCONNECTED")
    page.goto(server_url)
    page.context.set_offline(True)
    page.get_by_label("Your question").fill(ABSENT)
    page.keyboard.press("Enter")
    expect(page.get_by_role("status").first).to_contain_text("Footnote cannot be reached")
    page.context.set_offline(False)
    page.get_by_role("button", name="Try again").click()
    expect(answered(page).locator(".label")).to_have_text("Not in the documents")


def test_a_refusal_of_the_server_is_shown_in_its_words(
    page: Page, server_url: str, watch: Watch
) -> None:
    watch.forgiven.append("422")
    page.goto(server_url)
    page.get_by_label("Your question").fill("?!")
    page.keyboard.press("Enter")
    expect(page.get_by_role("status").first).to_contain_text("it must hold at least one word")


@pytest.mark.parametrize(
    ("last", "told"),
    [
        (
            'event: problem\ndata: {"title": "The model failed", "detail": "Ask anew"}\n\n',
            "Ask anew.",
        ),
        ("", "The connection was lost before it was complete."),
    ],
)
def test_an_answer_that_breaks_off_keeps_what_was_checked(
    page: Page, server_url: str, last: str, told: str
) -> None:
    said = {"sentence": reply("answered")["sentences"][0], "citations": [citation(1)]}
    body = f"event: sentence\ndata: {json.dumps(said)}\n\n{last}"
    page.route(
        "**/v1/answers",
        lambda route: route.fulfill(body=body, content_type="text/event-stream"),
    )
    page.goto(f"{server_url}/?q=How+long")
    expect(page.locator(".why")).to_have_text(told)
    expect(page.locator(".answer")).to_contain_text("Three days.")
    expect(page.get_by_role("button", name="Try again")).to_be_visible()


def test_the_copy_carries_its_sources(new_page: Callable[..., Page], server_url: str) -> None:
    page = new_page(permissions=["clipboard-read", "clipboard-write"])
    stub(page, reply("answered"))
    page.goto(f"{server_url}/?q=How+long")
    answered(page).get_by_role("button", name="Copy with sources").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied.splitlines() == [
        "How long?",
        "",
        "Answered from the documents:",
        "Three days.[1]",
        "",
        "[1] “Words 1.”",
        "    Leave policy · page 3 · 2.1 Days (leave.pdf)",
        f"    {server_url}/documents/d?page=3#cite-0-8",
    ]


def test_hostile_words_in_an_answer_are_shown_as_text(page: Page, server_url: str) -> None:
    sentence = {"text": HOSTILE, "citations": [1], "support": 1.0}
    hostile = citation(1, title=HOSTILE, heading=HOSTILE, quote=HOSTILE)
    withheld = [{"text": HOSTILE, "reason": HOSTILE}]
    fields = {"sentences": [sentence], "citations": [hostile], "withheld": withheld}
    stub(page, reply("quoted", reason=HOSTILE, **fields))
    page.goto(server_url)
    turn = ask(page, HOSTILE)
    turn.locator(".note").hover()
    expect(page.locator("#card blockquote")).to_have_text(HOSTILE)
    expect(turn.locator(".question")).to_have_text(HOSTILE)
    expect(turn.locator(".answer")).to_contain_text(HOSTILE)
    assert page.locator("img, .turn script, #card script").count() == 0


def test_examples_are_offered_of_the_sample_documents_only(
    page: Page, server_url: str, odd: OddServer
) -> None:
    page.goto(server_url)
    expect(page.get_by_role("link", name=PART_TIME)).to_be_visible()
    other = page.context.browser
    assert other is not None
    with other.new_context() as context:
        elsewhere = context.new_page()
        elsewhere.goto(odd.url)
        expect(elsewhere.get_by_text("Answers come only from 3 documents.")).to_be_visible()
        assert elsewhere.get_by_text("For example").count() == 0


def test_without_javascript_the_page_names_the_interface(
    new_page: Callable[..., Page], server_url: str
) -> None:
    page = new_page(java_script_enabled=False)
    page.goto(server_url)
    expect(page.locator("noscript code")).to_have_text("POST /v1/answers")
    expect(page.locator("noscript code")).to_be_visible()


@pytest.mark.parametrize("width", [320, 360])
def test_the_pages_fit_a_phone(new_page: Callable[..., Page], server_url: str, width: int) -> None:
    page = new_page(viewport={"width": width, "height": 740}, has_touch=True, is_mobile=True)
    stub(page, reply("quoted", withheld=[{"text": "x" * 90, "reason": "the cited words do not"}]))
    for path in ("/", "/?q=" + "W" * 90, "/documents"):
        page.goto(f"{server_url}{path}")
        if "?" in path:
            answered(page).locator("summary").click()
        assert page.evaluate("document.documentElement.scrollWidth") == width, path
    page.get_by_role("link", name="Leave policy", exact=True).click()
    assert page.evaluate("document.documentElement.scrollWidth") == width


# Documents


def test_hostile_words_in_a_document_are_shown_as_text(page: Page, odd: OddServer) -> None:
    address = odd.address("hostile.txt")
    text = text_of(address)
    start = text.index("The quoted words.")
    page.goto(f"{address}#cite-{start}-{start + 17}")
    expect(page.locator("#text mark")).to_have_text("The quoted words.")
    assert page.locator("#text .words").evaluate("words => words.textContent") == text
    expect(page.get_by_role("heading", level=1)).to_have_text(HOSTILE)
    assert page.locator("img, #main script").count() == 0
    page.goto(f"{odd.url}/documents")
    expect(page.get_by_role("link", name=HOSTILE)).to_be_visible()


def test_words_over_the_end_of_a_page_are_marked_on_both(page: Page, server_url: str) -> None:
    page.goto(f"{server_url}/documents")
    page.get_by_role("link", name="Leave policy", exact=True).click()
    edge = int(page.locator("#page-2 .words").get_attribute("data-start") or "")
    page.evaluate(f"location.hash = '#cite-{edge - 20}-{edge + 20}'")
    expect(page.locator("#text mark")).to_have_count(2)
    marked = page.locator("#text mark").evaluate_all("all => all.map(m => m.textContent).join('')")
    assert marked == text_of(page.url)[edge - 20 : edge + 20]
    page.evaluate("location.hash = '#cite-10-20'")
    expect(page.locator("#text mark")).to_have_count(1)
    expect(page.get_by_role("link", name="Open the original at page 1")).to_be_visible()


@pytest.mark.parametrize("fragment", ["cite-", "cite-5", "cite-9-9", "cite-0-99999999", "cite-a-b"])
def test_an_address_that_names_no_words_says_so(page: Page, odd: OddServer, fragment: str) -> None:
    page.goto(f"{odd.address('hostile.txt')}#{fragment}")
    expect(page.get_by_role("status")).to_contain_text("names no words of this document")
    expect(page.locator("#text mark")).to_have_count(0)


def test_a_page_can_be_opened_by_its_number(page: Page, server_url: str) -> None:
    page.goto(f"{server_url}/documents")
    page.get_by_role("link", name="Leave policy", exact=True).click()
    page.goto(f"{page.url}?page=3")
    expect(page.get_by_role("heading", name="Page 3")).to_be_in_viewport()
    original = page.get_by_role("link", name="Open the original at page 3")
    assert (original.get_attribute("href") or "").endswith("/original#page=3")
    page.get_by_role("navigation", name="Pages").get_by_role("link", name="2").click()
    expect(page.get_by_role("heading", name="Page 2")).to_be_in_viewport()


def test_a_very_long_document_opens_at_the_words(page: Page, odd: OddServer) -> None:
    address = odd.address("long.txt")
    text = text_of(address)
    assert len(text) > 400_000
    last = f"Line {LONG_LINES - 1} of a very long document."
    start = text.index(last)
    page.goto(f"{address}#cite-{start}-{start + len(last)}")
    expect(page.locator("#text mark")).to_have_text(last)
    expect(page.locator("#text mark")).to_be_in_viewport()


def test_a_superseded_revision_says_so(page: Page, odd: OddServer, tmp_path: Path) -> None:
    rule = tmp_path / "older.txt"
    rule.write_text("The rule allows two days.\n")
    odd.ingest(tmp_path)
    old = odd.address("older.txt")
    page.goto(old)
    expect(page.get_by_text("No longer in force here.")).to_be_hidden()
    rule.write_text("The rule allows nine days.\n")
    odd.ingest(tmp_path)
    page.goto(f"{old}#cite-16-24")
    page.reload()
    expect(page.get_by_text("No longer in force here.")).to_be_visible()
    expect(page.locator("#text mark")).to_have_text("two days")


def test_the_documents_are_listed_and_can_be_narrowed(page: Page, server_url: str) -> None:
    page.goto(f"{server_url}/documents")
    rows = page.locator("tbody tr:visible")
    count = rows.count()
    page.get_by_label("Filter by title, path, group or tag").fill("LEAVE 2026")
    expect(rows).to_have_count(1)
    expect(page.get_by_role("status")).to_have_text(f"1 of {count} documents")
    expect(rows.first).to_contain_text("leave-policy-2026.pdf")
    expect(rows.first).to_contain_text("5 pages")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Leave policy")


def test_where_to_look_is_chosen_by_keyboard_and_shared_by_address(
    page: Page, server_url: str
) -> None:
    asked = stub(page, reply("answered"))
    page.goto(server_url)
    page.get_by_text("Look in…").focus()
    page.keyboard.press("Enter")
    page.get_by_label("PDF").focus()
    page.keyboard.press("Space")
    page.get_by_label("from", exact=True).fill("2026-01-02")
    chips = page.get_by_role("list", name="Looking only in").get_by_role("button")
    expect(chips).to_have_text(["PDF ×", "From 2026-01-02 ×"])
    ask(page, "How long?")
    filters = {"media_types": ["application/pdf"], "date_from": "2026-01-02"}
    assert asked[-1]["filters"] == filters
    assert "media_types=application%2Fpdf&date_from=2026-01-02" in page.url

    page.goto(page.url)  # as whoever it was sent to
    answered(page)
    assert asked[-1]["filters"] == filters
    chips.first.focus()
    page.keyboard.press("Enter")
    expect(chips).to_have_text(["From 2026-01-02 ×"])
    expect(chips.first).to_be_focused()
    assert page.url.endswith("/?q=How+long%3F&date_from=2026-01-02")
    page.keyboard.press("Enter")
    expect(page.locator("#chips")).to_be_hidden()
    ask(page, "And now?")
    assert "filters" not in asked[-1]


def test_a_shared_choice_that_is_not_there_any_more_stays_chosen(
    page: Page, server_url: str
) -> None:
    page.goto(f"{server_url}/?q=annual+leave&folder=gone&tags={quote('<b>old</b>')}")
    turn = answered(page)
    expect(turn.get_by_role("status")).to_contain_text("No document matches the filter.")
    expect(page.locator("#chips button")).to_have_text(["gone ×", "<b>old</b> ×"])


def test_one_document_alone_can_be_asked(page: Page, server_url: str) -> None:
    page.goto(f"{server_url}/documents")
    page.get_by_role("link", name="Fee schedule").first.click()
    page.get_by_role("link", name="Ask only this one").click()
    expect(page.locator("#chips button")).to_have_text([re.compile("Fee schedule.* ×")])
    turn = ask(page, "What does a dog licence cost?")
    expect(turn.locator(".sources .place").first).to_contain_text("Fee schedule")


def test_an_empty_library_tells_how_to_fill_it(
    page: Page, tmp_path: Path, sandbox: Sandbox
) -> None:
    server = OddServer(tmp_path / "library", sandbox)
    try:
        page.goto(f"{server.url}/documents")
        expect(page.get_by_text("footnote ingest PATH")).to_be_visible()
        page.goto(f"{server.url}/")
        turn = ask(page, "How long?")
        expect(turn.get_by_role("status")).to_contain_text("There are no documents yet.")
    finally:
        server.close()


# Changing documents


@pytest.fixture(scope="module")
def admin_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("admin") / "library"
    (home.parent / "rules").mkdir()
    (home.parent / "rules" / "kite.md").write_text("# Kites\n\nA kite may fly 60 metres high.\n")
    (home.parent / "rules" / "broken.pdf").write_bytes(b"%PDF-1.7 nonsense")
    return home


@pytest.fixture(scope="module")
def admin_url(admin_home: Path) -> Iterator[str]:
    """A real service over a library that its pages may change."""
    with running_server(admin_home, folders=str(admin_home.parent / "rules")) as url:
        yield url


def search(url: str, query: str) -> str:
    body = json.dumps({"query": query}).encode()
    with urlopen(Request(f"{url}/v1/search", body, {"Content-Type": "application/json"})) as reply:
        return str(reply.read().decode())


def test_a_file_is_uploaded_asked_for_and_withdrawn(
    page: Page, admin_url: str, tmp_path: Path
) -> None:
    file = tmp_path / "otters.md"
    file.write_text("# Otters\n\nAn otter permit costs 47 crowns.\n")
    page.goto(f"{admin_url}/documents")
    status = page.locator("#run [role=status]")

    page.get_by_label("Choose files, or drop them here").set_input_files(file)
    expect(status).to_have_text("Read.", timeout=ANSWER_MS)
    row = page.locator("#documents tbody tr", has_text="otters.md")
    expect(row.get_by_role("link", name="Otters")).to_be_visible()
    assert "47 crowns" in search(admin_url, "otter permit")

    row.get_by_role("button", name="Withdraw otters.md").click()
    dialog = page.get_by_role("dialog", name="Withdraw otters.md?")
    expect(dialog.get_by_role("button", name="Keep it")).to_be_focused()
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    assert "47 crowns" in search(admin_url, "otter permit"), "nothing was confirmed"
    row.get_by_role("button", name="Withdraw otters.md").click()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(status).to_have_text("Withdrew otters.md.")
    expect(row).to_have_count(0)
    assert "47 crowns" not in search(admin_url, "otter permit")

    other = page.locator("#others li", has_text="otters.md")
    expect(other).to_contain_text("It was withdrawn")
    other.get_by_role("button", name="Restore otters.md").click()
    expect(row).to_be_visible()
    assert "47 crowns" in search(admin_url, "otter permit")


def test_a_file_that_is_refused_is_named(page: Page, watch: Watch, admin_url: str) -> None:
    watch.forgiven = ["422"]
    page.goto(f"{admin_url}/documents")
    drop = page.locator("#drop")

    data = page.evaluate_handle(
        "() => { const all = new DataTransfer(); all.items.add(new File(['MZ'], 'setup.exe'));"
        " return all; }"
    )
    drop.dispatch_event("drop", {"dataTransfer": data})

    expect(page.locator("#run [role=status]")).to_contain_text(
        "setup.exe: Files called “.exe” are not read"
    )


def test_documents_are_labelled_on_the_page(page: Page, admin_url: str) -> None:
    page.goto(f"{admin_url}/documents")
    page.get_by_label("Group").first.fill("Beaches")
    page.get_by_label("Tags").first.fill("sand, <i>sea</i>")
    page.get_by_label("Choose files").set_input_files(
        {"name": "sand.md", "mimeType": "text/markdown", "buffer": b"# Sand\n\nSand is free.\n"}
    )
    row = page.locator("tbody tr", has_text="sand.md")
    expect(page.locator("#run").get_by_role("status")).to_have_text("Read.", timeout=ANSWER_MS)
    expect(row.locator(".labels li")).to_have_text(["Beaches", "sand", "<i>sea</i>"])

    row.get_by_role("button", name="Label sand.md").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_label("Group")).to_have_value("Beaches")
    dialog.get_by_label("Group").fill("Shores")
    dialog.get_by_label("Tags").fill("sand, dunes")
    page.keyboard.press("Enter")
    expect(row.locator(".labels li")).to_have_text(["Shores", "sand", "dunes"])
    expect(row.get_by_role("button", name="Label sand.md")).to_be_focused()
    row.get_by_role("button", name="Label sand.md").click()
    dialog.get_by_label("Group").fill("No")
    page.keyboard.press("Escape")
    expect(row.locator(".labels li").first).to_have_text("Shores")


def test_the_folders_are_read_again_from_the_page(page: Page, admin_url: str) -> None:
    page.goto(f"{admin_url}/documents")

    page.get_by_role("button", name="Read the folders again").click()

    status = page.locator("#run [role=status]")
    expect(status).to_contain_text("1 file could not be read", timeout=ANSWER_MS)
    expect(page.get_by_role("link", name="Kites")).to_be_visible()
    failed = page.locator("#others li", has_text="broken.pdf")
    expect(failed).to_contain_text("Could not be read.")


def test_with_a_token_set_the_page_asks_for_it(
    page: Page, watch: Watch, odd_with_token: OddServer
) -> None:
    watch.forgiven = ["401"]
    page.goto(f"{odd_with_token.url}/documents")
    field = page.get_by_label("Administrator’s token")
    withdraw = page.get_by_role("button", name="Withdraw rule.txt")
    expect(withdraw).to_be_hidden()

    field.fill("wrong-token-wrong-token")
    page.keyboard.press("Enter")
    withdraw.click()
    page.get_by_role("dialog").get_by_role("button", name="Withdraw").click()
    expect(page.locator("#run [role=status]")).to_contain_text("the administrator's token")
    expect(field).to_be_focused()

    field.fill(TOKEN)
    page.keyboard.press("Enter")
    expect(field).to_be_hidden()
    page.reload()
    expect(field).to_be_hidden()
    withdraw.click()
    page.get_by_role("dialog").get_by_role("button", name="Withdraw").click()
    expect(page.locator("#run [role=status]")).to_have_text("Withdrew rule.txt.")


def test_where_nothing_may_be_changed_nothing_offers_it(page: Page, odd_beyond: OddServer) -> None:
    page.goto(f"{odd_beyond.url}/documents")

    expect(page.get_by_role("link", name="rule")).to_be_visible()
    assert page.get_by_role("button").count() == 0
    assert page.locator("input[type=file]").count() == 0
