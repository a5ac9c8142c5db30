"""What was measured, as tables, CSV and JSON."""

import csv
import io
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from rich.box import SIMPLE
from rich.table import Table

from keepsight.apps.cli.evaluate.record import Record
from keepsight.evaluation import Confidence, mean_figures

__all__ = ["Run", "report_tables", "runs_of", "write_report"]

# What the table of sequences shows; the summary has all figures.
SHOWN = {
    "DAVIS": ("J", "F", "J&F"),
    "LaSOT": ("AUC", "P", "Pnorm"),
    "OTB": ("AUC", "P", "Pnorm"),
    "GOT-10k": ("AO", "SR0.5", "SR0.75"),
}
SPEED, CORRELATION, PRESENCE = "frames_per_second", "score_iou_spearman", "presence_auc"
SPOKEN = {
    SPEED: "frames/s",
    CORRELATION: "score-IoU Spearman",
    PRESENCE: "presence AUC",
    "objects": "objects",
    "frames": "frames",
}
MEAN = "mean"  # the row of a whole run


class Run(NamedTuple):
    """All sequences under one prompt and one policy.

    Attributes:
        prompt: what was told of the objects.
        policy: the memory policy's name.
        records: one per sequence.
    """

    prompt: str
    policy: str
    records: list[Record]

    @property
    def figures(self) -> dict[str, Any]:
        """The benchmark's figures over all objects, and speed and trust besides."""
        return _figures(self.records)


def runs_of(records: Sequence[Record]) -> list[Run]:
    """Sorts records by prompt and policy, in the order in which they first appear."""
    runs: dict[tuple[str, str], Run] = {}
    for record in records:
        run = Run(record.key.prompt, record.key.policy, [])
        runs.setdefault(run[:2], run).records.append(record)
    return list(runs.values())


def report_tables(runs: Sequence[Run], layout: str) -> Iterator[Table]:
    """One table of sequences per prompt, policies side by side, and one of the means.

    Args:
        runs: what was measured.
        layout: the dataset's, which decides on the figures shown.
    """
    for prompt in dict.fromkeys(run.prompt for run in runs):
        yield _sequence_table([run for run in runs if run.prompt == prompt], layout)
    yield _summary_table(runs)


def write_report(path: Path, settings: Mapping[str, Any], runs: Sequence[Run]) -> None:
    """Writes all figures, whole or not at all.

    Args:
        path: `.csv`, one row per object and one per run, or `.json`.
        settings: what was measured with.
        runs: what was measured.

    Raises:
        OutputError: the file cannot be written.
    """
    from keepsight.export.files import new_file, output_errors

    text = _csv(settings, runs) if path.suffix.lower() == ".csv" else _json(settings, runs)
    with output_errors(path), new_file(path) as file:
        file.write(text.encode())


def _figures(records: Sequence[Record]) -> dict[str, Any]:
    scores = [score for record in records for score in record.scores.values()]
    trust = Confidence.joined(score.confidence for score in scores)
    frames, seconds = sum(r.frames for r in records), sum(r.seconds for r in records)
    return {
        "objects": len(scores),
        "frames": frames,
        **mean_figures(scores),
        SPEED: frames / seconds if seconds else None,
        CORRELATION: trust.score_correlation,
        PRESENCE: trust.presence_auc,
    }


def _sequence_table(runs: Sequence[Run], layout: str) -> Table:
    columns = [*SHOWN[layout], SPEED]
    table = Table(
        box=SIMPLE, padding=(0, 1, 0, 0), title=f"{layout}, from the first frame's {runs[0].prompt}"
    )
    table.add_column("sequence", no_wrap=True)
    for run in runs:
        for position, name in enumerate(columns):
            title = f"{run.policy if position == 0 else ''}\n{SPOKEN.get(name, name)}"
            table.add_column(title, justify="right", no_wrap=True)
    for name in dict.fromkeys(record.key.sequence for run in runs for record in run.records):
        parts = [[r for r in run.records if r.key.sequence == name] for run in runs]
        table.add_row(name, *_cells([_figures(part) if part else {} for part in parts], columns))
    table.add_section()
    table.add_row(MEAN, *_cells([run.figures for run in runs], columns))
    return table


def _summary_table(runs: Sequence[Run]) -> Table:
    table = Table(box=SIMPLE, padding=(0, 1, 0, 0), title="All sequences")
    table.add_column("", no_wrap=True)
    for run in runs:
        table.add_column(f"{run.prompt}\n{run.policy}", justify="right", no_wrap=True)
    figures = [run.figures for run in runs]
    for name in dict.fromkeys(name for row in figures for name in row):
        table.add_row(SPOKEN.get(name, name), *(_text(name, row.get(name)) for row in figures))
    return table


def _cells(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> list[str]:
    return [_text(name, row.get(name)) for row in rows for name in columns]


def _text(name: str, value: Any) -> str:
    if _plain(value) is None:
        return "-"
    return str(value) if isinstance(value, int) else f"{value:.{1 if name == SPEED else 3}f}"


def _plain(value: Any) -> Any:
    """A value as JSON and CSV may hold it: nothing where there is no number."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _csv(settings: Mapping[str, Any], runs: Sequence[Run]) -> str:
    rows = []
    for run in runs:
        start = {"model": settings["model"], "prompt": run.prompt, "policy": run.policy}
        for record in run.records:
            for i, score in record.scores.items():
                alone = Record(record.key, record.frames, record.seconds, {i: score})  # type: ignore[arg-type]
                rows.append({**start, "sequence": record.key.sequence, "object": i, **_figures([alone])})
        rows.append({**start, "sequence": MEAN, "object": None, **run.figures})
    text = io.StringIO()
    writer = csv.DictWriter(
        text, list(dict.fromkeys(name for row in rows for name in row)), lineterminator="\n"
    )
    writer.writeheader()
    writer.writerows({name: _plain(value) for name, value in row.items()} for row in rows)
    return text.getvalue()


def _json(settings: Mapping[str, Any], runs: Sequence[Run]) -> str:
    document = {"settings": dict(settings), "runs": [_run_entry(run) for run in runs]}
    return json.dumps(document, indent=2) + "\n"


def _run_entry(run: Run) -> dict[str, Any]:
    return {
        "prompt": run.prompt,
        "policy": run.policy,
        MEAN: _plain_all(run.figures),
        "sequences": [
            {
                "sequence": record.key.sequence,
                **_plain_all(_figures([record])),
                "by_object": {str(i): _plain_all(score.figures) for i, score in record.scores.items()},
            }
            for record in run.records
        ],
    }


def _plain_all(figures: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _plain(value) for name, value in figures.items()}
