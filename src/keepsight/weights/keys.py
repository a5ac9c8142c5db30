"""How other people's checkpoints name the tensors of our networks.

A table is a sequence of rows: our module path, then theirs. `{i}` and `{j}` stand for numbers and must
appear on both sides. What follows a path (`.weight`, `.bias`) is kept. Where several of theirs are named,
ours is their concatenation along the first axis. Shapes that differ only by axes of length one agree.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import NamedTuple

import torch
from torch import Tensor

__all__ = ["OWN", "KeyTable", "Row", "common", "levels", "rows", "under"]


class Row(NamedTuple):
    """One renaming."""

    ours: str
    theirs: tuple[str, ...]


def rows(*pairs: tuple[str, str | tuple[str, ...]]) -> tuple[Row, ...]:
    """Rows from pairs of our path and theirs, or several of theirs."""
    return tuple(Row(ours, (theirs,) if isinstance(theirs, str) else theirs) for ours, theirs in pairs)


def under(ours: str, theirs: str, names: Mapping[str, str] | Iterable[str]) -> tuple[Row, ...]:
    """Rows for the children of a module; a plain list of names means that both sides agree on them."""
    table = names if isinstance(names, Mapping) else {name: name for name in names}
    return tuple(Row(f"{ours}.{a}", (f"{theirs}.{b}",)) for a, b in table.items())


class KeyTable(NamedTuple):
    """A naming scheme: its rows, and their tensors that we have no use for."""

    rows: tuple[Row, ...]
    unused: frozenset[str] = frozenset()

    def theirs(self, key: str) -> tuple[str, ...]:
        """Their key, or keys to be concatenated, for one of ours.

        Raises:
            KeyError: no row speaks of the key.
        """
        for row in self.rows:
            match = _pattern(row.ours).fullmatch(key)
            if match:
                numbers = {name: match[name] for name in ("i", "j") if name in match.groupdict()}
                return tuple(path.format(**numbers) + match["rest"] for path in row.theirs)
        raise KeyError(key)

    def convert(self, state: Mapping[str, Tensor], like: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Their state dict under our names, in our shapes. Every needed key must be there."""
        converted = {}
        for key, target in like.items():
            parts = [state[name] for name in self.theirs(key)]
            tensor = parts[0] if len(parts) == 1 else torch.cat(parts)
            converted[key] = tensor.reshape(target.shape) if _same_shape(tensor, target) else tensor
        return converted

    def revert(self, state: Mapping[str, Tensor], shapes: Mapping[str, Sequence[int]]) -> dict[str, Tensor]:
        """Our state dict under their names: what undoes `convert`.

        Args:
            state: ours.
            shapes: theirs, which say where a tensor of ours is cut in pieces.
        """
        reverted: dict[str, Tensor] = {}
        for key, tensor in state.items():
            names = self.theirs(key)
            rows = [shapes[name][0] for name in names]
            pieces = torch.split(tensor, rows) if len(names) > 1 else (tensor,)
            for name, piece in zip(names, pieces, strict=True):
                reverted[name] = piece.reshape(tuple(shapes[name]))
        return reverted

    def expected(self, like: Iterable[str]) -> set[str]:
        """Their keys that our keys need."""
        return {name for key in like for name in self.theirs(key)}


class _SameNames(KeyTable):
    """The scheme of our own files."""

    def theirs(self, key: str) -> tuple[str, ...]:
        return (key,)


OWN = _SameNames(rows=())


@cache
def _pattern(path: str) -> re.Pattern[str]:
    numbered = re.escape(path).replace(r"\{i\}", r"(?P<i>\d+)").replace(r"\{j\}", r"(?P<j>\d+)")
    return re.compile(numbered + r"(?P<rest>(\.(weight|bias))?)")


def _same_shape(a: Tensor, b: Tensor) -> bool:
    """Whether two shapes differ only by axes of length one."""

    def solid(shape: Sequence[int]) -> list[int]:
        return [side for side in shape if side != 1]

    return solid(a.shape) == solid(b.shape)


def levels(theirs: str, enlarge: tuple[str, str, str], names: Mapping[str, str]) -> tuple[Row, ...]:
    """Rows of SAM 3's neck: the finest level enlarges twice, the next once."""
    places = ((0, 0), (0, 1), (1, 0))
    rows = under("image_encoder.levels.{i}", theirs, names)
    for (level, step), name in zip(places, enlarge, strict=True):
        rows += (Row(f"image_encoder.levels.{level}.enlarge.{step}", (f"{theirs.format(i=level)}.{name}",)),)
    return rows


def common(decoder: str, out: str) -> tuple[Row, ...]:
    """Rows on which Meta and transformers agree but for two names.

    Args:
        decoder: their mask decoder.
        out: their output projection of an attention.
    """
    ours, theirs = "mask_decoder.transformer", f"{decoder}.transformer"
    attentions = {
        f"{ours}.blocks.{{i}}.self_attention": f"{theirs}.layers.{{i}}.self_attn",
        f"{ours}.blocks.{{i}}.to_image": f"{theirs}.layers.{{i}}.cross_attn_token_to_image",
        f"{ours}.blocks.{{i}}.to_tokens": f"{theirs}.layers.{{i}}.cross_attn_image_to_token",
        f"{ours}.final_attention": f"{theirs}.final_attn_token_to_image",
        "memory_attention.layers.{i}.self_attention": "memory_attention.layers.{i}.self_attn",
        "memory_attention.layers.{i}.cross_attention": "memory_attention.layers.{i}.cross_attn_image",
    }
    parts = {"query": "q_proj", "key": "k_proj", "value": "v_proj", "out": out}
    tokens = tuple(f"{decoder}.{name}.weight" for name in ("obj_score_token", "iou_token", "mask_tokens"))
    perceptron = {"expand": "linear1", "contract": "linear2"}
    return (
        *(row for a, b in attentions.items() for row in under(a, b, parts)),
        Row("mask_decoder.tokens", tokens),
        *under("mask_decoder", decoder, {"fine_projection": "conv_s0", "middle_projection": "conv_s1"}),
        *under("memory_attention.layers.{i}", "memory_attention.layers.{i}", perceptron),
    )
