"""`llama_cpp.Llama` as its documentation shows it, one request at a time, for benchmarks.

    python -m scripts.llama_baseline MODEL THREADS

Lines of {"messages", "max_tokens"} in; {"piece"} and last {"done": tokens} out.
"""

import json
import os
import sys
from typing import Any

from llama_cpp import Llama


def main() -> None:
    """Answer until standard input closes."""
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    llama = Llama(sys.argv[1], n_ctx=4096, n_threads=int(sys.argv[2]), verbose=False)
    for line in sys.stdin:
        request = json.loads(line)
        chunks: Any = llama.create_chat_completion(
            request["messages"], max_tokens=request["max_tokens"], temperature=0.0, stream=True
        )
        text = ""
        for chunk in chunks:
            if piece := chunk["choices"][0]["delta"].get("content"):
                text += piece
                out.write(json.dumps({"piece": piece}) + "\n")
                out.flush()
        tokens = len(llama.tokenize(text.encode(), add_bos=False))
        out.write(json.dumps({"done": tokens}) + "\n")
        out.flush()


if __name__ == "__main__":
    main()
