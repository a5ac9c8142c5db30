"""From what a user typed or stored to what the tracker is told: who is meant, where, on which frame."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path

import numpy as np

from keepsight.errors import FrameIndexError, PromptError, UsageError
from keepsight.types import Box, Mask, Points, Prompt

__all__ = ["Entry", "PromptPlan", "check_plan", "make_plan", "mask_entries", "read_mask", "typed_entries"]


@dataclass(frozen=True, eq=False)
class Entry:
    """One thing said about one object on one frame.

    Attributes:
        origin: where it was said, for messages, such as "'a.json', entry 2".
        frame: the frame's number.
        object_id: the object's number, or None to have one chosen.
        name: the object's name, or None.
        box: its box.
        points: clicks.
        mask: its mask; excludes box and points.
    """

    origin: str
    frame: int = 0
    object_id: int | None = None
    name: str | None = None
    box: Box | None = None
    points: Points | None = None
    mask: Mask | None = None

    def prompt(self) -> Prompt:
        """The entry as the tracker takes it.

        Raises:
            PromptError: nothing was said, or a mask was joined with points or a box.
        """
        parts = [part for part in (self.box, self.points) if part is not None]
        if self.mask is not None and not parts:
            return self.mask
        if self.mask is not None or not parts:
            raise PromptError(
                f"{self.origin}: expected a box, points, both, or a mask alone, but got "
                f"{'a mask with a box or points' if parts else 'none of them'}."
            )
        return parts[0] if len(parts) == 1 else parts


@dataclass(frozen=True, eq=False)
class PromptPlan:
    """All prompts of one run.

    Attributes:
        prompts: frame number to object id to prompt.
        names: object id to name, for the objects that have one.
        origins: (frame, object id) to where the prompt was said.
    """

    prompts: dict[int, dict[int, Prompt]] = field(default_factory=dict)
    names: dict[int, str] = field(default_factory=dict)
    origins: dict[tuple[int, int], str] = field(default_factory=dict)

    @property
    def ids(self) -> set[int]:
        """The objects that are prompted, on whatever frame."""
        return {number for _, number in self.origins}


def make_plan(entries: Sequence[Entry]) -> PromptPlan:
    """Gives every entry its object id and sorts the prompts by frame.

    An entry without a number takes the number of its name if that was met on another frame, else the
    lowest free one.

    Raises:
        PromptError: no entries, one object prompted twice on one frame, two objects of one name, or one
            object of two names.
    """
    if not entries:
        raise PromptError("Expected at least one prompt to say what to track, but got none.")
    plan = PromptPlan()
    taken = {entry.object_id for entry in entries}
    ids = {entry.name: entry.object_id for entry in entries if entry.name and entry.object_id is not None}
    for entry in entries:
        number = entry.object_id
        if number is None and entry.name:
            number = ids.get(entry.name)
        if number is None:
            number = next(free for free in count(1) if free not in taken)
            taken.add(number)
        if entry.name:
            ids.setdefault(entry.name, number)
            _claim_name(plan, entry, number)
        _add(plan, entry, number)
    return plan


def _claim_name(plan: PromptPlan, entry: Entry, number: int) -> None:
    holder = next((known for known, name in plan.names.items() if name == entry.name), number)
    if holder != number:
        raise PromptError(
            f"{entry.origin}: the name '{entry.name}' already belongs to object {holder}; names must differ."
        )
    if entry.name and plan.names.setdefault(number, entry.name) != entry.name:
        raise PromptError(
            f"{entry.origin}: object {number} is already called '{plan.names[number]}', not '{entry.name}'."
        )


def _add(plan: PromptPlan, entry: Entry, number: int) -> None:
    key = (entry.frame, number)
    if key in plan.origins:
        who = f"object name '{entry.name}'" if entry.name else f"object {number}"
        raise PromptError(
            f"{entry.origin}: duplicate {who} on frame {entry.frame}, first said by "
            f"{plan.origins[key]}. Give every object a name or number of its own."
        )
    plan.origins[key] = entry.origin
    plan.prompts.setdefault(entry.frame, {})[number] = entry.prompt()


def check_plan(plan: PromptPlan, width: int, height: int, frame_count: int | None) -> None:
    """Holds every prompt against the video before any work starts.

    Args:
        plan: the prompts.
        width: of a frame, in pixels.
        height: of a frame, in pixels.
        frame_count: of the video, or None where it is not known.

    Raises:
        FrameIndexError: a prompt on a frame that does not exist.
        PromptError: a box or click outside the frame, or a mask of another size.
    """
    from keepsight.session.clicks import Clicks

    for (frame, number), origin in plan.origins.items():
        if frame_count is not None and frame >= frame_count:
            raise FrameIndexError(
                f"{origin}: a prompt on frame {frame}, but the video has the frames 0 to {frame_count - 1}."
            )
        try:
            Clicks.of(plan.prompts[frame][number], (height, width))
        except PromptError as error:
            raise PromptError(f"{origin}: {error}") from error


def read_mask(path: Path, origin: str) -> dict[int, Mask]:
    """The objects of a mask image: in a palette image every non-zero value, else one object, number 1.

    Raises:
        PromptError: no such image, unreadable, no object pixel in it, or several grey values, which
            could be a soft edge as well as several objects.
    """
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path) as image:
            palette = image.mode == "P"
            values = np.asarray(image if palette or len(image.getbands()) == 1 else image.convert("L"))
    except FileNotFoundError as error:
        raise PromptError(f"{origin}: there is no mask file '{path}'.") from error
    except (UnidentifiedImageError, OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise PromptError(f"{origin}: expected a PNG mask, but '{path}' cannot be read ({error}).") from error
    numbers = [int(value) for value in np.unique(values) if value]
    if not numbers:
        raise PromptError(f"{origin}: the mask '{path}' is empty; mark the object with a value above 0.")
    if palette:
        return {number: Mask(values == number) for number in numbers}
    if len(numbers) > 1:
        raise PromptError(
            f"{origin}: '{path}' holds {len(numbers)} grey values above 0. Expected 0 and one other value "
            f"for one object, or a palette PNG with one value per object."
        )
    return {1: Mask(values > 0)}


def mask_entries(path: Path, frame: int, origin: str) -> list[Entry]:
    """One entry per object of a mask image; several objects keep their values as numbers."""
    masks = read_mask(path, origin)
    return [
        Entry(origin, frame, number if len(masks) > 1 else None, mask=mask) for number, mask in masks.items()
    ]


def typed_entries(boxes: Sequence[str], points: Sequence[str], frame: int) -> list[Entry]:
    """The entries of `--box x1,y1,x2,y2[,name]` and `--point x,y[,label[,object]]`.

    A click joins the box that it names or numbers (the first box is 1); otherwise it founds an object.

    Raises:
        UsageError: a text of another form, or two boxes of one name.
    """
    found: dict[str, Entry] = {}
    numbers: dict[str, str] = {}
    for number, text in enumerate(boxes, 1):
        box, name = _typed_box(text)
        if name and numbers.setdefault(name, str(number)) != str(number):
            raise UsageError(f"--box {text}: the name '{name}' is given twice; every object needs its own.")
        found[str(number)] = Entry(f"--box {text}", frame, None, name or None, box=box)
    clicks: dict[str, list[tuple[float, float, int]]] = {}
    for text in points:
        x, y, label, who = _typed_point(text)
        clicks.setdefault(numbers.get(who, who), []).append((x, y, label))
    for who, marks in clicks.items():
        points_of = Points([mark[:2] for mark in marks], [mark[2] for mark in marks])
        founded = Entry(
            f"--point of object {who}",
            frame,
            int(who) if who.isdecimal() else None,
            None if who.isdecimal() else who,
        )
        found[who] = replace(found.get(who, founded), points=points_of)
    return list(found.values())


def _typed_box(text: str) -> tuple[Box, str]:
    *edges, name = [*text.split(",", 4), ""][:5]
    try:
        x1, y1, x2, y2 = (float(edge) for edge in edges)
        return Box(x1, y1, x2, y2), name.strip()
    except PromptError as error:
        raise UsageError(f"--box {text}: {error}") from error
    except ValueError as error:
        raise UsageError(
            f"--box {text}: expected x1,y1,x2,y2 or x1,y1,x2,y2,name, as in --box 10,20,200,300,dog."
        ) from error


def _typed_point(text: str) -> tuple[float, float, int, str]:
    x, y, label, who = [*text.split(",", 3), "", "", ""][:4]
    try:
        mark = float(x), float(y), int(label or 1), who.strip() or "1"
    except ValueError as error:
        raise UsageError(
            f"--point {text}: expected x,y or x,y,label or x,y,label,object, as in --point 50,60,1,dog."
        ) from error
    if mark[2] not in (0, 1) or mark[3] == "0" or not np.isfinite(mark[:2]).all():
        raise UsageError(
            f"--point {text}: expected pixels, a label of 1 (on the object) or 0 (beside it), and an "
            f"object counted from 1."
        )
    return mark
