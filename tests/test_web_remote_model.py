"""The service with its model on a server, by HTTP at both ends."""

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import Shelf, running_server, with_graphs
from tests.model_servers import KEY, Exchange, FaultyServer, writes
from tests.test_web_api import PART_TIME, ask, call, children, footnote
from web.settings import Settings, SettingsError, load, read_key
from web.wiring import stay_offline


def copy_the_evidence(exchange: Exchange) -> None:
    """Write what the first source in the prompt says, without where it is from."""
    first = re.search(r"^\[1\] \(.*?\) (.*)$", exchange.body["messages"][-1]["content"], re.M)
    assert first
    writes(first[1])(exchange)


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    file = tmp_path / "key"
    file.write_text(f"{KEY}\n")
    file.chmod(0o600)
    return file


@pytest.fixture
def model_server() -> Iterator[FaultyServer]:
    with FaultyServer(copy_the_evidence) as server:
        yield server


def test_a_server_writes_the_answer_and_the_gate_checks_it_all_the_same(
    sample_shelf: Shelf, model_server: FaultyServer, key_file: Path
) -> None:
    service = running_server(
        sample_shelf.home,
        model=model_server.address,
        model_name="second",
        model_key_file=str(key_file),
    )
    with service as url:
        answer = ask(url, PART_TIME)
        model_server.script = (writes("A part-time officer gets 99 days."),)
        invented = ask(url, PART_TIME)
        here = [Path(f"/proc/{c}/cmdline").read_bytes() for c in children(service.process.pid)]
        model_server.shutdown()
        model_server.server_close()
        down = ask(url, PART_TIME)
        healthy = call(f"{url}/healthz")[0]

    assert answer["status"] == "answered"
    assert answer["model"] == {"name": "second", "sha256": None}
    used = {"prompt_tokens": 7, "cached_tokens": 5, "completion_tokens": 4}
    assert answer["usage"] == {**used, "sources": 3, "left_out": 0}
    assert invented["status"] == "quoted"
    assert invented["withheld"]
    assert (down["status"], down["reason"]) == ("quoted", "The model's server cannot be reached.")
    assert down["sentences"]
    assert healthy == 200
    assert not any(b"answer.engine.worker" in command for command in here)
    assert {e.headers["authorization"] for e in model_server.asked} == {f"Bearer {KEY}"}


def test_the_service_says_where_questions_go_and_keeps_the_key_to_itself(
    sample_shelf: Shelf, model_server: FaultyServer, key_file: Path
) -> None:
    service = running_server(
        sample_shelf.home, model=model_server.address, model_key_file=str(key_file)
    )
    with service as url:
        answer = ask(url, PART_TIME)

    log = service.log.read_text()
    assert f"questions and the evidence for them go to {model_server.address}" in log
    assert KEY not in log + json.dumps(answer)
    assert PART_TIME not in log


def test_doctor_says_which_model_on_which_server(shelf: Shelf, model_server: FaultyServer) -> None:
    done = footnote(
        "doctor", "--home", str(with_graphs(shelf.home)), FOOTNOTE_MODEL=model_server.address
    )

    assert done.returncode == 0, done.stderr
    assert f"first, on the server {model_server.address}" in done.stdout


def test_settings_that_the_server_refuses_stop_a_command(tmp_path: Path) -> None:
    with FaultyServer(listing=lambda exchange: exchange.say(401)) as server:
        done = footnote("ask", PART_TIME, "--home", str(tmp_path), FOOTNOTE_MODEL=server.address)

    assert done.returncode == 1
    assert "FOOTNOTE_MODEL_KEY_FILE" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_model_on_a_server_is_no_reason_to_look_for_others_in_a_hub(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)

    stay_offline(Settings(model="http://127.0.0.1:9/v1"))

    assert os.environ.get("HF_HUB_OFFLINE") == "1"


@pytest.mark.parametrize("name", ["MODEL_NAME", "MODEL_KEY_FILE"])
def test_what_is_for_a_server_is_refused_without_one(name: str) -> None:
    with pytest.raises(SettingsError, match=rf"FOOTNOTE_{name}\).*for a model on a server"):
        load({f"FOOTNOTE_{name}": "x"})


def test_a_key_is_read_from_its_file(key_file: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert read_key(key_file) == KEY
    assert not caplog.text


def test_a_key_that_others_can_read_is_warned_of(
    key_file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    key_file.chmod(0o644)
    read_key(key_file)

    assert "chmod 600" in caplog.text
    assert KEY not in caplog.text


@pytest.mark.parametrize(
    "content", [b"", b"two words", b"\xff\xfe", b"line\nline", "schlüssel".encode()]
)
def test_a_file_that_holds_no_key_is_refused(key_file: Path, content: bytes) -> None:
    key_file.write_bytes(content)

    with pytest.raises(SettingsError, match="key file"):
        read_key(key_file)


def test_a_key_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"none cannot be read: No such file.*MODEL_KEY_FILE"):
        read_key(tmp_path / "none")
