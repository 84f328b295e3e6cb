"""Set up .venv at the root of the repository; `scripts/setup` runs this. Standard library only.

A stamp in .venv records what it was set up from, so a second run has nothing to do. It is removed
before anything changes and written last, so a run that was cut short is finished by the next one.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import json
import shutil
import signal
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NoReturn

from scripts.llama_wheel import (
    CONSTRAINTS,
    VERSION,
    Build,
    build_wheel,
    digest,
    kept_wheel,
    require_tools,
    this_build,
)
from scripts.processes import (
    CACHE,
    INSTALL_PROGRESS,
    PYTHON,
    ROOT,
    VENV,
    SetupError,
    first_line,
    locked,
    run_logged,
    run_pip,
    say,
)

STAMP = VENV / "footnote-setup.json"
STEPS = 4


@dataclass(frozen=True, slots=True)
class Stamp:
    """What a finished .venv was set up from."""

    inputs: str = ""
    dev: bool = False


def main(arguments: list[str] | None = None) -> int:
    """Set up .venv and return the exit status; set-ups of one tree wait for each other."""
    parser = argparse.ArgumentParser(prog="scripts/setup", description="Set up Footnote's .venv.")
    parser.add_argument("--dev", action="store_true", help="with what tests and checks need")
    options = parser.parse_args(arguments)
    for signum in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(signum) is signal.SIG_DFL:  # nohup's wish to ignore one stands
            signal.signal(signum, stop)
    try:
        with locked(CACHE / "setup.lock"):
            set_up(dev=options.dev)
    except SetupError as error:
        say(f"set-up: {error}")
        return 1
    except KeyboardInterrupt:
        say("set-up: stopped; the next run finishes it")
        return 130
    return 0


def stop(signum: int, _frame: object) -> NoReturn:
    """Leave by way of every `finally`, so that nothing we started goes on without us."""
    raise SystemExit(128 + signum)


def set_up(*, dev: bool) -> None:
    """Make .venv what the project and its constraints ask for, unless it is."""
    build = this_build()
    done = read_stamp()
    # Once a developer's, always: `scripts/serve` after `scripts/test` must not start over.
    wanted = Stamp(inputs(build), dev or done.dev)
    if done == wanted and venv_runs():
        say("set-up: nothing to do")
        return
    wheel = kept_wheel(build)
    if wheel is None:
        require_tools(build)

    STAMP.unlink(missing_ok=True)
    make_venv()
    wheel = install_llama(build, wheel)
    install_project(dev=wanted.dev)
    check_llama(wheel)
    write_stamp(wanted)
    say("set-up: done")


def inputs(build: Build) -> str:
    """Return a digest of everything .venv is made from.

    The root counts, since the programs in .venv/bin name it, and so do our packages, since an
    editable install knows only those it found. The compiler does not: a newer one is no reason
    to compile again what runs.
    """
    texts = [file.read_text("utf-8") for file in (ROOT / "pyproject.toml", CONSTRAINTS)]
    packages = sorted(str(file) for file in ROOT.glob("*/__init__.py"))
    return digest(*texts, str(ROOT), *packages, build.python, build.base)


def read_stamp() -> Stamp:
    """Return what .venv was set up from; an empty stamp where no set-up was finished."""
    try:
        return Stamp(**json.loads(STAMP.read_text("utf-8")))
    except (OSError, ValueError, TypeError):
        return Stamp()


def write_stamp(stamp: Stamp) -> None:
    """Record what .venv was set up from, whole or not at all."""
    unfinished = STAMP.with_suffix(".new")
    unfinished.write_text(json.dumps(asdict(stamp)), "utf-8")
    unfinished.replace(STAMP)


def venv_runs() -> bool:
    """Return whether .venv has a Python of this one's version that installs into .venv.

    One that lost its pyvenv.cfg runs too, and installs into the system's Python.
    """
    ask = "import sys; print('%d.%d' % sys.version_info[:2], sys.prefix)"
    version, _, prefix = first_line(str(PYTHON), "-c", ask).partition(" ")
    return version == VERSION and Path(prefix).resolve() == VENV.resolve()


def make_venv() -> None:
    """Make .venv anew, unless what is there runs, pip included."""
    if venv_runs() and first_line(str(PYTHON), "-m", "pip", "--version"):
        say_step(1, f"Python {VERSION} in .venv: there already")
        return
    say_step(1, f"Python {VERSION} in .venv")
    if importlib.util.find_spec("ensurepip") is None:
        raise SetupError(
            "this Python cannot make a virtual environment.\n"
            f"  Debian, Ubuntu:  sudo apt-get install python{VERSION}-venv"
        )
    python = base_python()
    set_venv_aside()
    run_logged([str(python), "-m", "venv", str(VENV)], CACHE / "venv.log", INSTALL_PROGRESS)


def base_python() -> Path:
    """Return the Python that virtual environments are made from; this one may be .venv's own."""
    python = Path(getattr(sys, "_base_executable", sys.executable))
    return python.resolve() if VENV in python.parents else python


def set_venv_aside() -> None:
    """Remove .venv by way of another name, so that a half-removed one is never taken for it."""
    aside = CACHE / "old-venv"
    shutil.rmtree(aside, ignore_errors=True)
    with contextlib.suppress(FileNotFoundError):
        VENV.rename(aside)
    shutil.rmtree(aside, ignore_errors=True)


def install_llama(build: Build, wheel: Path | None) -> Path:
    """Put llama-cpp-python into .venv, compiled if no wheel is kept, and return its wheel."""
    if wheel is None:
        say_step(2, "llama.cpp: compiling it, once for this machine (some minutes)")
        wheel = build_wheel(build)
    else:
        say_step(2, f"llama.cpp: compiled already, in {wheel.parent}")
    # By force: pip takes another build of the same version for the same thing.
    run_pip("install", "--no-deps", "--force-reinstall", str(wheel), log="llama-install.log")
    return wheel


def install_project(*, dev: bool) -> None:
    """Install Footnote, editable, with the exact versions of everything it needs."""
    say_step(3, "Footnote and what it needs" + (", tests and checks included" if dev else ""))
    project = ".[dev]" if dev else "."
    run_pip("install", "--constraint", str(CONSTRAINTS), "--editable", project, log="install.log")


def check_llama(wheel: Path) -> None:
    """Raise SetupError unless the compiled library loads here."""
    say_step(4, "does llama.cpp load?")
    done = subprocess.run(
        [PYTHON, "-c", "import llama_cpp"], capture_output=True, text=True, check=False
    )
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1]
        raise SetupError(
            f"llama.cpp does not load: {reason}\n"
            f"  Remove {wheel.parent} and run scripts/setup again to compile it anew."
        )


def say_step(number: int, text: str) -> None:
    """Say which step is next."""
    say(f"[{number}/{STEPS}] {text}")


if __name__ == "__main__":
    sys.exit(main())
