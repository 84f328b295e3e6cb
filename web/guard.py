"""Who may change documents: pages of ours, whoever has the token, nobody from elsewhere."""

import hmac
import ipaddress
import logging
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import ParamSpec, Self
from urllib.parse import urlsplit

from flask import current_app, request
from flask.typing import ResponseReturnValue

from web.problems import Forbidden, Unauthorised
from web.settings import Settings, SettingsError

P = ParamSpec("P")

SAFE = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
LEAST_TOKEN = 16  # characters
HOW = (
    "Write a token to a file that only the service may read, and name it in"
    " FOOTNOTE_ADMIN_TOKEN_FILE: `openssl rand -hex 32 > token; chmod 600 token`."
)

log = logging.getLogger("footnote")


class Guard:
    """Decides about one service; without a token, only one on loopback may be changed, and only if
    it goes by no other name: then a proxy stands in front, and may ask by any."""

    def __init__(self, *, token: str | None, loopback: bool) -> None:
        self._token = None if token is None else token.encode()
        self._loopback = loopback

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Return the guard that the settings ask for; SettingsError if their token is no good."""
        file = settings.admin_token_file
        local = is_loopback(settings.host) and not settings.hosts
        return cls(token=read_token(file) if file else None, loopback=local)

    @property
    def needs_token(self) -> bool:
        """Whether changing documents takes the token."""
        return self._token is not None

    @property
    def closed(self) -> bool:
        """Whether documents cannot be changed by requests like this one at all."""
        return self._is_closed(request.host)

    def admits(self, *, host: str, authorization: str) -> bool:
        """Whether a request to this host, with this proof, may change documents."""
        if self._token is None:
            return not self._is_closed(host)
        kind, _, given = authorization.partition(" ")
        proof = given.strip().encode("utf-8", "replace")
        return kind.lower() == "bearer" and hmac.compare_digest(proof, self._token)

    def check(self) -> None:
        """Raise Forbidden or Unauthorised unless this request may change documents."""
        if self.closed:
            raise Forbidden(
                "Others than this machine can reach the service, so changing documents takes a"
                f" token, and none is set. {HOW}"
            )
        proof = request.headers.get("Authorization", "")
        if not self.admits(host=request.host, authorization=proof):
            raise Unauthorised(
                "Changing documents takes the administrator's token: `Authorization: Bearer TOKEN`."
            )

    def _is_closed(self, host: str) -> bool:
        return self._token is None and not (self._loopback and _is_loopback_name(host))


def writes(view: Callable[P, ResponseReturnValue]) -> Callable[P, ResponseReturnValue]:
    """Let only those call a view who may change documents."""

    @wraps(view)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> ResponseReturnValue:
        guard().check()
        return view(*args, **kwargs)

    return guarded


def guard() -> Guard:
    """Return the guard of the application."""
    found: Guard = current_app.extensions["footnote.guard"]
    return found


def refuse_other_sites() -> None:
    """Raise Forbidden if a page of another site sent a request that may change something.

    Browsers say so themselves; older ones, and all over plain HTTP, at least name the site.
    """
    if request.method in SAFE:
        return
    site, origin = request.headers.get("Sec-Fetch-Site"), request.headers.get("Origin")
    if site is not None:
        ours = site == "same-origin"
    else:
        ours = origin is None or origin.partition("://")[2] == request.host
    if not ours:
        raise Forbidden("A page of another site may not send this request.")


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach what listens on a host."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def read_token(file: Path) -> str:
    """Return the token in a file; SettingsError if there is none that can be used."""
    try:
        token = file.expanduser().read_text(encoding="utf-8").strip()
        others = file.expanduser().stat().st_mode & 0o077
    except (OSError, UnicodeDecodeError) as problem:
        reason = getattr(problem, "strerror", None) or "it is not text"
        raise SettingsError(f"The token file {file} cannot be read: {reason}. {HOW}") from problem
    if len(token) < LEAST_TOKEN:
        raise SettingsError(
            f"The token in {file} has {len(token)} characters, fewer than {LEAST_TOKEN}. {HOW}"
        )
    if not token.isascii():
        raise SettingsError(f"The token in {file} has other characters than ASCII. {HOW}")
    if others:
        log.warning("others on this machine can read the token file %s: chmod 600", file)
    return token


def _is_loopback_name(host: str) -> bool:
    """Whether a request's host is this machine by its own name, and not one a proxy is called."""
    try:
        return is_loopback(urlsplit(f"//{host}").hostname or "")
    except ValueError:
        return False
