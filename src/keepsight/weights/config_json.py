"""`Sam2Config` as JSON, the way it stands in the header of our safetensors files."""

import json
from collections.abc import Mapping
from dataclasses import MISSING, asdict, fields
from typing import Any, TypeVar

from keepsight.errors import WeightsError
from keepsight.nn.efficientnet import EfficientNetConfig
from keepsight.nn.hiera import HieraConfig
from keepsight.nn.matching import MatchingConfig
from keepsight.nn.sam2 import Sam2Config
from keepsight.nn.vit import VitConfig

__all__ = ["config_from_json", "config_to_json"]

T = TypeVar("T", Sam2Config, HieraConfig, EfficientNetConfig, VitConfig, MatchingConfig)

Encoder = HieraConfig | EfficientNetConfig | VitConfig

_ENCODERS: dict[str, type[Encoder]] = {
    "hiera": HieraConfig,
    "efficientnet_lite0": EfficientNetConfig,
    "vit": VitConfig,
}
# Lists of layers, of which there may be any number.
_LISTS = ("global_blocks", "global_layers", "self_only")


def config_to_json(config: Sam2Config) -> str:
    """The configuration as one line of JSON with sorted keys; equal configurations give equal text."""
    values = asdict(config)
    kinds = [kind for kind, made in _ENCODERS.items() if isinstance(config.encoder, made)]
    values["encoder"] = {"kind": kinds[0], **values["encoder"]}
    return json.dumps(values, sort_keys=True)


def config_from_json(text: str, source: str) -> Sam2Config:
    """Reads what `config_to_json` wrote.

    Args:
        text: the JSON.
        source: what messages call the file it stands in.

    Raises:
        WeightsError: it is not such a configuration, or has fields this version does not know.
    """
    try:
        values = json.loads(text)
    except json.JSONDecodeError as error:
        raise WeightsError(f"{source} holds a configuration that is not JSON ({error}). {_NEXT}") from error
    if not isinstance(values, dict) or not isinstance(values.get("encoder"), dict):
        raise WeightsError(f"{source} holds a configuration without an encoder: {text[:80]!r}. {_NEXT}")
    encoder = dict(values.pop("encoder"))
    kind = encoder.pop("kind", None)
    if kind not in _ENCODERS:
        raise WeightsError(
            f"{source} asks for an image encoder of kind {kind!r}; known are {', '.join(_ENCODERS)}. {_NEXT}"
        )
    matching = values.pop("matching", None)
    if not (matching is None or isinstance(matching, dict)):
        raise WeightsError(f"{source} has matching = {matching!r}; expected a mapping or null. {_NEXT}")
    made = _encoder(kind, encoder, f"{source}, encoder")
    read = None if matching is None else _made(MatchingConfig, matching, f"{source}, matching")
    return _made(Sam2Config, values, source, encoder=made, matching=read)


def _encoder(kind: str, values: Mapping[str, object], source: str) -> Encoder:
    if kind == "hiera":
        return _made(HieraConfig, values, source)
    if kind == "vit":
        return _made(VitConfig, values, source)
    return _made(EfficientNetConfig, values, source)


_NEXT = "Download the file again, or install the version of keepsight that wrote it."


def _made(kind: type[T], values: Mapping[str, object], source: str, **parts: object) -> T:
    known: dict[str, Any] = {field.name: field for field in fields(kind) if field.name not in parts}
    unknown = sorted(set(values) - set(known))
    if unknown:
        raise WeightsError(f"{source} has settings that are unknown here: {', '.join(unknown)}. {_NEXT}")
    taken: dict[str, Any] = dict(parts)
    for name, value in values.items():
        value = tuple(value) if isinstance(value, list) else value
        default = known[name].default
        if default is not MISSING and not _alike(value, default, any_length=name in _LISTS):
            raise WeightsError(
                f"{source} has {name} = {value!r}; expected something like {default!r}. {_NEXT}"
            )
        taken[name] = value
    return kind(**taken)


def _alike(value: object, default: object, *, any_length: bool = False) -> bool:
    """Whether a value has the type of the default; whole numbers may stand for fractions."""
    if isinstance(default, tuple):
        like = default[0] if default else 0  # lists that may be empty are of layers
        if not isinstance(value, tuple) or not all(_alike(item, like) for item in value):
            return False
        return any_length or len(value) == len(default)
    if isinstance(default, float):
        return isinstance(value, int | float) and not isinstance(value, bool)
    return type(value) is type(default)
