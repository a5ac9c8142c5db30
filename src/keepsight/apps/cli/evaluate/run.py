"""A whole evaluation, in order."""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, NamedTuple

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from keepsight.apps.cli.evaluate.job import EvalJob
from keepsight.apps.cli.evaluate.record import Key, Record
from keepsight.apps.cli.evaluate.results import ResultsFile, model_digest
from keepsight.apps.cli.evaluate.tracking import BOX_OBJECT, track_sequence
from keepsight.apps.cli.job import Engine
from keepsight.apps.cli.pipeline import one_interrupt
from keepsight.evaluation import BoxScore, BoxSequence, MaskScore, MaskSequence, score_boxes, score_masks
from keepsight.session import Session

__all__ = ["Outcome", "run_eval"]


class Outcome(NamedTuple):
    """What an evaluation has come to.

    Attributes:
        settings: all that figures depend on, prompt and policy apart.
        records: of what was asked for, earlier runs' included, in order.
        planned: how many there would be in the end.
        interrupted: whether Ctrl-C ended it.
    """

    settings: Mapping[str, Any]
    records: list[Record]
    planned: int
    interrupted: bool


def run_eval(job: EvalJob, engine: Callable[[], Engine], console: Console) -> Outcome:
    """Tracks and scores whatever the results file does not have yet.

    Args:
        job: what to do, checked.
        engine: asked for a model and for policies.
        console: where progress goes.

    Raises:
        KeepsightError: of the kind that fits; what was finished before is kept.
    """
    seeing = engine()
    for policy in job.policies:
        seeing.make_policy(policy)
    model = seeing.load_model(job.model, config=job.config, device=job.device, dtype=job.dtype)
    settings = _settings(job, model)
    results = ResultsFile(job.output_dir, settings, job.resume)
    plan = list(_plan(job))
    interrupted = False
    with one_interrupt(), _Bar(console, plan, results.records) as bar:
        try:
            for key, sequence in plan:
                if key not in results.records:
                    results.add(_measured(key, sequence, model, partial(bar.advance, key)))
        except KeyboardInterrupt:
            interrupted = True
    records = [results.records[key] for key, _ in plan if key in results.records]
    return Outcome(settings, records, len(plan), interrupted)


def _plan(job: EvalJob) -> Iterator[tuple[Key, MaskSequence | BoxSequence]]:
    # Sequence by sequence, so that a run that was stopped has what it has for all policies alike.
    for sequence in job.dataset.sequences:
        for prompt in job.prompts:
            for policy in job.policies:
                yield Key(sequence.name, prompt, policy), sequence


def _settings(job: EvalJob, model: Any) -> dict[str, Any]:
    import keepsight

    return {
        "version": keepsight.__version__,
        "dataset": str(job.dataset.root.resolve()),
        "layout": job.dataset.layout,
        "model": job.model,
        "weights": model_digest(model),
        "input_size": int(model.input_spec.size),
        "device": str(model.device),
        "dtype": str(model.dtype).removeprefix("torch."),
    }


def _measured(
    key: Key, sequence: MaskSequence | BoxSequence, model: Any, watch: Callable[[], None]
) -> Record:
    tracked = track_sequence(
        sequence,
        key.prompt,  # type: ignore[arg-type]  # a key of ours, made of a checked prompt
        lambda logits: Session(model, policy=key.policy, keep_logits=logits),
        watch,
    )
    scores: Mapping[int, MaskScore] | Mapping[int, BoxScore]
    if isinstance(sequence, MaskSequence):
        scores = score_masks(sequence, tracked.found)
    else:
        scores = {BOX_OBJECT: score_boxes(sequence, [frame[BOX_OBJECT] for frame in tracked.found])}
    return Record(key, len(sequence.frames), tracked.seconds, scores)


class _Bar:
    """Frames done of those still to do, and what is being tracked."""

    def __init__(
        self,
        console: Console,
        plan: list[tuple[Key, MaskSequence | BoxSequence]],
        done: Mapping[Key, Record],
    ) -> None:
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        self._bar = Progress(*columns, console=console)
        total = sum(len(sequence.frames) for key, sequence in plan if key not in done)
        self._task = self._bar.add_task("Tracking", total=total)

    def advance(self, key: Key) -> None:
        self._bar.update(self._task, advance=1, description=f"{key.sequence}, {key.prompt}, {key.policy}")

    def __enter__(self) -> "_Bar":
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()
