"""Building the parts from the settings: the one place that knows them all."""

import logging
import os
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from answer import Answerer, AnswerError
from answer.calibration import FILE, saved
from answer.evidence import EvidenceScorer, FeatureScorer, Judgement, fitted_for
from answer.gate import SupportScorer
from answer.model import LanguageModel, is_address
from answer.receipts import Receipts
from retrieval import Embedder, Library, SentenceTransformerEmbedder
from web.activity import Activity
from web.ingestions import Ingestions
from web.models import start_model
from web.settings import NO_JUDGE, PREFIX, Settings

log = logging.getLogger("footnote")
HALF = 0.5
"""The threshold if a wrong answer costs what a right one earns."""


@dataclass(frozen=True, slots=True)
class Services:
    """What views and commands work with."""

    settings: Settings
    embedder: Embedder
    library: Library
    model: LanguageModel | None
    answerer: Answerer
    ingestions: Ingestions
    receipts: Receipts
    activity: Activity = field(default_factory=Activity)
    warm: threading.Event = field(default_factory=threading.Event)
    """Set when the first question waits for nothing more to be loaded."""

    def close(self) -> None:
        """End the processes of the model and of an ingest, and let go of the library."""
        self.ingestions.close()
        if self.model:
            self.model.close()
        self.receipts.close()
        self.library.close()

    def missing(self) -> list[str]:
        """Return what keeps the service from answering with the model, in words."""
        missing = []
        if not self.library.documents():
            missing.append("the library holds no documents: run `footnote ingest`")
        if self.model is None or not self.model.ready:
            missing.append("the model is not running")
        if not self.warm.is_set():
            missing.append("what the first question needs is being loaded: a few seconds")
        return missing


def stay_offline(settings: Settings) -> None:
    """Let no library reach for a model hub, unless a hub id was asked for."""
    judge = None if settings.judge == NO_JUDGE else settings.judge
    model = None if is_address(settings.model) else settings.model
    named = [name for name in (model, settings.embedder, judge) if name is not None]
    if all(Path(name).expanduser().exists() for name in named):
        os.environ.setdefault("HF_HUB_OFFLINE", "1")
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    # The releases of ONNX Runtime that we allow send nothing; later ones do unless told not to.
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    # torch's idle threads sleep instead of spinning beside llama.cpp's.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def step_back() -> None:
    """Let whatever else runs on this machine go first, answers above all."""
    os.nice(10)


def open_library(
    settings: Settings, *, create: bool = False
) -> tuple[Library, SentenceTransformerEmbedder]:
    """Open the library and its embedder; LibraryMissing unless it is there or may be begun."""
    stay_offline(settings)
    graphs = settings.home / "models" / "onnx"
    embedder = SentenceTransformerEmbedder(settings.embedder, graphs=graphs)
    return Library(settings.home, embedder, create=create), embedder


def open_receipts(settings: Settings, library: Library) -> Receipts:
    """Return the receipts of a library's answers; the file is opened when it is needed."""
    return Receipts(
        settings.home,
        library,
        days=settings.receipts_days,
        questions=settings.receipts_questions,
    )


def child_environment(settings: Settings) -> dict[str, str]:
    """Return what a process sees that ingests as this one would: our code, and our settings.

    It reads the folders it is told to, none if it is told none.
    """
    set_here = {"chunk_tokens": settings.chunk_tokens, "embedder": settings.embedder}
    paths = (str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH"))
    return {
        **os.environ,
        **{f"{PREFIX}{name.upper()}": str(value) for name, value in set_here.items() if value},
        f"{PREFIX}FOLDERS": "",
        "PYTHONPATH": os.pathsep.join(path for path in paths if path),
    }


def build(settings: Settings, *, create: bool = False) -> Services:
    """Build everything an answer needs, with the model started and ready.

    Raises AnswerError or RetrievalError, which say what is missing.
    """
    stay_offline(settings)
    model = start_model(settings)
    try:
        library, embedder = open_library(settings, create=create)
        judgement, threshold = build_judgement(settings, embedder)
        receipts = open_receipts(settings, library)
        answerer = Answerer(
            library,
            model,
            passages=settings.passages,
            threshold=threshold,
            judgement=judgement,
            support=judge_of(judgement),
            receipts=receipts,
        )
        ingestions = Ingestions(library, child_environment(settings))
        return Services(settings, embedder, library, model, answerer, ingestions, receipts)
    except BaseException:
        model.close()
        raise


def build_judgement(settings: Settings, embedder: Embedder) -> tuple[Judgement, float]:
    """Return what judges evidence, and the least probability of an answer.

    What the library was calibrated with counts, if it was with this embedder and this judge.
    """
    scorer = build_scorer(settings, embedder)
    calibrated = saved(settings.home, scorer, embedder.name)
    if calibrated is None and (settings.home / FILE).exists():
        log.warning(
            "%s was made with another judge or embedder, or for another release, and does not"
            " count. Run `footnote calibrate` again.",
            settings.home / FILE,
        )
    if calibrated is None and embedder.name != fitted_for():
        log.warning(
            "what evidence is weighed by was fitted for %s, and %s may take other cosines for near:"
            " run `footnote calibrate` to have the decision to answer fitted to it.",
            fitted_for(),
            embedder.name,
        )
    decision, threshold = calibrated or (None, HALF)
    if settings.threshold is not None:
        threshold = settings.threshold
    return Judgement(scorer, decision), threshold


def judge_of(judgement: Judgement) -> SupportScorer | None:
    """Return the bundled judge, if it is what judges: it backs the gate too."""
    from answer.judge import JudgeScorer

    return judgement.scorer.judge if isinstance(judgement.scorer, JudgeScorer) else None


def build_scorer(settings: Settings, embedder: Embedder) -> EvidenceScorer:
    """Return what scores evidence: the bundled judge, a cross-encoder, or features alone."""
    if settings.judge is None:
        from answer.judge import Judge, JudgeScorer

        judge = Judge(settings.home / "models" / "judge")
        return JudgeScorer(judge, FeatureScorer(embedder))
    if settings.judge == NO_JUDGE:
        return FeatureScorer(embedder)
    from answer.cross_encoder import CrossEncoderScorer

    return CrossEncoderScorer(settings.judge, embedder)


def describe_scorer(settings: Settings, embedder: Embedder) -> str:
    """Return what scores evidence and what runs it; JudgeUnavailable if it cannot be used."""
    from answer.judge import JudgeScorer

    scorer = build_scorer(settings, embedder)
    runs = f", by {scorer.judge.backend}" if isinstance(scorer, JudgeScorer) else ""
    return f"{scorer.name}{runs}"


def warm_up(services: Services) -> threading.Thread:
    """Load in the background what the first question would wait for."""

    def warm() -> None:
        try:
            services.receipts.tidy()
            services.embedder.embed(["warm up"])
            services.answerer.warm_up()
            if services.library.generation:
                services.library.search("warm up")
            if services.model:
                with suppress(AnswerError):
                    _ = services.model.card
        finally:
            services.warm.set()

    thread = threading.Thread(target=warm, daemon=True)
    thread.start()
    return thread
