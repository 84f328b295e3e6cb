"""The seam's other side for those who outgrew one machine: llama-server, vLLM and their like."""

import logging
import random
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from typing import Any

import httpx2

from answer.errors import AnswerError, ModelBusy, ModelFailed, ModelUnavailable
from answer.model import Message, Piece
from answer.remote.breaker import Breaker
from answer.remote.server import Patience, Server
from answer.remote.stream import names, pieces
from answer.remote.troubles import ServerFailed, Trouble, of_connection, of_refusal
from answer.types import ModelCard

PAUSES_S = (0.25, 0.5, 1.0)
"""Before each retry; shortened by chance, so that many do not come back at once."""
SHOWN = 5
"""Names of models that a warning lists."""

log = logging.getLogger("footnote")


class RemoteModel:
    """A model that a server writes with; many prompts may be written at once.

    Prompts leave this machine: they hold the question and the evidence for it.
    """

    def __init__(self, server: Server, patience: Patience | None = None) -> None:
        self._server = server
        self._patience = patience or Patience()
        self._name = server.name
        self._breaker = Breaker(self._patience.failures, self._patience.rest_s)
        self._closing = threading.Event()
        self._client = self._connect()

    def start(self) -> None:
        """Find the server; one that is down may come later, and is only logged.

        Raises ModelUnavailable if it is there and refuses: somebody has to mend the settings.
        """
        log.info("questions and the evidence for them go to %s", self._server.address)
        if not self._server.encrypted:
            log.warning(
                "they go there unencrypted: whoever can read along on the way reads them%s",
                ", and the key" if self._server.key else "",
            )
        try:
            self._look()
        except ServerFailed as problem:
            self._breaker.failed(for_good=True)
            log.warning("%s Until it can, evidence is quoted.", problem)
        except ModelFailed as problem:
            raise ModelUnavailable(
                f"{problem} Check FOOTNOTE_MODEL ({self._server.address}), FOOTNOTE_MODEL_NAME"
                " and FOOTNOTE_MODEL_KEY_FILE."
            ) from problem
        except ModelBusy:
            return  # it is there, which is what was asked

    @property
    def parameters(self) -> int | None:
        """How many the model has: servers do not say."""
        return None

    @property
    def ready(self) -> bool:
        """Whether a prompt would be taken now. A server that failed is looked at again."""
        if self._breaker.closed:
            return not self._closing.is_set()
        if self._breaker.admits():
            threading.Thread(target=self._look_again, daemon=True).start()
        return False

    @property
    def card(self) -> ModelCard:
        """The model's name on the server. Nobody here has seen its file, so there is no SHA-256."""
        if self._name is None:
            self._admit()
            with self._verdict():
                self._look()
        return ModelCard(self._name or "", None)

    def write(self, messages: list[Message], *, max_tokens: int) -> Iterator[Piece]:
        """Yield text as it is written, then the usage, zeros if the server does not count.

        Closing the iterator closes the connection, by which servers know to stop. Raises ModelBusy
        if the server is busy for `queue_s`, QuestionTooLong, and ModelFailed for all else, at once
        while the server is left alone.
        """
        asked = {
            "model": self.card.name,
            "messages": [{"role": m.role, "content": m.content} for m in messages],
            "max_tokens": max_tokens,
            "temperature": 0.0,
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        self._admit()
        with self._verdict(), closing(self._send("POST", "chat/completions", asked)) as response:
            yield from pieces(response, self._patience.piece_s)

    def close(self) -> None:
        """Close the connections, and take no prompt any more."""
        self._closing.set()
        self._client.close()

    def _connect(self) -> httpx2.Client:
        patience, key = self._patience, self._server.key
        return httpx2.Client(
            base_url=self._server.address,
            headers={
                "Accept-Encoding": "identity",
                **({"Authorization": f"Bearer {key}"} if key else {}),
            },
            timeout=httpx2.Timeout(
                patience.piece_s, connect=patience.connect_s, pool=patience.queue_s
            ),
            # A connection is not used twice: servers close those that idle, and a prompt that meets
            # the end of one could not be told from a prompt that was begun.
            limits=httpx2.Limits(max_connections=patience.connections, max_keepalive_connections=0),
            # What the environment says of proxies, certificates and passwords does not count.
            trust_env=False,
            follow_redirects=False,
        )

    def _admit(self) -> None:
        if self._closing.is_set():
            raise ModelFailed("The service is stopping.")
        if not self._breaker.admits():
            raise ModelFailed("The model's server failed, and is left alone for a while.")

    @contextmanager
    def _verdict(self) -> Iterator[None]:
        """Tell the breaker how a call that was admitted went."""
        verdict = self._breaker.left
        try:
            yield
            verdict = self._breaker.worked
        except ServerFailed:
            verdict = self._breaker.failed
            raise
        finally:
            verdict()

    def _look(self) -> None:
        """Find out whether the server is there, and the name of its model if none is set."""
        with closing(self._send("GET", "models")) as response:
            listed = names(response, self._patience.piece_s)
        if self._name is None:
            self._name = listed[0]
        elif self._name not in listed:
            log.warning(
                "the server lists no model %s, but %s", self._name, ", ".join(listed[:SHOWN])
            )

    def _look_again(self) -> None:
        with suppress(AnswerError), self._verdict():
            self._look()

    def _send(self, method: str, path: str, asked: Any = None) -> httpx2.Response:
        """Return a reply whose body has not been read; tries again while that does no harm."""
        until = time.monotonic() + self._patience.queue_s
        pauses = iter(PAUSES_S)
        while True:
            outcome = self._try(self._client.build_request(method, path, json=asked))
            if isinstance(outcome, httpx2.Response):
                return outcome
            pause_s = next(pauses, None)
            if outcome.again_s is None or pause_s is None:
                raise outcome.error
            wait_s = max(outcome.again_s, pause_s * random.uniform(0.5, 1))  # noqa: S311
            if time.monotonic() + wait_s > until or self._closing.wait(wait_s):
                raise outcome.error

    def _try(self, request: httpx2.Request) -> httpx2.Response | Trouble:
        try:
            response = self._client.send(request, stream=True)
        except httpx2.HTTPError as problem:
            return of_connection(problem)
        except RuntimeError:  # the client was closed in the meantime
            return Trouble(ModelFailed("The service is stopping."))
        if response.status_code == httpx2.codes.OK:
            return response
        with closing(response):
            return of_refusal(response)
