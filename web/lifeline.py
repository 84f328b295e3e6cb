"""Runs a command that ends when whoever started it does; a library survives an end at any instant.

`python -m web.lifeline ARGUMENT…` is `python -m web.cli ARGUMENT…` on such a line.
"""

import runpy
import sys

from retrieval.lifeline import end_with_starter

if __name__ == "__main__":
    end_with_starter()
    sys.argv[0] = "footnote"
    runpy.run_module("web.cli", run_name="__main__")
