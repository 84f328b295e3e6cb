"""A model on a server of its own, that speaks OpenAI's protocol."""

from answer.remote.server import Patience, Server, parse_address
from answer.remote.writer import RemoteModel

__all__ = ["Patience", "RemoteModel", "Server", "parse_address"]
