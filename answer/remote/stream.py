"""A server's stream of events becomes pieces of text; nothing it sends is trusted.

What it may send is bounded in bytes and in time, also by a server that keeps the line busy
with comments.
"""

import time
from collections.abc import Iterator

import httpx2
from pydantic import BaseModel, Field, NonNegativeInt, ValidationError

from answer.model import Piece
from answer.remote.troubles import ServerFailed
from answer.types import Usage

DONE = "[DONE]"
MOST_BYTES = 4 * 1024 * 1024  # of one reply
MOST_OF_EVENT = 256 * 1024  # bytes
ODD = "The model's server sent what is not OpenAI's protocol"


class _Delta(BaseModel):
    content: str | None = None


class _Choice(BaseModel):
    delta: _Delta = _Delta()
    finish_reason: str | None = None


class _Details(BaseModel):
    cached_tokens: NonNegativeInt | None = None


class _Counts(BaseModel):
    prompt_tokens: NonNegativeInt = 0
    completion_tokens: NonNegativeInt | None = 0
    prompt_tokens_details: _Details | None = None

    def usage(self, *, cut_short: bool) -> Usage:
        details = self.prompt_tokens_details or _Details()
        cached = details.cached_tokens or 0
        return Usage(self.prompt_tokens, cached, self.completion_tokens or 0, cut_short=cut_short)


class _Chunk(BaseModel):
    choices: list[_Choice] = []
    usage: _Counts | None = None
    error: object = None


class _Model(BaseModel):
    id: str = Field(min_length=1, max_length=300)


class _Listing(BaseModel):
    data: list[_Model] = Field(min_length=1)


class Bounded(httpx2.SyncByteStream):
    """The bytes of a reply; ServerFailed if they are too many, or too long without a piece."""

    def __init__(self, stream: httpx2.SyncByteStream, piece_s: float) -> None:
        self._stream = stream
        self._piece_s = piece_s
        self._seen = 0
        self.heard()

    def heard(self) -> None:
        """Begin to wait for the next piece."""
        self._since = time.monotonic()

    def __iter__(self) -> Iterator[bytes]:
        """Yield the bytes as they come."""
        for chunk in self._stream:
            self._seen += len(chunk)
            if self._seen > MOST_BYTES:
                raise ServerFailed(f"The model's server sent more than {MOST_BYTES >> 20} MiB.")
            if time.monotonic() - self._since > self._piece_s:
                raise ServerFailed("The model's server hung.")
            yield chunk

    def close(self) -> None:
        """Let go of the connection."""
        self._stream.close()


def bounded(response: httpx2.Response, piece_s: float) -> Bounded:
    """Put bounds on a reply whose body has not been read yet."""
    if response.headers.get("content-encoding", "identity") != "identity":
        # We ask for none: what is packed may be a thousand times as large as it looks.
        raise ServerFailed(f"{ODD}: it is compressed, which was not asked for.")
    stream = response.stream
    if not isinstance(stream, httpx2.SyncByteStream):
        raise TypeError("a reply of this client is read byte by byte")
    response.stream = limited = Bounded(stream, piece_s)
    return limited


def pieces(response: httpx2.Response, piece_s: float) -> Iterator[Piece]:
    """Yield the text of a reply as it comes, then the usage, zeros where the server counts nothing.

    Raises ServerFailed for what breaks off, hangs, is too large, or is not the protocol.
    """
    limited = bounded(response, piece_s)
    finish, counts = None, _Counts()
    for event in _events(response):
        if event == DONE:
            break
        chunk = _chunk(event)
        counts = chunk.usage or counts
        for choice in chunk.choices[:1]:
            finish = choice.finish_reason or finish
            if choice.delta.content:
                yield choice.delta.content
        limited.heard()
    if finish is None:
        raise ServerFailed("The model's server stopped in the middle of the answer.")
    yield counts.usage(cut_short=finish == "length")


def names(response: httpx2.Response, piece_s: float) -> list[str]:
    """Return the models in a server's list, one at least; ServerFailed if it is no such list."""
    bounded(response, piece_s)
    try:
        return [model.id for model in _Listing.model_validate_json(response.read()).data]
    except ValidationError as problem:
        raise ServerFailed(f"{ODD}: a list of models.") from problem
    except httpx2.TimeoutException as problem:
        raise ServerFailed("The model's server hung.") from problem
    except httpx2.HTTPError as problem:
        raise ServerFailed("The model's server broke off the connection.") from problem


def _events(response: httpx2.Response) -> Iterator[str]:
    try:
        for event in httpx2.EventSource(response, max_event_size=MOST_OF_EVENT):
            yield event.data
    except httpx2.SSEError as problem:
        raise ServerFailed(f"{ODD}: a stream of events of moderate size.") from problem
    except httpx2.TimeoutException as problem:
        raise ServerFailed("The model's server hung.") from problem
    except httpx2.HTTPError as problem:
        raise ServerFailed("The model's server broke off in the middle of the answer.") from problem


def _chunk(data: str) -> _Chunk:
    try:
        chunk = _Chunk.model_validate_json(data)
    except ValidationError as problem:
        raise ServerFailed(f"{ODD}: a piece of an answer.") from problem
    if chunk.error is not None:
        raise ServerFailed("The model's server failed in the middle of the answer.")
    return chunk
