"""Settings as annotated attributes, whose types are checked whenever they are set."""

import inspect
from collections.abc import Mapping
from types import UnionType
from typing import Any, ClassVar, NamedTuple, Union, get_args, get_origin

import torch

from keepsight.errors import UsageError

__all__ = ["ConfigurationError", "Settings", "UnknownKindError", "listed", "part"]


class ConfigurationError(UsageError, TypeError):
    """A setting has a value of another type than it must have."""


class UnknownKindError(UsageError, KeyError):
    """A nested configuration is of a `model_type` that is not known here."""

    def __str__(self) -> str:
        # KeyError shows its message as a quoted key.
        return str(self.args[0])


class _Listed(tuple[Any, ...]):
    """The default of a setting that is a list."""


class _Part(NamedTuple):
    """The default of a nested configuration."""

    kind: "type[Settings]"
    by_type: bool


def listed(*items: Any) -> Any:
    """The default of a setting that is a list; items that are tuples become lists too. None stands for it."""
    return _Listed(items)


def part(kind: "type[Settings]", *, by_type: bool = False) -> Any:
    """The default of a setting that is a nested configuration. None stands for it.

    Args:
        kind: its class.
        by_type: whether a mapping's `model_type` may ask for another class.
    """
    return _Part(kind, by_type)


class _Setting(NamedTuple):
    """What may be set under a name."""

    hint: Any
    default: Any

    def start(self) -> Any:
        """A default that belongs to one configuration alone."""
        if isinstance(self.default, _Part):
            return self.default.kind()
        return _lists(self.default) if isinstance(self.default, _Listed) else self.default

    def accepted(self, path: str, value: Any) -> Any:
        """The value as it is kept.

        Raises:
            ConfigurationError: it has the wrong type.
            UnknownKindError: it asks for a nested configuration of an unknown type.
        """
        if value is None and isinstance(self.default, _Part | _Listed):
            return self.start()
        if isinstance(self.default, _Part):
            return _nested(self.default, path, value)
        if self.hint == torch.dtype | None:
            return _dtype(path, value)
        if not _fits(value, self.hint):
            wanted = self.hint.__name__ if isinstance(self.hint, type) else str(self.hint)
            raise ConfigurationError(
                f"Expected {path} to be of type {wanted}, but got {value!r} of type {type(value).__name__}. "
                f"Correct it, or leave it out for its default."
            )
        return value


class Settings:
    """Base of classes that state their settings as annotated attributes with defaults.

    Args:
        **values: the settings. Those that a class does not state become attributes all the same.

    Raises:
        UsageError: a positional argument, a setting of the wrong type (`ConfigurationError`, also a
            TypeError), or a nested `model_type` that is not known (`UnknownKindError`, also a KeyError).
    """

    model_type: ClassVar[str] = ""
    base_config_key: ClassVar[str] = ""
    kinds: ClassVar[dict[str, "type[Settings]"]] = {}
    _settings: ClassVar[dict[str, _Setting]] = {}

    def __init_subclass__(cls) -> None:
        cls._settings = {}
        for owner in reversed(cls.__mro__):
            for name, hint in inspect.get_annotations(owner).items():
                origin: Any = get_origin(hint)
                if origin is not ClassVar:
                    cls._settings[name] = _Setting(hint, getattr(cls, name))
        if cls.model_type:
            Settings.kinds[cls.model_type] = cls

    def __init__(self, *arguments: Any, **values: Any) -> None:
        if arguments:
            raise UsageError(
                f"{type(self).__name__} takes settings by name only, but got {len(arguments)} without one. "
                f"Write {type(self).__name__}(name=value)."
            )
        for name, setting in self._settings.items():
            setattr(self, name, values.pop(name) if name in values else setting.start())
        self._settle(values)
        for name, value in values.items():
            setattr(self, name, value)

    def __setattr__(self, name: str, value: Any) -> None:
        setting = self._settings.get(name)
        kept = setting.accepted(f"{type(self).__name__}.{name}", value) if setting else value
        super().__setattr__(name, kept)

    def _settle(self, rest: dict[str, Any]) -> None:
        """Takes out of `rest` what has another name or no meaning here; the settings are there already."""


def _nested(default: _Part, path: str, value: Any) -> Settings:
    """A nested configuration from one of ours, a mapping, or one of transformers' objects."""
    if isinstance(value, Settings):
        return value
    content = value.to_dict() if callable(getattr(value, "to_dict", None)) else value
    if not isinstance(content, Mapping):
        raise ConfigurationError(
            f"Expected {path} to be a mapping, a configuration or None, but got {value!r} of type "
            f"{type(value).__name__}. Correct it, or leave it out for its default."
        )
    asked = content.get("model_type") if default.by_type else None
    if asked is None:
        return default.kind(**content)
    key = default.kind.base_config_key
    known = {name: kind for name, kind in Settings.kinds.items() if kind.base_config_key == key}
    if asked not in known:
        raise UnknownKindError(
            f"Expected {path} to have a model_type among {', '.join(known)}, but got {asked!r}. Leave "
            f"model_type out for {default.kind.model_type!r}."
        )
    return known[asked](**content)


def _fits(value: Any, hint: Any) -> bool:
    """Whether a value has the type: as strictly as transformers, a bool is no int and an int no float."""
    origin, inner = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        return any(_fits(value, choice) for choice in inner)
    if origin is list:
        return isinstance(value, list) and all(_fits(item, inner[0]) for item in value)
    if origin is tuple:
        return isinstance(value, tuple) and len(value) == len(inner) and all(map(_fits, value, inner))
    if hint is Any:
        return True
    return isinstance(value, origin or hint) and not (isinstance(value, bool) and hint is int)


def _dtype(path: str, value: Any) -> torch.dtype | None:
    found = getattr(torch, value.removeprefix("torch."), None) if isinstance(value, str) else value
    if isinstance(found, torch.dtype) or value is None:
        return found
    raise ConfigurationError(
        f"Expected {path} to be a number type of torch's or its name, but got {value!r}. Pass 'float32', "
        f"'bfloat16' or 'float16', or leave it out."
    )


def _lists(value: Any) -> Any:
    return [_lists(item) for item in value] if isinstance(value, tuple) else value
