"""The ranking, as people and as programs read it."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.box import SIMPLE
from rich.table import Table

from keepsight.apps.cli.review.job import Reviewed, ReviewJob

if TYPE_CHECKING:
    from keepsight.review import Stretch

__all__ = ["ranking_table", "summary", "write_ranking"]


def ranking_table(job: ReviewJob, stretches: "Sequence[Stretch]") -> Table:
    """One row per stretch, what to look at first on top.

    Args:
        job: what was tracked.
        stretches: in order.
    """
    table = Table("", "object", "frames", "worst frame", "risk", "why", box=SIMPLE, padding=(0, 1, 0, 0))
    for place, stretch in enumerate(stretches, 1):
        last = stretch.stop - 1
        frames = str(stretch.start) if last == stretch.start else f"{stretch.start} to {last}"
        name = job.plan.names.get(stretch.object_id)
        who = f"{stretch.object_id} ({_printed(name)})" if name else str(stretch.object_id)
        why = ", ".join(stretch.reasons)
        table.add_row(str(place), who, frames, str(stretch.frame), f"{stretch.risk:.2f}", why)
    return table


def summary(reviewed: Reviewed, found: int, listed: int) -> str:
    """What was done, and what to do with the table.

    Args:
        reviewed: what a run found.
        found: how many stretches there are.
        listed: how many of them are shown.
    """
    stopped = "Stopped by Ctrl-C, what was tracked is ranked. " if reviewed.interrupted else ""
    tracked = f"{stopped}Tracked {reviewed.frames} frames. "
    if not found:
        return f"{tracked}There is nothing to review: no frame is suspected to be wrong."
    less = f", {listed} of them listed" if listed < found else ""
    return (
        f"{tracked}Stretches to review: {found}{less}. Correct the worst frame of the first, add it to the "
        f"prompts, and rank anew."
    )


def write_ranking(path: Path, job: ReviewJob, reviewed: Reviewed) -> None:
    """Writes all stretches, and the risk of every frame, as JSON.

    Args:
        path: the file; replaced if it exists.
        job: what was tracked.
        reviewed: what was found.

    Raises:
        OutputError: the file cannot be written; it is then as it was.
    """
    from keepsight.export.files import new_file, output_errors

    queue = reviewed.queue
    document = {
        "source": job.track.source,
        "model": job.track.model,
        "policy": job.track.policy,
        "both_ways": job.both_ways,
        "frames": reviewed.frames,
        "complete": not reviewed.interrupted,
        "stretches": [_entry(job, stretch) for stretch in queue.stretches()],
        "objects": [
            {
                "object": number,
                "name": job.plan.names.get(number),
                "prompted": sorted(queue.trail(number).told),
                "risks": [[frame, round(risk, 6)] for frame, risk in queue.risks(number).items()],
            }
            for number in queue.object_ids
        ],
    }
    with output_errors(path), new_file(path) as file:
        # A file's name may hold bytes that are no text; JSON's escape for them reads back the same.
        text = json.dumps(document, indent=2, ensure_ascii=False)
        file.write(f"{text}\n".encode(errors="backslashreplace"))


def _printed(name: str) -> str:
    """A name as it can be printed; one from the command line may hold bytes that are no text."""
    return name.encode(errors="backslashreplace").decode()


def _entry(job: ReviewJob, stretch: "Stretch") -> dict[str, Any]:
    return {
        "object": stretch.object_id,
        "name": job.plan.names.get(stretch.object_id),
        "start": stretch.start,
        "stop": stretch.stop,
        "frame": stretch.frame,
        "risk": round(stretch.risk, 6),
        "worth": round(stretch.worth, 6),
        "reasons": list(stretch.reasons),
    }
