"""What transformers' configuration classes have in common: shared settings, dictionaries, JSON, files."""

import copy
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import torch

from keepsight.compat.sam3_tracker_video.settings import Settings
from keepsight.compat.sam3_tracker_video.sources import hub_for, read_content
from keepsight.errors import OutputError, UsageError
from keepsight.export.files import new_file, output_errors

__all__ = ["NotAFolderError", "PretrainedConfig", "output_folder"]

C = TypeVar("C", bound="PretrainedConfig")

# Arguments that say nothing about the network; transformers does not write them either.
_DROPPED = frozenset(
    {"model_type", "_commit_hash", "attn_implementation", "experts_implementation", "_from_auto"}
)


class NotAFolderError(OutputError, AssertionError):
    """A file stands where a folder is to be written."""


class PretrainedConfig(Settings):
    """Base of the configurations; every setting is a keyword argument and an attribute.

    The attributes stated here are common to all of transformers' models and do not reach the network, but
    for `dtype`, the type that weights are loaded in.
    """

    transformers_version: str | None = None
    architectures: list[str] | None = None
    output_hidden_states: bool | None = False
    output_attentions: bool | None = False
    return_dict: bool | None = True
    dtype: torch.dtype | None = None
    chunk_size_feed_forward: int = 0
    is_encoder_decoder: bool = False
    id2label: dict[Any, Any] | None = None
    label2id: dict[Any, Any] | None = None
    problem_type: str | None = None
    _name_or_path: str = ""

    def _settle(self, rest: dict[str, Any]) -> None:
        older = rest.pop("torch_dtype", None)
        if self.dtype is None:
            self.dtype = older
        self.name_or_path = rest.pop("name_or_path", self._name_or_path)
        if self.id2label is None:
            self.id2label, self.label2id = {0: "LABEL_0", 1: "LABEL_1"}, {"LABEL_0": 0, "LABEL_1": 1}
        self.id2label = {int(row): label for row, label in self.id2label.items()}  # JSON has texts for keys
        for name in _DROPPED & rest.keys():
            del rest[name]

    @property
    def name_or_path(self) -> str:
        """What the configuration was read from."""
        return self._name_or_path

    @name_or_path.setter
    def name_or_path(self, value: object) -> None:
        self._name_or_path = str(value)

    @property
    def torch_dtype(self) -> torch.dtype | None:
        """The older name of `dtype`."""
        return self.dtype

    @torch_dtype.setter
    def torch_dtype(self, value: torch.dtype | None) -> None:
        self.dtype = value

    def __iter__(self) -> Iterator[str]:
        return iter(self._values())

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, PretrainedConfig):
            return NotImplemented
        return self.model_type == other.model_type and self._values() == other._values()

    __hash__ = None  # type: ignore[assignment]  # settings may change

    def __repr__(self) -> str:
        return f"{type(self).__name__} {self.to_json_string()}"

    def _values(self) -> dict[str, Any]:
        return dict(vars(self))

    def update(self, config_dict: Mapping[str, Any]) -> None:
        """Sets several settings."""
        for name, value in config_dict.items():
            setattr(self, name, value)

    def to_dict(self) -> dict[str, Any]:
        """Every setting by name, nested; what `from_dict` takes."""
        content = {name: _plain(value) for name, value in self._values().items()}
        return {**content, "model_type": self.model_type}

    def to_diff_dict(self) -> dict[str, Any]:
        """As `to_dict`, but settings common to all of transformers' models only where they are set."""
        return _set_apart(self.to_dict(), PretrainedConfig().to_dict())

    def to_json_string(self, use_diff: bool = True) -> str:
        """The settings as JSON, the way a `config.json` holds them.

        Args:
            use_diff: `to_diff_dict` in place of `to_dict`.
        """
        content = self.to_diff_dict() if use_diff else self.to_dict()
        return json.dumps(content, indent=2, sort_keys=True) + "\n"

    def to_json_file(self, json_file_path: str | os.PathLike[str], use_diff: bool = True) -> None:
        """Writes the JSON: complete under its name, or not at all.

        Raises:
            OutputError: it cannot be written.
        """
        path = Path(json_file_path)
        text = self.to_json_string(use_diff)
        with output_errors(path), new_file(path) as file:
            file.write(text.encode())

    def save_pretrained(self, save_directory: str | os.PathLike[str]) -> None:
        """Writes a `config.json`, which transformers reads as its own, into a folder, made if need be.

        Raises:
            OutputError: it cannot be written; for a file in the folder's place also an AssertionError.
        """
        self.to_json_file(output_folder(save_directory) / "config.json")

    @classmethod
    def from_dict(cls, config_dict: Mapping[str, Any], **kwargs: Any) -> Any:
        """A configuration from its settings.

        Args:
            config_dict: what `to_dict` gives.
            **kwargs: settings that replace others; a mapping changes single ones of a nested configuration.
                With `return_unused_kwargs` those that are no settings are returned too.

        Returns:
            The configuration, or it and the mapping of unused arguments.

        Raises:
            UsageError: as the constructor.
        """
        both = kwargs.pop("return_unused_kwargs", False)
        config = cls(**config_dict)
        unused = {name: value for name, value in kwargs.items() if name not in _DROPPED}
        for name in [name for name in unused if hasattr(config, name)]:
            value, now = unused.pop(name), getattr(config, name)
            if isinstance(now, PretrainedConfig) and isinstance(value, Mapping):
                value = type(now)(**{**now.to_dict(), **value})
            if not (name in ("dtype", "torch_dtype") and value == "auto"):
                setattr(config, name, value)
        return (config, unused) if both else config

    @classmethod
    def from_json_file(cls: type[C], json_file: str | os.PathLike[str]) -> C:
        """A configuration from a JSON file.

        Raises:
            PretrainedError: the file is missing or is no JSON (also an OSError).
        """
        return cls(**read_content(Path(json_file)))

    @classmethod
    def from_pretrained(
        cls,
        pretrained_model_name_or_path: str | os.PathLike[str],
        cache_dir: str | os.PathLike[str] | None = None,
        **kwargs: Any,
    ) -> Any:
        """A configuration by name.

        Args:
            pretrained_model_name_or_path: a folder that has a `config.json`, such a file, a catalogue name
                ("sam3", "sam2.1_hiera_tiny", "pocket"), or a Hugging Face repository.
            cache_dir: the folder that downloads are kept in.
            **kwargs: as for `from_dict`, and the download options of `hub_for`.

        Returns:
            As `from_dict`.

        Raises:
            PretrainedError: there is no such file or repository, or it is no JSON (also an OSError).
            UnknownPretrainedError: there is no such name in the catalogue (also an OSError).
            UsageError: it describes another kind of model; a setting or option that is not supported.
        """
        hub = hub_for(pretrained_model_name_or_path, cache_dir, kwargs)
        content = read_content(pretrained_model_name_or_path, hub)
        return cls.from_dict(cls.part_of(content, str(pretrained_model_name_or_path)), **kwargs)

    @classmethod
    def part_of(cls, content: Mapping[str, Any], source: str) -> Mapping[str, Any]:
        """The settings of this class in a file: all of them, or a nested part.

        Args:
            content: of the file; without a `model_type` it is taken as it is.
            source: what messages call it.

        Raises:
            UsageError: it is of another kind.
        """
        named = content.get(cls.base_config_key) if cls.base_config_key else None
        for inner in (named, content, *content.values()):
            if isinstance(inner, Mapping) and inner.get("model_type") == cls.model_type:
                return inner
        found = content.get("model_type")
        if found is None:
            return named if isinstance(named, Mapping) else content
        other = Settings.kinds.get(found)
        act = f"Use {other.__name__}" if other else "Name a repository of SAM 3's or SAM 2's video weights"
        raise UsageError(
            f"Expected {source} to describe a model of type {cls.model_type!r}, but it is of type {found!r}. "
            f"{act}."
        )


def output_folder(folder: str | os.PathLike[str]) -> Path:
    """A folder to write to, made with its parents if it is not there.

    Raises:
        OutputError: it cannot be made; for a file in its place also an AssertionError.
    """
    path = Path(folder)
    if path.is_file():
        raise NotAFolderError(
            f"Expected the path of a folder to write to, but {path} is a file. Pass a folder; the files in "
            f"it get the names config.json and model.safetensors."
        )
    with output_errors(path):
        path.mkdir(parents=True, exist_ok=True)
    return path


def _plain(value: Any) -> Any:
    """What JSON can say; nothing in it belongs to the configuration."""
    if isinstance(value, PretrainedConfig):
        return {name: item for name, item in value.to_dict().items() if name != "transformers_version"}
    if isinstance(value, torch.dtype):
        return str(value).removeprefix("torch.")
    return [_plain(item) for item in value] if isinstance(value, tuple) else copy.deepcopy(value)


def _set_apart(content: Mapping[str, Any], common: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that differ from the common ones, of nested configurations too."""
    return {
        name: _set_apart(value, common) if isinstance(value, Mapping) and "model_type" in value else value
        for name, value in content.items()
        if name != "_name_or_path" and (name == "model_type" or name not in common or value != common[name])
    }
