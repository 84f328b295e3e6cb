"""The child that owns llama.cpp: one prompt at a time, JSON lines in and out.

In:   {"id": 1, "messages": [{"role", "content"}, …], "max_tokens": 64} · {"cancel": 1}
Out:  {"ready": {"name", "context_tokens"}} or {"unusable": "why"}, once
      {"id": 1, "piece": "text"} … {"id": 1, "usage": {…}}
      {"id": 1, "error": "too_long" | "failed", "detail": "…"}
"""

import contextlib
import json
import os
import queue
import sys
import threading
from collections.abc import Iterator, Sequence
from typing import Any, TextIO

import llama_cpp
from llama_cpp.llama_chat_format import Jinja2ChatFormatter

Request = dict[str, Any]
KV_TYPES = {"f16": llama_cpp.GGML_TYPE_F16, "q8_0": llama_cpp.GGML_TYPE_Q8_0}


class Unusable(Exception):
    """The model file cannot serve; the text says why."""


class Writer:
    """A loaded model with its chat template."""

    def __init__(self, path: str, context_tokens: int, threads: int, more: Sequence[str]) -> None:
        n_ubatch, flash_attn, kv_type = more
        kind = KV_TYPES[kv_type]
        try:
            self._llama = llama_cpp.Llama(
                path,
                n_ctx=context_tokens,
                n_threads=threads,
                n_threads_batch=threads,
                n_gpu_layers=-1,
                n_ubatch=int(n_ubatch),
                flash_attn=bool(int(flash_attn)),
                type_k=kind,
                type_v=kind,
                verbose=False,
            )
        except ValueError as problem:
            raise Unusable(
                "llama.cpp cannot load it. Is it damaged, or of a new kind?"
            ) from problem
        template = self._llama.metadata.get("tokenizer.chat_template")
        if not template:
            raise Unusable("it has no chat template. Use an instruction-tuned model.")
        self._format = Jinja2ChatFormatter(
            template,
            eos_token=self._token(self._llama.token_eos()),
            bos_token=self._token(self._llama.token_bos()),
        )

    @property
    def name(self) -> str:
        """The model's own name, or an empty text."""
        return str(self._llama.metadata.get("general.name") or "")

    @property
    def context_tokens(self) -> int:
        """How many tokens the prompt and the answer may have together."""
        return int(self._llama.n_ctx())

    def write(self, request: Request, cancelled: threading.Event) -> Iterator[Request]:
        """Yield the pieces of an answer, then the usage."""
        prompt = self._format(messages=request["messages"])
        tokens = self._llama.tokenize(
            prompt.prompt.encode(), add_bos=not prompt.added_special, special=True
        )
        room = self._llama.n_ctx() - len(tokens)
        if room < request["max_tokens"]:
            yield {
                "error": "too_long",
                "detail": f"The prompt has {len(tokens)} tokens of {self.context_tokens}.",
            }
            return
        cached = self._shared(tokens)
        finish = None
        chunks: Any = self._llama.create_completion(
            tokens,
            max_tokens=request["max_tokens"],
            temperature=0.0,
            stop=prompt.stop,
            stream=True,
        )
        for chunk in chunks:
            if cancelled.is_set():
                break
            finish = chunk["choices"][0]["finish_reason"]
            yield {"piece": chunk["choices"][0]["text"]}
        # The last token was sampled but not read; a chunk may hold several.
        written = self._llama.n_tokens - len(tokens) + 1
        usage = {"prompt": len(tokens), "cached": cached, "completion": max(0, written)}
        yield {"usage": {**usage, "cut_short": finish == "length"}}

    def _shared(self, tokens: Sequence[int]) -> int:
        """Return how many leading tokens are in the cache from the prompt before."""
        before = self._llama.input_ids[: self._llama.n_tokens]
        count = 0
        for a, b in zip(before, tokens[:-1], strict=False):
            if int(a) != b:
                break
            count += 1
        return count

    def _token(self, token: int) -> str:
        if token < 0:
            return ""
        return str(self._llama.detokenize([token], special=True).decode("utf-8", "replace"))


class Inbox:
    """Requests from standard input, read by a thread so that a cancel is heard mid-answer."""

    def __init__(self) -> None:
        self._requests: queue.SimpleQueue[Request | None] = queue.SimpleQueue()
        self._cancelled: dict[int, threading.Event] = {}
        threading.Thread(target=self._read, daemon=True).start()

    def __iter__(self) -> Iterator[tuple[Request, threading.Event]]:
        """Yield each request with the event that is set when it is cancelled."""
        while request := self._requests.get():
            yield request, self._cancelled[request["id"]]
            del self._cancelled[request["id"]]

    def _read(self) -> None:
        for line in sys.stdin:
            request = json.loads(line)
            if "cancel" in request:
                if event := self._cancelled.get(request["cancel"]):
                    event.set()
                continue
            self._cancelled[request["id"]] = threading.Event()
            self._requests.put(request)
        # The parent has gone, even if it was killed: nothing may be left running.
        os._exit(0)


def serve(path: str, context_tokens: int, threads: int, more: Sequence[str]) -> None:
    """Load a model and answer requests until standard input closes."""
    # llama.cpp and its binding print at times, also from C: that must not reach the parent.
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    try:
        writer = Writer(path, context_tokens, threads, more)
    except Unusable as problem:
        _send(out, {"unusable": str(problem)})
        return
    _send(out, {"ready": {"name": writer.name, "context_tokens": writer.context_tokens}})
    for request, cancelled in Inbox():
        try:
            for reply in writer.write(request, cancelled):
                _send(out, {"id": request["id"], **reply})
        except Exception as problem:  # the next question must not suffer from this one
            detail = f"{type(problem).__name__}: {problem}"
            _send(out, {"id": request["id"], "error": "failed", "detail": detail[:300]})


def _send(out: TextIO, reply: dict[str, Any]) -> None:
    out.write(json.dumps(reply) + "\n")
    out.flush()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt, BrokenPipeError):
        serve(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4:])
