"""Running the service: waitress, JSON logs, and an end that leaves nothing behind."""

import json
import logging
import signal
import sys
from copy import copy
from types import FrameType
from typing import Any, NoReturn

import click
import waitress
from pythonjsonlogger.json import JsonFormatter
from waitress.channel import HTTPChannel
from waitress.parser import HTTPRequestParser
from waitress.server import BaseWSGIServer

from retrieval import RetrievalError
from web import LARGEST_REQUEST, create_app, wiring
from web.first_look import FirstLook, is_wanted
from web.guard import Guard
from web.settings import Settings, SettingsError
from web.uploads import LARGEST_UPLOAD

UPLOAD_PATH = "/v1/documents"
BACKSTOP = 256 * LARGEST_REQUEST

log = logging.getLogger("footnote")


def run(settings: Settings, *, as_json: bool = False) -> None:
    """Serve until SIGINT or SIGTERM; then stop taking requests and end the model's process.

    The address is printed once the service can answer: as a line, or as one of JSON.
    """
    _log_json()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _stop)
    services, look = wiring.build(settings, create=True), None
    try:
        server = _bind(services)
        warm = wiring.warm_up(services)
        try:
            services.ingestions.resume()
        except RetrievalError as problem:  # a full disk is no reason not to answer
            log.warning("what was left to be read waits: %s", problem)
        look = _first_look(services)
        if look:
            look.begin(warm)
        _announce(services, _port(server), as_json=as_json)
        server.run()
    finally:
        if look:
            look.stop()
        services.close()


def _first_look(services: wiring.Services) -> FirstLook | None:
    from answer.engine import LlamaProcess

    model = services.model
    if not isinstance(model, LlamaProcess) or not is_wanted(services.settings):
        return None
    return FirstLook(services.settings, model, services.activity, services.ingestions)


def _bind(services: wiring.Services) -> waitress.server.BaseWSGIServer:
    settings, app = services.settings, create_app(services)
    try:
        server = waitress.create_server(
            app,
            host=settings.host,
            port=settings.port,
            threads=settings.request_threads,
            ident="footnote",
            # Listens to whoever waits for a reply, so that it is known when they leave.
            channel_request_lookahead=1,
            # Over what the application takes, which answers with a problem; just a backstop.
            max_request_body_size=LARGEST_UPLOAD + BACKSTOP,
        )
    except (OSError, ValueError) as problem:
        reason = getattr(problem, "strerror", None) or problem
        raise SettingsError(
            f"Port {settings.port} of {settings.host} cannot be used: {reason}."
            " Choose another with --port."
        ) from problem
    channel = _channel(app.extensions["footnote.guard"])
    for one in (server, *getattr(server, "map", {}).values()):  # a name may have several addresses
        if isinstance(one, BaseWSGIServer):
            one.channel_class = channel
    return server


def _channel(guard: Guard) -> type[HTTPChannel]:
    """Return connections on which only an upload may be large, and only from who may upload.

    waitress writes a request to disk whole, before the application can look at it.
    """

    class Parser(HTTPRequestParser):  # type: ignore[misc]
        adj: Any

        def parse_header(self, header_plus: bytes) -> None:
            super().parse_header(header_plus)
            host, proof = (self.headers.get(name, "") for name in ("HOST", "AUTHORIZATION"))
            upload = (self.command, self.path) == ("POST", UPLOAD_PATH)
            if not (upload and guard.admits(host=host, authorization=proof)):
                self.adj = copy(self.adj)
                self.adj.max_request_body_size = BACKSTOP

    class Channel(HTTPChannel):  # type: ignore[misc]
        parser_class = Parser

    return Channel


def _port(server: Any) -> int:
    """Return the port; a name with several addresses has a server for each."""
    listening = getattr(server, "effective_listen", None) or [(None, server.effective_port)]
    return int(listening[0][1])


def _announce(services: wiring.Services, port: int, *, as_json: bool) -> None:
    host = services.settings.host
    url = f"http://{f'[{host}]' if ':' in host else host}:{port}"
    if as_json:
        click.echo(json.dumps({"url": url}))
    else:
        count = len(services.library.documents())
        click.echo(f"Footnote answers from {count} documents at {url}  (Ctrl-C ends it)")
    sys.stdout.flush()
    if host not in ("127.0.0.1", "::1", "localhost"):
        log.warning("anyone who can reach this address can read the documents")


def _stop(_number: int, _frame: FrameType | None) -> NoReturn:
    raise SystemExit(0)


def _log_json() -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        JsonFormatter(
            "%(asctime)s %(levelname)s %(name)s %(message)s", rename_fields={"asctime": "time"}
        )
    )
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    for noisy in ("sentence_transformers", "httpx", "httpx2", "faiss"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
