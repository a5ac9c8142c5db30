"""The checkpoint that is part of the package."""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import resources
from pathlib import Path

from keepsight.errors import WeightsError

__all__ = ["EMBEDDED_NAME", "embedded_file"]

EMBEDDED_NAME = "pocket.safetensors"


@contextmanager
def embedded_file(name: str = EMBEDDED_NAME) -> Iterator[Path]:
    """The path of a checkpoint inside the package; valid within the block (packages may be zipped).

    Raises:
        WeightsError: the installed package does not have it.
    """
    resource = resources.files("keepsight.weights").joinpath(name)
    if not resource.is_file():
        raise WeightsError(
            f"The embedded model was expected at {resource}, but the installed package does not have it. "
            f"Reinstall keepsight from its wheel (pip install --force-reinstall keepsight)."
        )
    with resources.as_file(resource) as path:
        yield path
