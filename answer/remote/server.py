"""Where a model is served, and how long anyone waits for it."""

import ipaddress
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from answer.errors import ModelUnavailable

EXAMPLE = "https://models.example.org/v1"


@dataclass(frozen=True, slots=True)
class Server:
    """A server's address, up to `/v1`; the model's name there, None for its first; and its key."""

    address: str
    name: str | None = None
    key: str | None = field(default=None, repr=False)

    @property
    def encrypted(self) -> bool:
        """Whether nobody on the way can read along: it is TLS, or on this very machine."""
        parts = urlsplit(self.address)
        return parts.scheme == "https" or _is_here(parts.hostname or "")


@dataclass(frozen=True, slots=True)
class Patience:
    """How long anyone waits for a server, and when it is left alone."""

    connect_s: float = 5.0
    queue_s: float = 20.0  # for a server that is busy or starting, all attempts together
    piece_s: float = 30.0  # between two pieces, and for the first
    failures: int = 3  # in a row, after which the server is left alone
    rest_s: float = 30.0  # before the next attempt then
    connections: int = 64


def parse_address(address: str) -> str:
    """Return the address of a server up to `/v1`; ModelUnavailable says why it cannot be one."""
    try:
        parts = urlsplit(address)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host = None
    if host is None or parts.scheme not in ("http", "https"):
        raise ModelUnavailable(f"The model's address is not like {EXAMPLE}. Check FOOTNOTE_MODEL.")
    if parts.username is not None or parts.password is not None or parts.query or parts.fragment:
        raise ModelUnavailable(
            f"The model's address holds more than a host and a path, unlike {EXAMPLE}. A key"
            " belongs into the file that FOOTNOTE_MODEL_KEY_FILE names."
        )
    path = parts.path.rstrip("/").removesuffix("/chat/completions") or "/v1"
    return f"{parts.scheme}://{parts.netloc}{path}"


def _is_here(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
