"""Finding out how the model runs fastest here, and what is kept of it."""

import json
import logging
import os
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from threading import Thread

import pytest
from click.testing import CliRunner

from answer.engine import EngineLimits, LlamaProcess, tuned, tuning, weights
from answer.engine.machine import this_machine
from answer.engine.trial import READ, prompts
from answer.engine.tuned import FILE, Applied, Setup, Tuning, apply
from answer.engine.tuning import Tuner, describe
from answer.engine.weights import formats_for, kept, make, sha256_of
from answer.errors import ModelFailed, ModelUnavailable
from answer.model import Message, find_model
from answer.types import Usage
from tests.conftest import Shelf, running_server
from web import first_look, models
from web.activity import Activity
from web.cli import main
from web.first_look import FirstLook
from web.ingestions import Ingestions
from web.settings import Settings, SettingsError

SOURCE = find_model(None)
LIMITS = EngineLimits(threads=2)
PROMPT = [Message("user", "What is the capital of France?")]


AS_IT_COMES = {"weights": "source"}


@pytest.fixture(scope="module", autouse=True)
def short_prompts() -> Iterator[None]:
    """How fast it really is, is not what is tested here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tuning, "prompts", lambda _: [PROMPT])
        yield


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Tuning]:
    """A folder, and what measuring two set-ups with one prompt and three tokens left there."""
    folder = tmp_path_factory.mktemp("home") / "models"
    tuner = Tuner(SOURCE, folder, LIMITS, lambda _: None, count=1, written=3)
    tuner.begin()
    # So that the choice does not hang on how busy the machine is: anything is good enough.
    found = tuner.finish([("weights", ["q8_0"])], gain=0.0)
    found.save(folder)
    return folder, found


@pytest.fixture
def folder(measured: tuple[Path, Tuning], tmp_path: Path) -> Path:
    """A copy of that folder, to do harm in."""
    copy = tmp_path / "models"
    copy.mkdir()
    for file in measured[0].iterdir():
        (copy / file.name).hardlink_to(file)
    (copy / FILE).unlink()
    (copy / FILE).write_bytes((measured[0] / FILE).read_bytes())
    return copy


def test_measuring_makes_the_weights_and_keeps_the_choice(
    measured: tuple[Path, Tuning],
) -> None:
    folder, found = measured

    assert [m.setup.weights for m in found.measured] == ["source", "q8_0"]
    assert all(m.read_per_s > 0 and m.written_per_s > 0 for m in found.measured)
    assert found.measured[0].same == 1
    assert found.chosen.weights == "q8_0"
    assert tuned.read(folder) == found
    file = kept(folder, sha256_of(SOURCE), "q8_0")
    assert found.weights_sha256 == sha256_of(file)
    assert sorted(path.name for path in folder.iterdir()) == sorted([FILE, file.name])


def test_what_was_measured_is_what_runs(measured: tuple[Path, Tuning]) -> None:
    folder, found = measured
    found = found.model_copy(update={"chosen": found.chosen.model_copy(update={"threads": 1})})

    (folder / FILE).write_text(found.model_dump_json())
    applied = apply(SOURCE, folder, LIMITS)

    assert applied == Applied(
        kept(folder, found.model_sha256, "q8_0"),
        replace(LIMITS, threads=1),
        found.model_sha256,
        found,
    )
    with closing(LlamaProcess(applied.weights, applied.limits)) as model:
        *pieces, usage = model.write(PROMPT, max_tokens=8)
    assert any(str(piece).strip() for piece in pieces)
    assert isinstance(usage, Usage)


def aside(folder: Path, caplog: pytest.LogCaptureFixture) -> str:
    """Return what is logged when the choice does not count."""
    assert apply(SOURCE, folder, LIMITS).weights == SOURCE
    assert apply(SOURCE, folder, LIMITS).limits == LIMITS
    return caplog.text


def change(folder: Path, **fields: object) -> None:
    found = json.loads((folder / FILE).read_text())
    (folder / FILE).write_text(json.dumps({**found, **fields}))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\xfe",
        b"{}",
        b"[" * 10_000,
        b'{"version": 2}',
    ],
)
def test_a_choice_that_cannot_be_read_is_left_aside(
    folder: Path, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    (folder / FILE).write_bytes(content)

    assert "cannot be read" in aside(folder, caplog)


@pytest.mark.parametrize(
    ("name", "value"),
    [("threads", 0), ("threads", 10**9), ("n_ubatch", -1), ("kv_type", "q2"), ("weights", "../x")],
)
def test_a_choice_that_nobody_would_make_is_left_aside(
    folder: Path, name: str, value: object, caplog: pytest.LogCaptureFixture
) -> None:
    change(folder, chosen={"threads": 2, name: value})

    assert "cannot be read" in aside(folder, caplog)


@pytest.mark.parametrize("name", ["processor", "features", "cores", "llama_cpp", "build"])
def test_a_choice_made_on_another_machine_or_build_is_left_aside(
    folder: Path, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    machine = json.loads((folder / FILE).read_text())["machine"]
    change(folder, machine={**machine, name: "another"})

    assert "another machine or build" in aside(folder, caplog)


def test_a_choice_for_another_model_is_left_aside(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    change(folder, model_sha256="0" * 64)

    assert "for another model" in aside(folder, caplog)


@pytest.mark.parametrize("harm", ["damaged", "missing"])
def test_weights_that_are_not_what_was_made_are_not_loaded(
    folder: Path, harm: str, caplog: pytest.LogCaptureFixture
) -> None:
    file = kept(folder, sha256_of(SOURCE), "q8_0")
    data = bytearray(file.read_bytes())
    file.unlink()
    if harm == "damaged":
        data[-1] ^= 1
        file.write_bytes(data)

    assert f"which is {harm}" in aside(folder, caplog)


def test_nothing_measured_is_nothing_to_talk_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert apply(SOURCE, tmp_path / "none", LIMITS) == Applied(SOURCE, LIMITS)
    assert not caplog.text


def test_a_set_up_that_cannot_be_run_is_noted_and_not_chosen(tmp_path: Path) -> None:
    tuner = Tuner(SOURCE, tmp_path, LIMITS, lambda _: None, count=1, written=2)
    tuner.begin()
    # llama.cpp keeps values in 8 bits only with flash attention.
    found = tuner.finish([("flash_attn", [False]), ("kv_type", ["q8_0"])], gain=0.0)

    assert found.chosen.kv_type == "f16"
    assert any("cache in q8_0" in note for note in found.notes)


def test_a_choice_that_is_no_faster_in_the_end_is_dropped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tuning, "GAIN", 0.0)
    monkeypatch.setattr(Tuner, "_in_turns", lambda *_: 0.9)
    tuner = Tuner(SOURCE, tmp_path, LIMITS, lambda _: None, count=1, written=2)

    found = tuner.run([("weights", ["q8_0"])])

    assert (found.chosen, found.ratio, found.weights_sha256) == (Setup.of(LIMITS), 1.0, None)
    assert list(tmp_path.iterdir()) == []


def test_formats_are_offered_that_hold_all_of_the_weights_and_fit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wide = tmp_path / "wide.gguf"
    make(SOURCE, wide, "f16", 2)

    assert formats_for(SOURCE, tmp_path) == (["q8_0", "f16"], [])
    assert formats_for(wide, tmp_path) == ([], []), "16 bits do not fit into 8"

    monkeypatch.setattr(weights, "SPARE_BYTES", 1 << 60)
    fit, notes = formats_for(SOURCE, tmp_path / "not" / "there")
    assert fit == []
    assert all("do not fit on the disk" in note for note in notes)

    monkeypatch.setattr(weights, "SHARE_OF_MEMORY", 1e-9)
    fit, notes = formats_for(SOURCE, tmp_path)
    assert fit == []
    assert all("half of the memory" in note for note in notes)


def test_weights_that_cannot_be_made_leave_nothing(tmp_path: Path) -> None:
    damaged = tmp_path / "damaged.gguf"
    damaged.write_bytes(b"GGUF" + bytes(1000))

    with pytest.raises(ModelFailed, match="another format"):
        make(damaged, tmp_path / "models" / "made.gguf", "f16", 1)

    assert list((tmp_path / "models").iterdir()) == []


def test_weights_made_for_another_choice_are_let_go_of(folder: Path) -> None:
    old = kept(folder, "f" * 64, "f16")
    old.write_bytes(b"old")
    mine = folder / "mine.gguf"
    mine.write_bytes(b"put here by the operator")
    found = tuned.read(folder)
    assert found

    found.save(folder)

    assert not old.exists()
    assert mine.exists()
    assert kept(folder, found.model_sha256, "q8_0").exists()


def test_weights_that_a_service_may_be_running_with_stay_until_the_choice_after(
    folder: Path,
) -> None:
    before = tuned.read(folder)
    assert before
    file = kept(folder, before.model_sha256, "q8_0")
    after = before.model_copy(update={"chosen": before.chosen.model_copy(update=AS_IT_COMES)})

    after.save(folder)
    assert file.exists()
    after.save(folder)
    assert not file.exists()


def test_typical_prompts_are_about_as_long_as_they_claim_and_differ(model: LlamaProcess) -> None:
    lengths = []
    for prompt in prompts(3):
        *_, usage = model.write(prompt, max_tokens=1)
        assert isinstance(usage, Usage)
        lengths.append(usage.prompt_tokens)
    contents = {prompt[1].content for prompt in prompts(6)}

    assert all(0.8 * READ < length < 1.4 * READ for length in lengths), lengths
    assert len(contents) == 6


def test_the_service_runs_what_was_measured_and_names_the_model_that_was_chosen(
    measured: tuple[Path, Tuning], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    folder, found = measured
    found.save(folder)
    with closing(models.start_model(Settings(home=folder.parent))) as model:
        assert isinstance(model, LlamaProcess)
        command = Path(f"/proc/{model.pid}/cmdline").read_bytes()

        assert f"{found.model_sha256[:16]}-q8_0.gguf".encode() in command
        assert (model.card.name, model.card.sha256) == (SOURCE.stem, sha256_of(SOURCE))
    assert f"runs as was measured: {describe(found.chosen)}" in caplog.text


def test_threads_that_the_operator_sets_are_not_overruled(folder: Path) -> None:
    settings = Settings(home=folder.parent, model_threads=3)

    assert models.applied_to(settings, SOURCE).limits.threads == 3


def test_doctor_says_how_the_model_runs_and_whether_on_a_gpu(
    measured: tuple[Path, Tuning], tmp_path: Path
) -> None:
    measured[1].save(measured[0])

    assert "weights as q8_0" in models.describe_model(Settings(home=measured[0].parent))
    assert "run `footnote tune`" in models.describe_model(Settings(home=tmp_path))
    assert "GGML_CUDA" in models.describe_acceleration()


def test_a_service_looks_once_it_serves_and_only_once(shelf: Shelf) -> None:
    file = shelf.home / "models" / FILE
    with running_server(shelf.home, tune="yes"):
        assert not file.exists(), "readers had to wait for the look"
        until(file.exists)
    found = tuned.read(file.parent)
    assert found
    assert found.model == SOURCE.stem
    assert not first_look.is_wanted(Settings(home=shelf.home, tune=True))


def test_weights_that_were_left_half_made_are_swept_and_those_being_made_are_not(
    tmp_path: Path,
) -> None:
    stale, fresh = tmp_path / "draft-1.gguf", tmp_path / "draft-2.gguf"
    for draft in (stale, fresh):
        draft.write_bytes(b"half")
    os.utime(stale, (1, 1))

    weights.sweep_drafts(tmp_path)

    assert [path.name for path in tmp_path.iterdir()] == [fresh.name]


def test_no_look_is_wanted_where_it_may_not_be_or_a_server_has_the_model(tmp_path: Path) -> None:
    assert first_look.is_wanted(Settings(home=tmp_path, tune=True))
    assert not first_look.is_wanted(Settings(home=tmp_path, tune=False))
    assert not first_look.is_wanted(Settings(home=tmp_path, model="https://a.example/v1"))


def test_a_question_puts_the_look_off_and_then_the_model_goes_on_as_was_found(
    measured: tuple[Path, Tuning], shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is found is made up, since F16 may or may not be faster on this machine."""
    settings = Settings(home=measured[0].parent, model_threads=LIMITS.threads)
    looks: list[float] = []
    activity = Activity()

    def glance(*_: object) -> Tuning:
        looks.append(time.monotonic())
        if len(looks) == 1:
            activity.begin()  # somebody asks meanwhile
            activity.end()
        return measured[1]

    monkeypatch.setattr(tuning, "glance", glance)
    monkeypatch.setattr(first_look, "QUIET_S", 0.5)
    with closing(LlamaProcess(SOURCE, LIMITS)) as model:
        model.start()
        before = model.pid
        activity.begin()
        look = FirstLook(settings, model, activity, Ingestions(shelf.library, {}))
        warm = Thread(target=lambda: None)
        warm.start()
        thread = look.begin(warm)
        time.sleep(1.5)
        assert not looks, "it was looked while somebody asked"

        activity.end()
        thread.join(60)

        assert len(looks) == 2, "what was measured beside a question counted"
        assert model.pid != before
        assert list(model.write([*PROMPT], max_tokens=2))


def test_a_model_goes_on_with_other_weights_without_losing_what_is_asked(
    measured: tuple[Path, Tuning],
) -> None:
    other = kept(measured[0], measured[1].model_sha256, "q8_0")
    with closing(LlamaProcess(SOURCE, LIMITS)) as model:
        model.start()
        before, card = model.pid, model.card
        pieces = model.write([*PROMPT], max_tokens=24)
        first = next(pieces)

        changing = Thread(target=model.change, args=(other, LIMITS))
        changing.start()
        until(lambda: model.pid != before)
        *rest, usage = [first, *pieces]
        changing.join(20)

        assert isinstance(usage, Usage)
        assert len(rest) == 24
        assert not changing.is_alive()
        assert model.card == card, "receipts name the file that the operator chose"
        done = model.figures.written
        assert done >= 24, "the counts went back"
        assert list(model.write([*PROMPT], max_tokens=2))
        until(lambda: model.figures.written > done)
        assert model.restarts == 0


def test_weights_that_cannot_be_used_change_nothing(tmp_path: Path) -> None:
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(b"GGUF, or so it says")
    with closing(LlamaProcess(SOURCE, LIMITS)) as model:
        model.start()
        before = model.pid

        with pytest.raises(ModelUnavailable, match="broken"):
            model.change(broken, LIMITS)

        assert model.pid == before
        assert list(model.write([*PROMPT], max_tokens=2))


def until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + 180  # a new library has the embedder made ready first
    while not true():
        assert time.monotonic() < end
        time.sleep(0.1)


def test_a_look_at_the_start_tries_the_formats_that_hold_the_weights(tmp_path: Path) -> None:
    found = tuning.glance(SOURCE, tmp_path, LIMITS, 120.0)

    assert found
    assert [m.setup.weights for m in found.measured] == ["source", "q8_0", "f16"]


def test_a_look_at_the_start_ends_in_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    endless = [Message("user", "word " * 3500)]
    monkeypatch.setattr(tuning, "prompts", lambda _: [endless])
    began = time.monotonic()

    found = tuning.glance(SOURCE, tmp_path, LIMITS, 1.0)

    assert found
    assert not found.measured
    assert time.monotonic() - began < 10, "a prompt that takes half a minute was read to its end"
    assert list(tmp_path.iterdir()) == []


def test_a_large_model_is_not_looked_at_at_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tuning, "GLANCE_BYTES", 1000)

    assert tuning.glance(SOURCE, tmp_path, LIMITS, 60.0) is None


@pytest.mark.parametrize("dry", [True, False])
def test_tune_prints_a_table_or_json(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, dry: bool
) -> None:
    monkeypatch.setattr(tuning, "OPTIONS", ())
    monkeypatch.setattr(tuning, "formats_for", lambda *_: (["q8_0"], ["f16: too large"]))
    monkeypatch.setattr(tuning, "_threads", lambda _: [1])
    home = tmp_path / "home"
    arguments = ["tune", "--home", str(home), *(["--dry-run"] if dry else ["--json"])]

    done = CliRunner().invoke(main, arguments)

    assert done.exit_code == 0, done.output
    if dry:
        assert "weights as q8_0, " in done.stdout
        assert "1 thread," in done.stdout
        assert "left out: f16: too large" in done.stderr
        assert not home.exists()
    else:
        said = json.loads(done.stdout)
        assert said["saved"]
        assert said["chosen"] == json.loads((home / "models" / FILE).read_text())["chosen"]


def test_a_model_on_a_server_cannot_be_tuned(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="on a server"):
        models.tuner(Settings(model="http://127.0.0.1:9/v1"), tmp_path, print)


def test_the_machine_is_told_by_processor_and_build() -> None:
    machine = this_machine()

    assert machine == this_machine()
    assert machine.processor
    assert machine.llama_cpp.startswith("0.")
    assert len({machine.build, machine.features}) == 2
