"""`python -m web.cli` is the command `footnote`."""

from contextlib import suppress

from web.cli import main

with suppress(KeyboardInterrupt):
    main()
