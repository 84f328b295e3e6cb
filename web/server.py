"""Running the service: waitress, JSON logs, and an end that leaves nothing behind."""

import json
import logging
import signal
import sys
from types import FrameType
from typing import Any, NoReturn

import click
import waitress
from pythonjsonlogger.json import JsonFormatter

from web import LARGEST_REQUEST, create_app, wiring
from web.settings import Settings, SettingsError
from web.uploads import LARGEST_UPLOAD

log = logging.getLogger("footnote")


def run(settings: Settings, *, as_json: bool = False) -> None:
    """Serve until SIGINT or SIGTERM; then stop taking requests and end the model's process.

    The address is printed once the service can answer: as a line, or as one of JSON.
    """
    _log_json()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _stop)
    services = wiring.build(settings, create=True)
    try:
        server = _bind(services)
        wiring.warm_up(services)
        services.ingestions.resume()
        _announce(services, _port(server), as_json=as_json)
        server.run()
    finally:
        services.close()


def _bind(services: wiring.Services) -> waitress.server.BaseWSGIServer:
    settings = services.settings
    try:
        return waitress.create_server(
            create_app(services),
            host=settings.host,
            port=settings.port,
            threads=settings.request_threads,
            ident="footnote",
            # Listens to whoever waits for a reply, so that it is known when they leave.
            channel_request_lookahead=1,
            # Over what the application takes, which answers with a problem; just a backstop.
            max_request_body_size=LARGEST_UPLOAD + 256 * LARGEST_REQUEST,
        )
    except (OSError, ValueError) as problem:
        reason = getattr(problem, "strerror", None) or problem
        raise SettingsError(
            f"Port {settings.port} of {settings.host} cannot be used: {reason}."
            " Choose another with --port."
        ) from problem


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
