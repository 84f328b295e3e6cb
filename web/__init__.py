"""What people and programs talk to: pages, the JSON API, the command line."""

import logging
import time
from typing import TYPE_CHECKING

from flask import Flask, Response, current_app, g, request

if TYPE_CHECKING:
    from web.wiring import Services

LARGEST_REQUEST = 64 * 1024
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self';"
    " font-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
LOOPBACK = ("localhost", "127.0.0.1", "[::1]")

log = logging.getLogger("footnote.request")


def create_app(services: "Services") -> Flask:
    """Return the application over services that were built by `web.wiring`."""
    from web import api, documents, guard, metrics, pages, problems, receipts, runs

    app = Flask(__name__)
    app.config["MAX_CONTENT_LENGTH"] = LARGEST_REQUEST
    app.config["TRUSTED_HOSTS"] = _trusted(services.settings.host, services.settings.hosts)
    app.json.sort_keys = False  # type: ignore[attr-defined]  # the default provider has it
    app.extensions["footnote"] = services
    app.extensions["footnote.metrics"] = metrics.Metrics(services.model)
    app.extensions["footnote.guard"] = guard.Guard.of(services.settings)
    app.extensions["footnote.followers"] = runs.follower_slots(services.settings.request_threads)
    for part in (api, receipts, documents, runs, pages, metrics):
        app.register_blueprint(part.bp)
    problems.register(app)
    app.before_request(_begin)
    app.teardown_request(_end)
    app.before_request(guard.refuse_other_sites)
    app.after_request(_finish)
    return app


def _trusted(host: str, names: list[str]) -> list[str] | None:
    """Return the names the service may be called by, so that a web page elsewhere cannot
    reach it under a name of its own (DNS rebinding); None on all addresses means any name.
    """
    if host in ("0.0.0.0", "::") and not names:  # noqa: S104 - compared, not bound
        return None
    return [*LOOPBACK, f"[{host}]" if ":" in host else host, *names]


def _begin() -> None:
    g.began = time.perf_counter()
    if request.method == "POST":
        g.activity = current_app.extensions["footnote"].activity
        g.activity.begin()


def _end(_: BaseException | None) -> None:
    if activity := g.pop("activity", None):
        activity.end()


def _finish(response: Response) -> Response:
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    log.info(
        "request",
        extra={
            "method": request.method,
            "path": request.path,
            "status": response.status_code,
            "ms": round((time.perf_counter() - g.get("began", time.perf_counter())) * 1000),
        },
    )
    return response
