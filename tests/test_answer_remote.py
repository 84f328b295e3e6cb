"""A model on a server: a real one in a second process, and real HTTP that goes wrong."""

import datetime
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from answer.engine import LlamaProcess
from answer.errors import AnswerError, ModelBusy, ModelFailed, ModelUnavailable, QuestionTooLong
from answer.model import Message, Piece
from answer.remote import Patience, RemoteModel, Server, parse_address
from answer.types import ModelCard, Usage
from scripts.engine_writers import free_port
from tests.model_servers import (
    KEY,
    Exchange,
    FaultyServer,
    Reply,
    lists,
    llama_server,
    says,
    writes,
)

PROMPT = [Message("user", "Count from one to one hundred in words.")]
HASTY = Patience(connect_s=2.0, queue_s=3.0, piece_s=0.5, failures=3, rest_s=0.3)


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """llama-cpp-python's own server, in a process of its own."""
    with llama_server(tmp_path_factory.mktemp("server")) as address:
        yield address


@pytest.fixture
def remote(address: str) -> Iterator[RemoteModel]:
    with closing(RemoteModel(Server(address, key=KEY))) as model:
        model.start()
        yield model


def to(server: FaultyServer, patience: Patience = HASTY) -> "closing[RemoteModel]":
    """Return a model on a faulty server, closed at the end of a with statement."""
    return closing(RemoteModel(Server(server.address, name="first"), patience))


def text_of(pieces: list[Piece]) -> str:
    return "".join(piece for piece in pieces if isinstance(piece, str))


def ask(model: RemoteModel) -> str:
    return text_of(list(model.write(PROMPT, max_tokens=8)))


def failing(model: RemoteModel) -> None:
    with pytest.raises(AnswerError):
        ask(model)


def until(condition: object, wait_s: float = 10.0) -> None:
    assert callable(condition)
    end = time.monotonic() + wait_s
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


def test_a_server_writes_what_the_model_writes_here(
    remote: RemoteModel, model: LlamaProcess
) -> None:
    *pieces, usage = remote.write(PROMPT, max_tokens=5)

    assert text_of(pieces) == text_of(list(model.write(PROMPT, max_tokens=5))) != ""
    assert len(pieces) > 3, "it did not come piece by piece"
    assert usage == Usage(cut_short=True), "this server counts nothing in a stream"


def test_the_first_model_of_a_server_is_the_one_and_its_file_was_seen_by_nobody(
    remote: RemoteModel,
) -> None:
    assert remote.card == ModelCard("smollm2", None)
    assert remote.ready


def test_a_reader_who_leaves_stops_a_servers_writing(remote: RemoteModel) -> None:
    pieces = remote.write(PROMPT, max_tokens=900)
    next(pieces)
    began = time.monotonic()
    pieces.close()  # type: ignore[attr-defined]  # it is a generator

    assert ask(remote)
    assert time.monotonic() - began < 10, "the next question waited for one nobody reads"


def test_a_wrong_key_is_said_at_the_start_and_how_to_mend_it(address: str) -> None:
    with (
        closing(RemoteModel(Server(address, key="wrong"))) as model,
        pytest.raises(ModelUnavailable, match=r"key \(401\).*FOOTNOTE_MODEL_KEY_FILE") as raised,
    ):
        model.start()

    assert "wrong" not in str(raised.value)


def test_what_is_asked_of_a_server() -> None:
    with FaultyServer() as server, closing(RemoteModel(Server(server.address, key=KEY))) as model:
        model.start()
        *_, usage = model.write([Message("system", "Be brief."), *PROMPT], max_tokens=8)

    (prompt,) = server.prompts
    assert prompt["model"] == "first"
    assert [m["role"] for m in prompt["messages"]] == ["system", "user"]
    assert (prompt["max_tokens"], prompt["temperature"], prompt["stream"]) == (8, 0, True)
    assert {e.headers["authorization"] for e in server.asked} == {f"Bearer {KEY}"}
    assert server.asked[-1].headers["accept-encoding"] == "identity", "a bomb was asked for"
    assert usage == Usage(7, 5, 4)


def test_an_answer_cut_at_its_limit_says_so() -> None:
    with FaultyServer(writes(finish="length")) as server, to(server) as model:
        *_, usage = model.write(PROMPT, max_tokens=8)

    assert isinstance(usage, Usage)
    assert usage.cut_short


def test_a_name_that_is_set_is_asked_for_and_one_that_is_not_there_is_warned_of(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with (
        FaultyServer() as server,
        closing(RemoteModel(Server(server.address, name="third"), HASTY)) as model,
    ):
        model.start()
        ask(model)

    assert server.prompts[0]["model"] == "third"
    assert "lists no model third, but first, second" in caplog.text


def test_where_the_questions_go_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    with FaultyServer() as server, to(server) as model:
        model.start()

    assert f"questions and the evidence for them go to {server.address}" in caplog.text
    assert "unencrypted" not in caplog.text, "nobody reads along on the loopback address"


def test_a_way_that_others_can_read_along_is_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    hasty = Patience(connect_s=0.01, queue_s=0.01)
    with closing(RemoteModel(Server("http://192.0.2.1/v1", key=KEY), hasty)) as model:
        model.start()

    assert "unencrypted" in caplog.text
    assert KEY not in caplog.text
    assert not model.ready


def hang(exchange: Exchange) -> None:
    exchange.server.over.wait(20)


def hang_in_the_middle(exchange: Exchange) -> None:
    exchange.begin()
    exchange.piece("It vents")
    hang(exchange)


def keep_the_line_busy(exchange: Exchange) -> None:
    exchange.begin()
    while not exchange.server.over.wait(0.05):
        exchange.wfile.write(b": ping\n\n")


def break_off(exchange: Exchange) -> None:
    exchange.send_response(200)
    exchange.send_header("Content-Type", "text/event-stream")
    exchange.send_header("Transfer-Encoding", "chunked")
    exchange.end_headers()
    exchange.wfile.write(b"40\r\ndata: {")


def stop_without_a_word(exchange: Exchange) -> None:
    exchange.begin()
    exchange.piece("It vents")


def stop_for_another(exchange: Exchange) -> None:
    stop_without_a_word(exchange)
    exchange.event("[DONE]")


def fail_in_the_middle(exchange: Exchange) -> None:
    stop_without_a_word(exchange)
    exchange.event({"error": {"message": "out of memory"}})


def write_for_ever(exchange: Exchange) -> None:
    exchange.begin()
    while True:
        exchange.piece("word " * 10_000)


def one_endless_line(exchange: Exchange) -> None:
    exchange.begin()
    exchange.wfile.write(b"data: ")
    while True:
        exchange.wfile.write(b"x" * 65536)


def sends(event: object) -> Reply:
    def reply(exchange: Exchange) -> None:
        exchange.begin()
        exchange.event(event)

    return reply


def compressed(exchange: Exchange) -> None:
    exchange.begin(Content_Encoding="gzip")
    exchange.wfile.write(b"\x1f\x8b")


@pytest.mark.parametrize(
    ("reply", "told"),
    [
        (says(500, {"error": {"message": "secret"}}), r"failed \(500\)"),
        (hang, "hung"),
        (hang_in_the_middle, "hung"),
        (keep_the_line_busy, "hung"),
        (break_off, "broke off"),
        (lambda exchange: exchange.wfile.write(b"SSH-2.0\r\n\r\n"), "broke off"),
        (stop_without_a_word, "stopped in the middle"),
        (stop_for_another, "stopped in the middle"),
        (fail_in_the_middle, "failed in the middle"),
        (write_for_ever, "more than 4 MiB"),
        (one_endless_line, "moderate size"),
        (compressed, "compressed"),
        (says(200, {"choices": []}), "stream of events"),
        (sends("{"), "not OpenAI's protocol"),
        (sends("[" * 100_000), "not OpenAI's protocol"),
        (sends({"choices": [{"delta": {"content": 7}}]}), "not OpenAI's protocol"),
        (sends({"choices": "none"}), "not OpenAI's protocol"),
        (says(307, "", Location="http://127.0.0.1:9/v1"), "redirects"),
        (says(403), "key"),
        (says(404), "no such model"),
        (says(400, {"error": {"message": "no"}}), "refused the prompt"),
    ],
)
def test_a_server_gone_bad_fails_the_answer_and_no_more(reply: Reply, told: str) -> None:
    with (
        FaultyServer(reply) as server,
        to(server) as model,
        pytest.raises(ModelFailed, match=told) as raised,
    ):
        ask(model)

    assert "secret" not in str(raised.value)
    assert len(server.prompts) == 1, "what may have been begun was asked for again"


@pytest.mark.parametrize(
    "error",
    [
        {"code": "context_length_exceeded", "message": "too many tokens"},
        {"code": 400, "type": "exceed_context_size_error", "message": "the request"},
        {"code": 400, "message": "This model's maximum context length is 4096 tokens."},
    ],
    ids=["llama-cpp-python", "llama-server", "vLLM"],
)
def test_a_prompt_too_long_for_the_server_is_told_apart(error: dict[str, object]) -> None:
    with (
        FaultyServer(says(400, {"error": error})) as server,
        to(server) as model,
        pytest.raises(QuestionTooLong, match="does not fit"),
    ):
        ask(model)


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_a_server_that_is_not_ready_is_asked_again(status: int) -> None:
    with FaultyServer(says(status), writes()) as server, to(server) as model:
        assert ask(model).strip() == "It vents at noon."

    assert len(server.prompts) == 2


def test_a_server_that_starts_just_now_is_waited_for() -> None:
    port = free_port()
    server = Server(f"http://127.0.0.1:{port}/v1", name="first")
    with closing(RemoteModel(server, HASTY)) as model:
        answered: list[str] = []
        asking = threading.Thread(target=lambda: answered.append(ask(model)))
        asking.start()
        time.sleep(0.1)
        with FaultyServer(port=port):
            asking.join(10)

    assert answered


def test_a_busy_server_is_left_alone_for_as_long_as_it_asks() -> None:
    with FaultyServer(says(429, Retry_After="1"), writes()) as server, to(server) as model:
        began = time.monotonic()
        ask(model)

        assert time.monotonic() - began >= 1.0


@pytest.mark.parametrize("wait", ["60", "Fri, 31 Dec 2100 23:59:59 GMT"])
def test_a_server_that_is_busy_for_longer_than_anyone_waits_is_not_waited_for(wait: str) -> None:
    with FaultyServer(says(429, Retry_After=wait)) as server, to(server) as model:
        began = time.monotonic()
        with pytest.raises(ModelBusy, match="busy"):
            ask(model)

    assert time.monotonic() - began < HASTY.queue_s
    assert len(server.prompts) == 1


def test_a_server_that_keeps_failing_is_left_alone_and_tried_again_later() -> None:
    script = (says(500), says(500), says(500), writes())
    with FaultyServer(*script) as server, to(server, Patience(failures=3, rest_s=0.5)) as model:
        for _ in range(3):
            with pytest.raises(ModelFailed, match="500"):
                ask(model)
        with pytest.raises(ModelFailed, match="left alone"):
            ask(model)
        assert len(server.prompts) == 3
        assert not model.ready
        time.sleep(0.5)

        assert ask(model)
        assert model.ready


def test_one_trial_goes_to_a_server_that_failed_and_the_others_do_not_wait_for_it() -> None:
    with (
        FaultyServer(says(500), hang) as server,
        to(server, Patience(failures=1, rest_s=0.01, piece_s=20)) as m,
    ):
        with pytest.raises(ModelFailed, match="500"):
            ask(m)
        time.sleep(0.02)
        trial = threading.Thread(target=lambda: failing(m))
        trial.start()
        until(lambda: len(server.prompts) == 2)

        with pytest.raises(ModelFailed, match="left alone"):
            ask(m)
        assert len(server.prompts) == 2
        server.over.set()
        trial.join()


def test_refusing_one_prompt_does_not_count_against_a_server() -> None:
    with FaultyServer(says(400)) as server, to(server) as model:
        for _ in range(5):
            with pytest.raises(ModelFailed, match="refused the prompt"):
                ask(model)


def test_a_service_starts_without_its_server_and_notices_when_it_comes() -> None:
    port = free_port()
    hasty = Patience(queue_s=0.1, rest_s=0.05)
    with closing(RemoteModel(Server(f"http://127.0.0.1:{port}/v1"), hasty)) as model:
        model.start()
        assert not model.ready
        with pytest.raises(ModelFailed):
            _ = model.card
        with FaultyServer(port=port):
            until(lambda: model.ready)

            assert model.card.name == "first"


@pytest.mark.parametrize("listing", [says(404), says(401)])
def test_a_service_does_not_start_with_a_server_that_somebody_must_mend(listing: Reply) -> None:
    with (
        FaultyServer(listing=listing) as server,
        to(server) as model,
        pytest.raises(ModelUnavailable, match="Check FOOTNOTE_MODEL"),
    ):
        model.start()


@pytest.mark.parametrize(
    "listing", [lists(), says(200, []), says(200, b"<html>"), says(200, b"[" * 5_000_000), hang]
)
def test_a_list_of_models_that_is_none_is_no_reason_to_crash(listing: Reply) -> None:
    with (
        FaultyServer(listing=listing) as server,
        closing(RemoteModel(Server(server.address), HASTY)) as model,
    ):
        model.start()

        assert not model.ready


def test_a_reader_who_leaves_hangs_up() -> None:
    def go_on(exchange: Exchange) -> None:
        exchange.begin()
        while not exchange.server.over.wait(0.01):
            exchange.piece("word ")

    with FaultyServer(go_on) as server, to(server) as model:
        pieces = model.write(PROMPT, max_tokens=8)
        next(pieces)
        pieces.close()  # type: ignore[attr-defined]  # it is a generator

        assert server.hung_up.wait(5)


def test_two_prompts_are_with_the_server_at_once() -> None:
    meeting = threading.Barrier(2, timeout=10)

    def meet(exchange: Exchange) -> None:
        meeting.wait()
        writes()(exchange)

    answered: list[str] = []
    with FaultyServer(meet) as server, to(server, Patience()) as model:
        threads = [threading.Thread(target=lambda: answered.append(ask(model))) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert len(answered) == 2


def test_a_closed_model_takes_no_prompt() -> None:
    with FaultyServer() as server:
        with to(server) as model:
            pass
        with pytest.raises(ModelFailed, match="stopping"):
            ask(model)

    assert not model.ready


def test_proxies_of_the_environment_do_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)

    with FaultyServer() as server, to(server) as model:
        assert ask(model)


def test_a_certificate_nobody_vouches_for_is_refused(tmp_path: Path) -> None:
    with FaultyServer() as server:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self_signed(tmp_path))
        server.socket = context.wrap_socket(server.socket, server_side=True)
        address = server.address.replace("http:", "https:")
        with (
            closing(RemoteModel(Server(address, name="first"), HASTY)) as model,
            pytest.raises(ModelFailed, match="certificate of the model's server is not trusted"),
        ):
            ask(model)

    assert not server.prompts


def self_signed(folder: Path) -> Path:
    """Return a file with a key and a certificate for 127.0.0.1 that only it vouches for."""
    import ipaddress

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False
        )
        .sign(key, hashes.SHA256())
    )
    file = folder / "server.pem"
    file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    return file


@pytest.mark.parametrize(
    ("given", "address"),
    [
        ("https://host", "https://host/v1"),
        ("http://host:8080/v1/", "http://host:8080/v1"),
        ("https://host/openai/v1/chat/completions", "https://host/openai/v1"),
        ("HTTP://[::1]:8080/v1", "http://[::1]:8080/v1"),
    ],
)
def test_an_address_may_be_written_in_several_ways(given: str, address: str) -> None:
    assert parse_address(given) == address


@pytest.mark.parametrize(
    "given",
    [
        *("http://", "https://host:port/v1", "https://host:99999/v1", "http://[::1/v1"),
        *("https://me:secret@host/v1", "https://host/v1?key=secret", "https://host/v1#secret"),
    ],
)
def test_an_address_that_is_none_or_holds_a_secret_is_refused_without_saying_it(given: str) -> None:
    with pytest.raises(ModelUnavailable, match="address") as raised:
        parse_address(given)

    assert "secret" not in str(raised.value)


def test_a_key_is_not_shown() -> None:
    assert KEY not in repr(Server("https://host/v1", key=KEY))
