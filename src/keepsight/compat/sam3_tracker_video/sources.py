"""Where configurations and weights are read from, with errors of the types that transformers raises there."""

import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from keepsight.compat.sam3_tracker_video.description import describe
from keepsight.errors import UnknownModelError, UsageError, WeightsError
from keepsight.weights.catalogue import find_checkpoint, known_checkpoint
from keepsight.weights.hub import Hub
from keepsight.weights.settings import read_text

__all__ = ["PretrainedError", "UnknownPretrainedError", "hub_for", "os_errors", "read_content"]

_REPOSITORY = re.compile(r"[\w.-]+/[\w.-]+")
# Values of transformers' download options that ask for what is done anyway.
_HARMLESS: dict[str, tuple[object, ...]] = {
    "revision": (None, "main"),
    "token": (None, True, False),
    "force_download": (None, False),
    "local_files_only": (None, False),
    "proxies": (None,),
    "subfolder": (None, ""),
}


class PretrainedError(WeightsError, OSError):
    """A configuration or checkpoint is missing, cannot be fetched or is damaged."""


class UnknownPretrainedError(UnknownModelError, OSError):
    """The catalogue has no model of this name."""


@contextmanager
def os_errors() -> Iterator[None]:
    """Makes every `WeightsError` of the block an `OSError` too."""
    try:
        yield
    except UnknownModelError as error:
        raise UnknownPretrainedError(str(error)) from error
    except WeightsError as error:
        raise PretrainedError(str(error)) from error


def hub_for(
    name: str | os.PathLike[str],
    cache_dir: str | os.PathLike[str] | None = None,
    options: dict[str, Any] | None = None,
) -> Hub:
    """Where repositories come from, for the download options of transformers' `from_pretrained`.

    Args:
        name: what is to be loaded. For a path that exists only `subfolder` matters.
        cache_dir: the folder that downloads are kept in; the library's own when omitted.
        options: `revision`, `token`, `force_download`, `local_files_only`, `proxies` and `subfolder` are
            taken out of it; the rest stays.

    Raises:
        UsageError: one of them has a value that is not supported.
    """
    options = {} if options is None else options
    asked = {option: options.pop(option) for option in _HARMLESS if option in options}
    local = Path(name).expanduser().exists()
    for option, value in asked.items():
        if value not in _HARMLESS[option] and not (local and option != "subfolder"):
            raise UsageError(
                f"Expected {option} to be left out, but got {value!r}: keepsight takes files from the cache "
                f"or fetches the newest, with the token of `hf auth login` or HF_TOKEN. For others run "
                f"`hf download` with this option, and pass the folder."
            )
    return Hub(cache=None if cache_dir is None else Path(cache_dir))


def read_content(name: str | os.PathLike[str], hub: Hub | None = None) -> dict[str, Any]:
    """The settings in a `config.json`.

    Args:
        name: a folder that has one, such a file, a catalogue name, or a Hugging Face repository.
        hub: where repositories come from.

    Raises:
        PretrainedError: it is missing or cannot be fetched, or is no JSON (also an OSError).
        UnknownPretrainedError: no such name in the catalogue (also an OSError).
    """
    with os_errors():
        located = _locate(name, hub or Hub())
        if isinstance(located, dict):
            return located
        try:
            content = json.loads(read_text(located))
        except json.JSONDecodeError as error:
            raise WeightsError(
                f"{located} is not valid JSON ({error}). Pass a folder with transformers' config.json."
            ) from error
        if not isinstance(content, dict):
            raise WeightsError(
                f"Expected {located} to hold settings by name, but it holds a {type(content).__name__}. Pass "
                f"a folder with transformers' config.json."
            )
        return content


def _locate(name: str | os.PathLike[str], hub: Hub) -> Path | dict[str, Any]:
    """The file, or the settings of a catalogue entry; found in the same order as weights are."""
    text, path = os.fspath(name), Path(name).expanduser()
    checkpoint = known_checkpoint(text) if isinstance(name, str) else None
    if checkpoint is not None and ("/" not in text or not path.exists()):
        return describe(checkpoint.config)
    if path.is_dir():
        return path / "config.json"
    if path.exists() or not isinstance(name, str):
        return path
    if _REPOSITORY.fullmatch(text) and not text.startswith("."):
        return hub.file(text, "config.json")
    if "/" in text or path.suffix == ".json":
        return path  # reading it says that it is missing
    return describe(find_checkpoint(text).config)
