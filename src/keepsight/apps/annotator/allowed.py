"""The folders that may be opened."""

from collections.abc import Sequence
from pathlib import Path

from keepsight.apps.annotator.errors import ForbiddenError

__all__ = ["AllowedFolders"]


class AllowedFolders:
    """Folders in which everything may be opened; nothing is outside them.

    Args:
        folders: with all that lies below them; links are followed first.
    """

    def __init__(self, folders: Sequence[Path]) -> None:
        self._folders = [folder.expanduser().resolve() for folder in folders]

    def check(self, path: Path) -> None:
        """Refuses a path outside, wherever its links lead, and a folder with links to the outside.

        Raises:
            ForbiddenError: it lies outside, or is a folder that cannot be listed.
        """
        self._check_one(path)
        try:
            links = [entry for entry in path.iterdir() if entry.is_symlink()] if path.is_dir() else []
        except OSError as error:
            raise ForbiddenError(
                f"Expected a folder whose files may be read, but {path} cannot be listed: {error.strerror}."
            ) from error
        for link in links:
            self._check_one(link)

    def _check_one(self, path: Path) -> None:
        real = path.resolve()
        if not any(real.is_relative_to(folder) for folder in self._folders):
            listed = ", ".join(str(folder) for folder in self._folders)
            raise ForbiddenError(
                f"Expected a path in {listed}, but {path} leads to {real}. Name its folder with --allow."
            )
