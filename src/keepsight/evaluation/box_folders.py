"""Readers of folders with lists of boxes.

    LaSOT    CLASS/CLASS-1/img/00000001.jpg     groundtruth.txt, full_occlusion.txt, out_of_view.txt
    GOT-10k  SEQUENCE/00000001.jpg              groundtruth.txt, absence.label
    OTB      SEQUENCE/img/0001.jpg              groundtruth_rect.txt, or groundtruth_rect.1.txt and so on

Folders of classes may be there or not. LaSOT's and OTB's lists may use commas, tabs or spaces.
"""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from keepsight.errors import AnnotationError
from keepsight.evaluation.listing import folders_in, pictures_in
from keepsight.evaluation.sequence import BoxSequence

__all__ = ["Listed", "box_sequences"]

DEPTH = 2  # folders of classes, folders of sequences
IMAGES = "img"
LIST, RECTANGLES = "groundtruth.txt", "groundtruth_rect"
LASOT_ABSENCES = ("full_occlusion.txt", "out_of_view.txt")
GOT_ABSENCES = ("absence.label",)

# In these folders OTB has more frames than its lists have boxes; the frames that belong to them.
OTB_SPANS = {
    "david": (299, 770),
    "diving": (0, 215),
    "football1": (0, 74),
    "freeman3": (0, 460),
    "freeman4": (0, 283),
}


class Listed(NamedTuple):
    """A sequence and whose layout it has.

    Attributes:
        layout: "LaSOT", "GOT-10k" or "OTB".
        sequence: frames and truth.
    """

    layout: str
    sequence: BoxSequence


def box_sequences(root: Path) -> list[Listed]:
    """All sequences with lists of boxes in a folder, two folders deep at most.

    Args:
        root: a benchmark's folder, or a single sequence's.

    Returns:
        In the order of their folders; empty if there are none.

    Raises:
        SourceError: a folder cannot be listed, or a sequence has no frames.
        AnnotationError: a folder with frames has no list of boxes.
    """
    found = list(_search(root, DEPTH))
    times = Counter(listed.sequence.name for listed in found)
    return [listed if times[listed.sequence.name] == 1 else _told_apart(listed, root) for listed in found]


def _search(folder: Path, depth: int) -> Iterator[Listed]:
    here = list(_sequences_of(folder))
    yield from here
    if not here and depth:
        for inner in folders_in(folder):
            yield from _search(inner, depth - 1)


def _sequences_of(folder: Path) -> Iterator[Listed]:
    images = folder / IMAGES
    if (folder / LIST).is_file():
        layout, absences = ("LaSOT", LASOT_ABSENCES) if images.is_dir() else ("GOT-10k", GOT_ABSENCES)
        flags = tuple(folder / name for name in absences if (folder / name).is_file())
        frames = pictures_in(images if images.is_dir() else folder)
        yield Listed(layout, BoxSequence(folder.name, frames, folder / LIST, flags))
        return
    # Several lists are several objects of one video, each a sequence of its own in OTB.
    lists = sorted(folder.glob(f"{RECTANGLES}*.txt"))
    for path in lists:
        name = folder.name + path.stem.removeprefix(RECTANGLES)
        yield Listed("OTB", BoxSequence(name, _otb_frames(folder.name, pictures_in(images)), path))
    if not lists and images.is_dir():
        raise AnnotationError(
            f"Expected '{folder}' to hold {LIST} (LaSOT) or {RECTANGLES}.txt (OTB) beside its {IMAGES} "
            f"folder, but it has neither. Complete the download, or move the folder away."
        )


def _otb_frames(name: str, frames: tuple[Path, ...]) -> tuple[Path, ...]:
    start, stop = OTB_SPANS.get(name.lower(), (0, len(frames)))
    return frames[start:stop] if len(frames) >= stop else frames


def _told_apart(listed: Listed, root: Path) -> Listed:
    one = listed.sequence
    place = one.listing.parent.relative_to(root).as_posix()
    return Listed(
        listed.layout, BoxSequence(f"{place}/{one.listing.stem}", one.frames, one.listing, one.absences)
    )
