"""Lists of folders and pictures, in the order people number them."""

import re
from pathlib import Path

from keepsight.errors import SourceError

__all__ = ["folders_in", "pictures_in"]

SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".webp"}


def pictures_in(folder: Path) -> tuple[Path, ...]:
    """The image files of a folder; 2.jpg comes before 10.jpg.

    Raises:
        SourceError: the folder does not exist, cannot be listed or has no pictures.
    """
    try:
        found = [path for path in folder.iterdir() if _is_picture(path)]
    except OSError as error:
        raise SourceError(
            f"Expected a folder of images, but '{folder}' cannot be listed: {error.strerror}. "
            f"Complete the dataset."
        ) from error
    if not found:
        raise SourceError(f"Expected images in '{folder}', but there are none. Complete the dataset.")
    return tuple(sorted(found, key=_natural))


def folders_in(folder: Path) -> list[Path]:
    """The folders of a folder that are not hidden, in order.

    Raises:
        SourceError: it does not exist or cannot be listed.
    """
    try:
        found = [path for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")]
    except OSError as error:
        raise SourceError(
            f"Expected a dataset's folder, but '{folder}' cannot be listed: {error.strerror}. Check the path."
        ) from error
    return sorted(found, key=_natural)


def _is_picture(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".")


def _natural(path: Path) -> list[tuple[bool, int, str]]:
    parts = re.findall(r"[0-9]+|[^0-9]+", path.name)
    return [(part.isdecimal(), int(part) if part.isdecimal() else 0, part) for part in parts]
