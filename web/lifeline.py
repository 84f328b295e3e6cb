"""Runs a command that ends when whoever started it does: it holds the other end of stdin.

`python -m web.lifeline ARGUMENT…` is `python -m web.cli ARGUMENT…` on such a line.
"""

import os
import runpy
import sys
import threading


def _end_with_starter() -> None:
    """Wait until nobody holds the line any more; a library survives an end at any instant."""
    while os.read(0, 1024):
        pass
    os._exit(1)


if __name__ == "__main__":
    threading.Thread(target=_end_with_starter, daemon=True).start()
    sys.argv[0] = "footnote"
    runpy.run_module("web.cli", run_name="__main__")
