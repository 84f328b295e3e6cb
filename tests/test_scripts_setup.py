"""Set-up, in a copy of the tree, with nothing fetched and nothing compiled.

pip and the compiler are stood in for: the real ones take minutes and the network.
The shell, the lock, the stamp and the Python in .venv are real.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import subprocess
import sys
import time
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from scripts import llama_wheel, set_up

ROOT = Path(__file__).resolve().parent.parent
MODULES = ("__init__.py", "set_up.py", "llama_wheel.py", "processes.py")
FILES = (
    "pyproject.toml",
    *(f"scripts/{name}" for name in ("setup", *MODULES, "llama.cmake", "constraints.txt")),
)

PIP = """
import os, pathlib, sys, time
command = sys.argv[1]
print(command)
if command != "--version":
    with open(os.environ["PIP_RECORD"], "a") as record:
        record.write(" ".join(sys.argv[1:]) + "\\n")
    assert os.environ["PIP_REQUIRE_VIRTUALENV"] == "1"
if command == os.environ.get("PIP_FAILS"):
    sys.exit("pip ran out of luck")
if command == os.environ.get("PIP_HANGS"):
    print(os.getpid(), file=sys.stderr)
    time.sleep(60)
if command == "wheel":
    folder = pathlib.Path(sys.argv[sys.argv.index("--wheel-dir") + 1])
    (folder / "llama_cpp_python-0-py3-none-any.whl").touch()
    pathlib.Path(os.environ["PIP_RECORD"] + ".flags").write_text(os.environ["CMAKE_ARGS"])
"""


@dataclass
class Tree:
    """A copy of what set-up needs, whose pip only notes down what it was asked."""

    root: Path
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def record(self) -> Path:
        return self.root / "pip-record"

    def start(self, *arguments: str, **variables: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [str(self.root / "scripts" / "setup"), *arguments],
            env={**self.environment, **variables},
            stderr=subprocess.PIPE,
            text=True,
        )

    def set_up(self, *arguments: str, **variables: str) -> tuple[int, str]:
        """Run scripts/setup; return its exit status and what it said."""
        with self.start(*arguments, **variables) as process:
            _, said = process.communicate(timeout=60)
        return process.returncode, said

    def pip_runs(self) -> list[str]:
        """Return what pip was asked since the last call."""
        runs = self.record.read_text().splitlines() if self.record.exists() else []
        self.record.unlink(missing_ok=True)
        return runs


def program(path: Path, *lines: str) -> Path:
    """Write a shell script that can be run."""
    path.parent.mkdir(exist_ok=True)
    path.write_text("\n".join(("#!/bin/sh", *lines, "")))
    path.chmod(0o755)
    return path


@pytest.fixture
def bare_tree(tmp_path: Path) -> Tree:
    """A tree without .venv, on a machine without compiler, cmake or kept wheels."""
    root, programs = tmp_path / "a tree", tmp_path / "bin"
    for name in FILES:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, root / name)
    programs.mkdir()
    for name in ("dirname", "cat"):
        (programs / name).symlink_to(shutil.which(name) or pytest.fail(f"no {name}"))
    program(programs / "python3", f'exec "{sys.executable}" "$@"')
    environment = {
        "PATH": str(programs),
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
        "PIP_RECORD": str(root / "pip-record"),
        "PIP_NO_INDEX": "1",  # should the real pip ever run, it fetches nothing
    }
    return Tree(root, environment)


@pytest.fixture
def tree(bare_tree: Tree) -> Tree:
    """A tree with a .venv that nothing is installed in, on a machine that can compile."""
    venv.create(bare_tree.root / ".venv", symlinks=True)
    (packages,) = bare_tree.root.glob(".venv/lib/python*/site-packages")
    (packages / "pip").mkdir()
    (packages / "pip" / "__main__.py").write_text(PIP)
    (packages / "llama_cpp.py").touch()
    programs = Path(bare_tree.environment["PATH"])
    program(programs / "c++", "echo c++ 12.2")
    program(programs / "cmake")
    return bare_tree


def first_line_of(path: Path) -> str:
    """Wait for a file to have a line, and return it."""
    for _ in range(1000):
        if path.exists() and "\n" in path.read_text():
            return path.read_text().splitlines()[0]
        time.sleep(0.01)
    pytest.fail(f"{path} stayed empty")


@contextmanager
def lock_held(path: Path) -> Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def test_set_up_says_its_steps_and_installs_what_the_constraints_pin(tree: Tree) -> None:
    status, said = tree.set_up("--dev")

    assert status == 0, said
    assert [line[:5] for line in said.splitlines()[:4]] == ["[1/4]", "[2/4]", "[3/4]", "[4/4]"]
    build, llama, project = tree.pip_runs()
    assert build.endswith(f"llama-cpp-python=={llama_wheel.pinned_version('llama-cpp-python')}")
    assert llama.startswith("install --no-deps --force-reinstall")
    assert project.endswith("scripts/constraints.txt --editable .[dev]")


def test_a_second_set_up_runs_no_pip_and_says_there_is_nothing_to_do(tree: Tree) -> None:
    tree.set_up("--dev")
    tree.pip_runs()

    assert tree.set_up("--dev") == (0, "set-up: nothing to do\n")
    assert tree.pip_runs() == []


def test_serving_after_testing_does_not_set_up_again(tree: Tree) -> None:
    tree.set_up("--dev")

    assert tree.set_up() == (0, "set-up: nothing to do\n")


def test_testing_after_serving_adds_the_test_tools(tree: Tree) -> None:
    tree.set_up()
    tree.pip_runs()

    assert tree.set_up("--dev")[0] == 0
    assert tree.pip_runs()[-1].endswith(".[dev]")


@pytest.mark.parametrize("file", ["pyproject.toml", "scripts/constraints.txt"])
def test_a_changed_file_is_set_up_from_again(tree: Tree, file: str) -> None:
    tree.set_up()
    tree.pip_runs()
    with (tree.root / file).open("a") as text:
        text.write("# changed\n")

    assert tree.set_up()[0] == 0
    assert tree.pip_runs()[-1].endswith("--editable .")


def test_a_package_that_is_new_is_made_known_to_the_editable_install(tree: Tree) -> None:
    tree.set_up()
    tree.pip_runs()
    (tree.root / "web").mkdir()
    (tree.root / "web" / "__init__.py").touch()

    assert tree.set_up()[0] == 0
    assert tree.pip_runs()[-1].endswith("--editable .")


def test_a_tree_that_was_moved_is_set_up_again(tree: Tree) -> None:
    tree.set_up()
    tree.pip_runs()
    tree.root = tree.root.rename(tree.root.with_name("moved"))
    tree.environment["PIP_RECORD"] = str(tree.record)

    assert tree.set_up()[0] == 0
    assert tree.pip_runs()[-1].endswith("--editable .")


@pytest.mark.parametrize("step", ["wheel", "install"])
def test_a_set_up_that_failed_shows_why_and_is_finished_by_the_next(tree: Tree, step: str) -> None:
    status, said = tree.set_up(PIP_FAILS=step)

    assert status == 1
    assert "  | pip ran out of luck\n" in said
    log = Path(said.splitlines()[-1].removeprefix("  All of it: "))
    assert "pip ran out of luck" in log.read_text()

    status, said = tree.set_up()
    assert status == 0, said
    assert tree.set_up() == (0, "set-up: nothing to do\n")


def test_a_set_up_that_is_stopped_takes_pip_down_and_is_finished_by_the_next(tree: Tree) -> None:
    with tree.start(PIP_HANGS="install") as process:
        pip = first_line_of(tree.root / ".cache" / "llama-install.log")
        process.terminate()

    assert process.returncode == 128 + signal.SIGTERM
    with pytest.raises(ProcessLookupError):
        os.kill(int(pip), 0)
    assert tree.set_up()[1].endswith("set-up: done\n")


def test_a_library_that_does_not_load_fails_the_set_up(tree: Tree) -> None:
    (module,) = tree.root.glob(".venv/lib/python*/site-packages/llama_cpp.py")
    module.write_text("raise OSError('libgomp.so.1: cannot open')")

    status, said = tree.set_up()

    assert status == 1
    assert "llama.cpp does not load: OSError: libgomp.so.1: cannot open" in said


def test_a_second_clone_takes_the_wheel_the_first_one_built(tree: Tree, tmp_path: Path) -> None:
    tree.set_up()
    tree.pip_runs()
    second = Tree(tmp_path / "second", {**tree.environment})
    shutil.copytree(tree.root, second.root, symlinks=True)
    (second.root / ".venv" / "footnote-setup.json").unlink()

    status, said = second.set_up()

    assert status == 0, said
    assert "compiled already" in said
    assert not any(run.startswith("wheel") for run in tree.pip_runs())


def test_a_kept_wheel_serves_a_machine_that_has_no_compiler_any_more(tree: Tree) -> None:
    tree.set_up()
    (tree.root / ".venv" / "footnote-setup.json").unlink()
    for name in ("c++", "cmake"):
        (Path(tree.environment["PATH"]) / name).unlink()

    status, said = tree.set_up()

    assert status == 0, said
    assert "compiled already" in said


def test_the_operators_cmake_flags_come_after_ours_and_build_another_wheel(tree: Tree) -> None:
    tree.set_up()
    tree.pip_runs()

    assert tree.set_up(FOOTNOTE_CMAKE_ARGS="-DGGML_CUDA=on -DX='a b'")[0] == 0

    assert tree.pip_runs()[0].startswith("wheel")
    flags = tree.record.with_suffix(".flags").read_text()
    assert "-DLLAVA_BUILD=OFF" in flags
    assert flags.index("-DLLAVA_BUILD=OFF") < flags.index("-DGGML_CUDA=on '-DX=a b'")
    assert f"'-DCMAKE_PROJECT_llama.cpp_INCLUDE={tree.root}/scripts/llama.cmake'" in flags


def test_a_cache_that_takes_no_files_keeps_the_wheel_in_the_tree(tree: Tree) -> None:
    Path(tree.environment["XDG_CACHE_HOME"]).write_text("a file, not a folder")

    status, said = tree.set_up()

    assert status == 0, said
    assert len(list(tree.root.glob(".cache/wheels/*/llama_cpp_python-*.whl"))) == 1


def test_two_set_ups_of_one_tree_wait_for_each_other(tree: Tree) -> None:
    with lock_held(tree.root / ".cache" / "setup.lock"):
        process = tree.start()
        assert process.stderr is not None
        said = process.stderr.readline()
        assert tree.pip_runs() == []

    assert said == "set-up: waiting for another set-up to finish\n"
    assert "set-up: done" in process.communicate(timeout=60)[1]


@pytest.mark.parametrize(
    ("present", "missing", "remedy"),
    [
        ((), "a C++ compiler and cmake are missing", "apt-get install g++ cmake"),
        (("cmake",), "a C++ compiler is missing", "dnf install gcc-c++\n"),
        (("clang++",), "cmake is missing", "brew install cmake\n"),
    ],
)
def test_a_missing_tool_is_named_with_how_to_get_it(
    bare_tree: Tree, present: tuple[str, ...], missing: str, remedy: str
) -> None:
    for name in present:
        program(Path(bare_tree.environment["PATH"]) / name, "echo version 1")

    status, said = bare_tree.set_up()

    assert status == 1
    assert missing in said
    assert remedy in said
    assert not (bare_tree.root / ".venv").exists()


def test_an_old_python_is_refused_by_name(bare_tree: Tree) -> None:
    program(Path(bare_tree.environment["PATH"]) / "python3", "echo 3.10.13")

    status, said = bare_tree.set_up()

    assert status == 1
    assert "python3 is Python 3.10.13." in said
    assert "apt-get install python3" in said


def test_the_python_asked_for_is_refused_when_it_is_old_though_a_newer_one_is_there(
    bare_tree: Tree, tmp_path: Path
) -> None:
    old = program(tmp_path / "old python", "echo 2.7.18")

    status, said = bare_tree.set_up(FOOTNOTE_PYTHON=str(old))

    assert status == 1
    assert f"{old} is Python 2.7.18." in said


def test_the_python_asked_for_may_be_named_from_the_callers_folder(
    bare_tree: Tree, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "python").symlink_to(Path(sys.executable).resolve())
    monkeypatch.chdir(tmp_path / "elsewhere")

    assert "cmake" in bare_tree.set_up(FOOTNOTE_PYTHON="./python", PYTHONSAFEPATH="1")[1]


def test_a_newer_python_that_turned_up_is_no_reason_to_start_over(tree: Tree) -> None:
    tree.set_up()
    program(Path(tree.environment["PATH"]) / "python3.13", "echo 3.13.0")

    assert tree.set_up() == (0, "set-up: nothing to do\n")


def test_a_name_on_path_that_does_not_run_is_passed_over(bare_tree: Tree) -> None:
    program(Path(bare_tree.environment["PATH"]) / "python3.13", "exit 127")

    assert "cmake" in bare_tree.set_up()[1]


def test_a_venv_that_lost_its_configuration_is_not_taken_for_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its Python runs, but as the system's, and pip would install there."""
    monkeypatch.setattr(set_up, "VENV", tmp_path)
    monkeypatch.setattr(set_up, "PYTHON", tmp_path / "bin" / "python")
    venv.create(tmp_path, symlinks=True)
    assert set_up.venv_runs()

    (tmp_path / "pyvenv.cfg").unlink()

    assert not set_up.venv_runs()


def test_a_venv_is_removed_under_another_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cut short, removing it leaves no half of it to be taken for the whole."""
    monkeypatch.setattr(set_up, "VENV", tmp_path / ".venv")
    monkeypatch.setattr(set_up, "CACHE", tmp_path)
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    removed: list[Path] = []
    monkeypatch.setattr(shutil, "rmtree", lambda path, **_: removed.append(path))

    set_up.set_venv_aside()

    assert tmp_path / ".venv" not in removed
    assert removed[-1] == tmp_path / "old-venv"
    assert (removed[-1] / "bin").exists()
    assert not (tmp_path / ".venv").exists()


BUILD = llama_wheel.Build("0.3.36", "3.11", "-DLLAVA_BUILD=OFF", "Linux avx2", "g++ 12.2")


@pytest.mark.parametrize("part", ["version", "python", "flags", "machine", "compiler"])
def test_a_wheels_key_changes_with_everything_that_changes_the_wheel(part: str) -> None:
    changes = {part: "another"}

    assert replace(BUILD, **changes).key != BUILD.key


def test_a_kept_wheel_is_found_only_for_its_own_build(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(llama_wheel, "CACHE", tmp_path / "tree")
    wheel = tmp_path / "footnote" / "wheels" / BUILD.key / "llama_cpp_python-0-py3-none-any.whl"
    wheel.parent.mkdir(parents=True)
    wheel.touch()

    assert llama_wheel.kept_wheel(BUILD) == wheel
    assert llama_wheel.kept_wheel(replace(BUILD, compiler="")) == wheel
    assert llama_wheel.kept_wheel(replace(BUILD, compiler="g++ 13")) is None
    assert llama_wheel.kept_wheel(replace(BUILD, flags="-DGGML_CUDA=on")) is None
