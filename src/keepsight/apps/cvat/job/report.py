"""What a run did, or would do, as a table and a few sentences."""

from collections.abc import Collection

from rich.box import SIMPLE
from rich.table import Table

from keepsight.apps.cvat.job.course import Becomes, Course
from keepsight.apps.cvat.job.labeled import Track
from keepsight.apps.cvat.job.run import Outcome

__all__ = ["sentences", "table_of"]


def table_of(outcome: Outcome) -> Table:
    """One line per object."""
    table = Table(box=SIMPLE, padding=(0, 1, 0, 0))
    columns = ["object", "type", "becomes", "frames to track", "by hand, kept", "of keepsight's, replaced"]
    for column in [*columns, "seen on", "gone on"] if outcome.changes is not None else columns:
        table.add_column(column)
    for number, course in enumerate(outcome.courses):
        becomes = course.becomes.value
        if course.becomes is Becomes.shapes:
            becomes += f", group {course.group}"
        hand = sorted(figure.frame for figure in course.hand)
        row = [course.subject.name, course.start.kind, becomes, spoken(course.write), spoken(hand)]
        row.append(str(_replaced(course)))
        if outcome.changes is not None:
            gone = sum(figure.outside for figure in outcome.found[number].values())
            row += [str(len(outcome.found[number]) - gone), str(gone)]
        table.add_row(*row)
    return table


def sentences(outcome: Outcome) -> list[str]:
    """What else there is to say."""
    said = list(outcome.notes)
    changes = outcome.changes
    if changes is None:
        return [*said, "Nothing was tracked or written."]
    if not changes:
        return [*said, f"Nothing had to be changed: {outcome.place}"]
    counts = {
        "new track": len(changes.new_tracks),
        "new shape": len(changes.new_shapes),
        "changed track": len(changes.tracks),
        "changed shape": len(changes.shapes),
        "deleted shape": len(changes.gone),
    }
    made = ", ".join(f"{count} {what}{'s' * (count != 1)}" for what, count in counts.items() if count)
    return [*said, f"Written: {made}: {outcome.place}"]


def spoken(frames: Collection[int]) -> str:
    """How many frames, and from which to which."""
    if not frames:
        return "none"
    if len(frames) == 1:
        return f"1 ({min(frames)})"
    return f"{len(frames)} ({min(frames)} to {max(frames)})"


def _replaced(course: Course) -> int:
    item = course.subject.item
    if isinstance(item, Track):
        return sum(figure.frame in course.write for figure in item.keyframes)
    return sum(len(shapes) for shapes in course.own.values())
