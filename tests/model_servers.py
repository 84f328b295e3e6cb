"""Servers of models: a real one in a process of its own, and a real HTTP server gone bad."""

import json
import os
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from answer.model import find_model
from scripts.engine_writers import free_port

Reply = Callable[["Exchange"], None]
KEY = "the-key-to-the-server"


class llama_server:  # noqa: N801 - reads as a verb in a with statement
    """llama-cpp-python's own server with the bundled model, and its address."""

    def __init__(self, folder: Path) -> None:
        self._log = folder / "llama_server.log"

    def __enter__(self) -> str:
        port = free_port()
        with self._log.open("w") as log:
            self._process = subprocess.Popen(
                [
                    *(sys.executable, "-P", "-m", "llama_cpp.server"),
                    *("--model", str(find_model(None)), "--model_alias", "smollm2"),
                    *("--host", "127.0.0.1", "--port", str(port), "--n_ctx", "1024"),
                    *("--n_threads", "2", "--n_threads_batch", "2", "--api_key", KEY),
                ],
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, "OMP_WAIT_POLICY": "PASSIVE"},
            )
        address = f"http://127.0.0.1:{port}/v1"
        end = time.monotonic() + 60
        while not self._listens(address):
            assert self._process.poll() is None, self._log.read_text()
            assert time.monotonic() < end, self._log.read_text()
            time.sleep(0.1)
        return address

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()

    def _listens(self, address: str) -> bool:
        try:
            urllib.request.urlopen(f"{address}/models", timeout=5)
        except urllib.error.HTTPError:  # it asks for the key
            return True
        except OSError:
            return False
        return True


class Exchange(BaseHTTPRequestHandler):
    """One request to a faulty server, and ways to answer it."""

    protocol_version = "HTTP/1.1"
    server: "FaultyServer"

    def do_GET(self) -> None:
        self.server.asked.append(self)
        self.server.listing(self)

    def do_POST(self) -> None:
        self.body: dict[str, Any] = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.server.asked.append(self)
        self.server.prompts.append(self.body)
        number = min(len(self.server.prompts), len(self.server.script)) - 1
        try:
            self.server.script[number](self)
        except OSError:
            self.server.hung_up.set()
        self.close_connection = True

    def say(self, status: int, body: object = "", headers: dict[str, str] | None = None) -> None:
        """Send a whole reply."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        for name, value in {"Content-Length": str(len(data)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def begin(self, **headers: str) -> None:
        """Begin a stream of events that ends with the connection."""
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Connection", "close")
        self.end_headers()

    def event(self, data: object) -> None:
        """Send one event: text as it is, all else as JSON."""
        text = data if isinstance(data, str) else json.dumps(data)
        self.wfile.write(f"data: {text}\n\n".encode())
        self.wfile.flush()

    def piece(self, text: str | None, finish: str | None = None) -> None:
        self.event({"choices": [{"delta": {"content": text}, "finish_reason": finish}]})

    def log_message(self, *_: object) -> None:
        pass


def lists(*names: str) -> Reply:
    return lambda exchange: exchange.say(200, {"data": [{"id": name} for name in names]})


def writes(text: str = "It vents at noon.", *, finish: str = "stop") -> Reply:
    """Answer as a good server does."""

    def reply(exchange: Exchange) -> None:
        exchange.begin()
        exchange.event({"choices": [{"delta": {"role": "assistant"}, "finish_reason": None}]})
        for word in text.split(" "):
            exchange.piece(f"{word} ")
        exchange.piece(None, finish)
        details = {"cached_tokens": 5}
        counts = {"prompt_tokens": 7, "completion_tokens": 4, "prompt_tokens_details": details}
        exchange.event({"choices": [], "usage": counts})
        exchange.event("[DONE]")

    return reply


def says(status: int, body: object = "", **headers: str) -> Reply:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda exchange: exchange.say(status, body, named)


class FaultyServer(ThreadingHTTPServer):
    """Answers prompts by a script, a step each and the last for ever; `with` gives its address."""

    daemon_threads = True

    def __init__(self, *script: Reply, listing: Reply | None = None, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), Exchange)
        self.script: Sequence[Reply] = script or (writes(),)
        self.listing = listing or lists("first", "second")
        self.asked: list[Exchange] = []
        self.prompts: list[dict[str, Any]] = []
        self.hung_up = threading.Event()
        self.over = threading.Event()
        self.address = f"http://127.0.0.1:{self.server_port}/v1"

    def __enter__(self) -> "FaultyServer":
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self.shutdown()
        self.server_close()

    def handle_error(self, *_: object) -> None:
        self.hung_up.set()
