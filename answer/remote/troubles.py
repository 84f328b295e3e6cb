"""What a server's failures mean: which error, and whether the same call may be made again.

This client knows HTTP's status codes, as the web package does, which serves them.
"""

import math
import ssl
import time
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

import httpx2
from pydantic import BaseModel, ValidationError

from answer.errors import AnswerError, ModelBusy, ModelFailed, QuestionTooLong

TOO_LONG = ("context_length_exceeded", "exceed_context_size", "context length", "context size")
"""How OpenAI, llama-cpp-python, llama-server and vLLM say that a prompt does not fit."""
MOST_SAID = 16 * 1024  # bytes of a refusal that are looked at


class ServerFailed(ModelFailed):
    """The server is down, hangs, or does not speak the protocol: all calls would suffer."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why a call failed. `again_s` is how long to wait before it may be made again, None if never.

    None of what may be made again has begun: nothing is written twice, nor paid for twice.
    """

    error: AnswerError
    again_s: float | None = None


def of_connection(problem: httpx2.HTTPError) -> Trouble:
    """Return what it means that no reply came."""
    if isinstance(problem, httpx2.PoolTimeout):
        return Trouble(ModelBusy("Too many questions wait for the model's server."))
    if _is_untrusted(problem):
        return Trouble(ServerFailed("The certificate of the model's server is not trusted here."))
    if isinstance(problem, httpx2.ConnectError):
        return Trouble(ServerFailed("The model's server cannot be reached."), 0.0)
    if isinstance(problem, httpx2.ConnectTimeout):
        return Trouble(ServerFailed("The model's server cannot be reached in time."))
    if isinstance(problem, httpx2.TimeoutException):
        return Trouble(ServerFailed("The model's server hung."))
    return Trouble(ServerFailed("The model's server broke off the connection."))


def of_refusal(response: httpx2.Response) -> Trouble:
    """Return what it means that a reply has another status than 200; reads some of its body."""
    status = response.status_code
    if status == 429:
        return Trouble(ModelBusy("The model's server is busy."), _retry_after_s(response))
    if status in (502, 503, 504):
        busy = ServerFailed(f"The model's server is not ready ({status}).")
        return Trouble(busy, _retry_after_s(response))
    if status >= 500:
        return Trouble(ServerFailed(f"The model's server failed ({status})."))
    if status in (401, 403):
        return Trouble(ModelFailed(f"The model's server does not accept the key ({status})."))
    if 300 <= status < 400:
        return Trouble(ModelFailed("The model's server redirects, which is not followed."))
    if status == 413 or (status in (400, 422) and _says_too_long(response)):
        return Trouble(
            QuestionTooLong("The prompt does not fit the context of the server's model.")
        )
    if status == 404:
        return Trouble(ModelFailed("The model's server knows no such model or address (404)."))
    return Trouble(ModelFailed(f"The model's server refused the prompt ({status})."))


class _Error(BaseModel):
    code: str | int | None = None
    type: str | None = None
    message: str | None = None


class _Refusal(BaseModel):
    error: _Error


def _says_too_long(response: httpx2.Response) -> bool:
    body = b""
    try:
        for chunk in response.iter_bytes():
            body += chunk
            if len(body) > MOST_SAID:
                return False
        error = _Refusal.model_validate_json(body).error
    except (httpx2.HTTPError, ValidationError):
        return False
    said = f"{error.code} {error.type} {error.message}".lower()
    return any(sign in said for sign in TOO_LONG)


def _retry_after_s(response: httpx2.Response) -> float:
    """Return how long the server asks to be left alone: it says seconds, or a date."""
    said = response.headers.get("retry-after", "")
    try:
        wait_s = float(said)
    except ValueError:
        try:
            wait_s = parsedate_to_datetime(said).timestamp() - time.time()
        except (ValueError, OverflowError):
            return 0.0
    return max(0.0, wait_s) if math.isfinite(wait_s) else 0.0


def _is_untrusted(problem: BaseException | None) -> bool:
    while problem is not None:
        if isinstance(problem, ssl.SSLCertVerificationError):
            return True
        problem = problem.__cause__ or problem.__context__
    return False
