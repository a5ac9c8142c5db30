"""The files in which transformers keeps a processor's settings, and those that go with a model's name."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from keepsight.compat.sam3_tracker_video.sources import os_errors
from keepsight.errors import WeightsError
from keepsight.nn.sam2 import Sam2Config
from keepsight.weights.catalogue import find_checkpoint, known_checkpoint
from keepsight.weights.hub import Hub
from keepsight.weights.settings import read_text

__all__ = ["PROCESSOR_FILE", "stored_settings"]

PROCESSOR_FILE = "processor_config.json"
# Before transformers 5, in files of their own.
IMAGE_FILE, VIDEO_FILE = "preprocessor_config.json", "video_preprocessor_config.json"

Settings = dict[str, Any]
Reader = Callable[[str], Settings | None]


def stored_settings(name: str | os.PathLike[str], hub: Hub) -> Settings:
    """What is stored of a processor: "image_processor" and "video_processor", and perhaps other settings.

    Args:
        name: of keepsight's catalogue, or the repository of a model there, for which no file is needed; a
            folder; a JSON file; or another repository of the Hugging Face hub.
        hub: where repositories come from.

    Raises:
        PretrainedError: nothing of the kind is there, or a file is damaged (also an OSError).
        UnknownPretrainedError: no such name in the catalogue (also an OSError).
    """
    text, path = os.fspath(name), Path(name).expanduser()
    known = known_checkpoint(text) if isinstance(name, str) else None
    with os_errors():
        if known is not None and ("/" not in text or not path.exists()):
            return _settings_of(known.config)
        if path.is_file():
            return _assembled(lambda file: _read(path) if file == PROCESSOR_FILE else None, text)
        if path.exists() or not isinstance(name, str) or text.startswith(("/", "./", "../", "~")):
            return _assembled(lambda file: _read(path / file) if (path / file).is_file() else None, text)
        if "/" in text:
            return _assembled(_Repository(text, hub), text)
        return _settings_of(find_checkpoint(text).config)


class _Repository:
    """Reads files of a repository; of one that cannot be had, the reason is kept."""

    def __init__(self, name: str, hub: Hub) -> None:
        self._name, self._hub = name, hub
        self.reason: WeightsError | None = None

    def __call__(self, file: str) -> Settings | None:
        try:
            path = self._hub.file(self._name, file)
        except WeightsError as error:
            self.reason = self.reason or error
            return None
        return _read(path)


def _assembled(read: Reader, name: str) -> Settings:
    settings = read(PROCESSOR_FILE) or {}
    image = settings.get("image_processor") or read(IMAGE_FILE)
    video = settings.get("video_processor") or read(VIDEO_FILE) or image
    if video is None:
        reason: WeightsError | None = getattr(read, "reason", None)
        raise reason or WeightsError(
            f"Expected {name} to hold a processor's settings, {PROCESSOR_FILE} or {IMAGE_FILE}, but it does "
            f"not. Write them with save_pretrained, or construct the processor."
        )
    return settings | {"image_processor": image or video, "video_processor": video}


def _settings_of(config: Sam2Config) -> Settings:
    masks = 4 * config.grid
    described = {
        "size": {"height": config.image_size, "width": config.image_size},
        "mask_size": {"height": masks, "width": masks},
        "image_mean": config.mean,
        "image_std": config.std,
    }
    return {"image_processor": described, "video_processor": described}


def _read(path: Path) -> Settings:
    try:
        content = json.loads(read_text(path))
    except json.JSONDecodeError as error:
        raise WeightsError(
            f"Expected {path} to hold a processor's settings as JSON, but it does not: {error}. Replace it."
        ) from error
    if not isinstance(content, dict):
        raise WeightsError(
            f"Expected {path} to hold a processor's settings, a JSON object, but it holds "
            f"{type(content).__name__}. Replace it."
        )
    return content
