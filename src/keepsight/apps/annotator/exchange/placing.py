"""Which frames the files of an annotation belong to, by their names."""

import re
from collections.abc import Iterator, Sequence

from keepsight.apps.annotator.clip import Clip
from keepsight.errors import AnnotationError

__all__ = ["file_stems", "frames_of"]

_DIGITS = re.compile(r"[0-9]+")
LONGEST_NUMBER = 15

Places = list[int | None]
"""A frame number per file; None where the video has no such frame."""


def frames_of(names: Sequence[str], clip: Clip) -> Places:
    """The frames that files belong to; endings and leading folders do not count.

    Names are read in four ways: as those of the video's images, by the numbers in these, as frame numbers,
    and as one name a frame in order. The first that fits them all is taken; where none does, since there are
    files of frames that the video does not have, the first by which any, or else their numbers, say a frame.

    Args:
        names: in natural order; a name may come again.
        clip: the video.

    Raises:
        AnnotationError: no way fits, or two files are of one frame.
    """
    numbers = [_number_in(_stem(name)) for name in names]
    ways = [_by_name(names, clip), _by_image_number(numbers, clip), _by_number(numbers, clip)]
    ordered: Places = list(range(clip.frames)) if len(names) == clip.frames else [None]
    fitting = next((places for places in (*ways, ordered) if None not in places), None)
    if fitting is None:
        fitting = next((places for places in ways[:2] if any(p is not None for p in places)), None)
    if fitting is None:
        if None in numbers:
            raise AnnotationError(_unplaced(names, numbers, clip))
        fitting = ways[2]
    _require_one_a_frame(names, fitting)
    return fitting


def file_stems(clip: Clip) -> tuple[str, ...] | None:
    """The names of a video's images without their endings; None where these do not tell all frames apart."""
    stems = tuple(_stem(name) for name in clip.info.file_names or ())
    return stems if stems and len(set(stems)) == len(stems) else None


def _by_name(names: Sequence[str], clip: Clip) -> Places:
    files = {name: frame for frame, name in enumerate(clip.info.file_names or ())}
    stems = {stem: frame for frame, stem in enumerate(file_stems(clip) or ())}

    def frame_of(name: str) -> int | None:
        whole = (files[tail] for tail in _tails(name) if tail in files)
        return next(whole, next((stems[tail] for tail in _tails(_stem(name)) if tail in stems), None))

    return [frame_of(name) for name in names]


def _by_image_number(numbers: Sequence[int | None], clip: Clip) -> Places:
    there = {_number_in(stem): frame for frame, stem in enumerate(file_stems(clip) or ())}
    if None in there or len(there) != len(clip.info.file_names or ()):
        return [None] * len(numbers)
    return [there.get(number) for number in numbers]


def _by_number(numbers: Sequence[int | None], clip: Clip) -> Places:
    return [number if number is not None and number < clip.frames else None for number in numbers]


def _require_one_a_frame(names: Sequence[str], places: Places) -> None:
    first: dict[int, str] = {}
    for name, frame in zip(names, places, strict=True):
        if frame is not None and first.setdefault(frame, name) != name:
            raise AnnotationError(
                f"Expected files of one video, one a frame, but {first[frame]!r} and {name!r} are both of "
                f"frame {frame}. Leave one of them."
            )


def _unplaced(names: Sequence[str], numbers: Sequence[int | None], clip: Clip) -> str:
    stranger = names[numbers.index(None)]
    files = clip.info.file_names
    known = f"the video's images, such as {files[0]!r}" if files else "the frame numbers, such as '00000'"
    return (
        f"Expected files named after {known}, or one for each of the {clip.frames} frames, but got "
        f"{len(names)} with names such as {stranger!r}. Rename them, or open the video that they belong to."
    )


def _tails(name: str) -> Iterator[str]:
    """A path, and what is left of it without its first folders."""
    parts = name.replace("\\", "/").split("/")
    return ("/".join(parts[start:]) for start in range(len(parts)))


def _stem(name: str) -> str:
    """A path without its ending."""
    folder, slash, file = name.replace("\\", "/").rpartition("/")
    return folder + slash + (file.rpartition(".")[0] or file)


def _number_in(stem: str) -> int | None:
    """The last number in a file's name, such as 12 in "a/frame_00012"."""
    found = _DIGITS.findall(stem.rpartition("/")[2])
    return int(found[-1]) if found and len(found[-1]) <= LONGEST_NUMBER else None
