"""Reader of the DAVIS folder layout.

JPEGImages/480p/SEQUENCE/00000.jpg      or without the folder of the resolution
Annotations/480p/SEQUENCE/00000.png     black and white (2016) or numbers of objects (2017)
ImageSets/2017/val.txt                  may be absent: the sequences of each split
"""

from pathlib import Path

from keepsight.errors import AnnotationError, SourceError, UsageError
from keepsight.evaluation.listing import folders_in, pictures_in
from keepsight.evaluation.sequence import MaskSequence

__all__ = ["davis_sequences", "is_davis"]

FRAMES, LABELS, SETS = "JPEGImages", "Annotations", "ImageSets"
RESOLUTIONS = ("480p", "Full-Resolution", "1080p")
EDITIONS = ("2017", "2016", "480p", ".")  # folders of ImageSets, newest first
DEFAULT_SPLIT = "val"


def is_davis(root: Path) -> bool:
    """Whether a folder looks like one of DAVIS' layout."""
    return (root / FRAMES).is_dir() or (root / LABELS).is_dir()


def davis_sequences(root: Path, split: str | None = None) -> tuple[MaskSequence, ...]:
    """The sequences of a DAVIS folder, by name; only lists of files are read.

    Args:
        root: the folder with JPEGImages and Annotations.
        split: a list of ImageSets, such as "train"; "val" where it exists, else all, if None.

    Raises:
        SourceError: a folder is missing or empty.
        AnnotationError: the frames of a sequence are not those of its annotations.
        UsageError: there is no such split.
    """
    frames, labels = _part(root, FRAMES), _part(root, LABELS)
    folders = {folder.name: folder for folder in folders_in(frames)}
    names = _split_names(root, split)
    chosen = list(folders) if names is None else names
    if not chosen:
        raise SourceError(f"Expected sequences in '{frames}', but it has no folders. Complete the dataset.")
    return tuple(_sequence(name, frames / name, labels / name) for name in chosen)


def _part(root: Path, name: str) -> Path:
    folder = root / name
    if not folder.is_dir():
        raise SourceError(
            f"Expected the folders {FRAMES} and {LABELS} in '{root}', but {name} is missing. Complete the "
            f"dataset, or name the folder that holds both."
        )
    return next((folder / part for part in RESOLUTIONS if (folder / part).is_dir()), folder)


def _split_names(root: Path, split: str | None) -> list[str] | None:
    """The names of a split, or None for all sequences."""
    lists = [root / SETS / edition / f"{split or DEFAULT_SPLIT}.txt" for edition in EDITIONS]
    found = next((path for path in lists if path.is_file()), None)
    if found is None:
        if split is None:
            return None
        known = sorted({path.stem for path in (root / SETS).rglob("*.txt")})
        raise UsageError(
            f"Expected a split of '{root / SETS}', one of {', '.join(known) or 'none at all'}, but got "
            f"{split!r}. Choose one of these, or leave --split out."
        )
    try:
        lines = found.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise SourceError(f"Expected a list of sequences, but '{found}' cannot be read: {error}.") from error
    # A line is a name (2017), or an image and its annotation (2016): then the name is the image's folder.
    firsts = [line.split()[0] for line in lines if line.strip()]
    return list(dict.fromkeys(Path(first).parent.name or first for first in firsts))


def _sequence(name: str, frame_folder: Path, label_folder: Path) -> MaskSequence:
    frames, labels = pictures_in(frame_folder), pictures_in(label_folder)
    if [path.stem for path in frames] != [path.stem for path in labels]:
        alone = sorted({path.stem for path in frames} ^ {path.stem for path in labels})
        raise AnnotationError(
            f"Expected an annotation for every frame of sequence '{name}', but it has {len(frames)} frames "
            f"and {len(labels)} annotations; {', '.join(alone[:3])}{', ...' if len(alone) > 3 else ''} "
            f"without a partner. Complete the download; a benchmark's hidden test part cannot be scored here."
        )
    return MaskSequence(name, frames, labels)
