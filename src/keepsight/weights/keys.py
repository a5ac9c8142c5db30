"""How other people's checkpoints name the tensors of our networks.

A table is a sequence of rows: our module path, then theirs. `{i}` and `{j}` stand for numbers and must
appear on both sides. What follows a path (`.weight`, `.bias`) is kept. Where several of theirs are named,
ours is their concatenation along the first axis. Shapes that differ only by axes of length one agree.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

__all__ = ["META", "KeyTable", "Row"]


class Row(NamedTuple):
    """One renaming."""

    ours: str
    theirs: tuple[str, ...]


def _rows(*pairs: tuple[str, str | tuple[str, ...]]) -> tuple[Row, ...]:
    return tuple(Row(ours, (theirs,) if isinstance(theirs, str) else theirs) for ours, theirs in pairs)


def _under(ours: str, theirs: str, names: Mapping[str, str] | Iterable[str]) -> tuple[Row, ...]:
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
            match = re.fullmatch(_pattern(row.ours) + r"(?P<rest>(\.(weight|bias))?)", key)
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

    def expected(self, like: Iterable[str]) -> set[str]:
        """Their keys that our keys need."""
        return {name for key in like for name in self.theirs(key)}


def _pattern(path: str) -> str:
    return re.escape(path).replace(r"\{i\}", r"(?P<i>\d+)").replace(r"\{j\}", r"(?P<j>\d+)")


def _same_shape(a: Tensor, b: Tensor) -> bool:
    """Whether two shapes differ only by axes of length one."""

    def solid(shape: Sequence[int]) -> list[int]:
        return [side for side in shape if side != 1]

    return solid(a.shape) == solid(b.shape)


_ATTENTION = {"query": "q_proj", "key": "k_proj", "value": "v_proj", "out": "out_proj"}
_TWO_WAY_NORMS = ("norm1", "norm2", "norm3", "norm4")
_TRUNK = "image_encoder.trunk"
_DECODER = "sam_mask_decoder"
_TRANSFORMER = "mask_decoder.transformer"

META = KeyTable(
    rows=(
        *_under(
            "image_encoder.trunk",
            _TRUNK,
            {"patches": "patch_embed.proj", "position": "pos_embed", "window_position": "pos_embed_window"},
        ),
        *_under(
            "image_encoder.trunk.blocks.{i}",
            f"{_TRUNK}.blocks.{{i}}",
            {
                "norm1": "norm1",
                "norm2": "norm2",
                "attention.qkv": "attn.qkv",
                "attention.out": "attn.proj",
                "mlp.layers.{j}": "mlp.layers.{j}",
                "widen": "proj",
            },
        ),
        # Their neck counts from the coarsest level, ours from the finest.
        *_rows(*((f"image_encoder.lateral.{i}", f"image_encoder.neck.convs.{3 - i}.conv") for i in range(4))),
        *_rows(
            (
                "prompt_encoder.position.gaussian",
                "sam_prompt_encoder.pe_layer.positional_encoding_gaussian_matrix",
            ),
            (
                "prompt_encoder.label_embedding",
                (
                    "sam_prompt_encoder.not_a_point_embed",
                    *(f"sam_prompt_encoder.point_embeddings.{i}" for i in range(4)),
                ),
            ),
            ("prompt_encoder.no_mask", "sam_prompt_encoder.no_mask_embed.weight"),
            ("prompt_encoder.mask_stem.{i}", "sam_prompt_encoder.mask_downscaling.{i}"),
        ),
        *_under(f"{_TRANSFORMER}.blocks.{{i}}", f"{_DECODER}.transformer.layers.{{i}}", _TWO_WAY_NORMS),
        *(
            row
            for ours, theirs in {
                "self_attention": "self_attn",
                "to_image": "cross_attn_token_to_image",
                "to_tokens": "cross_attn_image_to_token",
            }.items()
            for row in _under(
                f"{_TRANSFORMER}.blocks.{{i}}.{ours}",
                f"{_DECODER}.transformer.layers.{{i}}.{theirs}",
                _ATTENTION,
            )
        ),
        *_rows(
            (
                f"{_TRANSFORMER}.blocks.{{i}}.mlp.layers.{{j}}",
                f"{_DECODER}.transformer.layers.{{i}}.mlp.layers.{{j}}",
            ),
            (f"{_TRANSFORMER}.final_norm", f"{_DECODER}.transformer.norm_final_attn"),
        ),
        *_under(
            f"{_TRANSFORMER}.final_attention",
            f"{_DECODER}.transformer.final_attn_token_to_image",
            _ATTENTION,
        ),
        *_rows(
            (
                "mask_decoder.tokens",
                (
                    f"{_DECODER}.obj_score_token.weight",
                    f"{_DECODER}.iou_token.weight",
                    f"{_DECODER}.mask_tokens.weight",
                ),
            ),
        ),
        *_under(
            "mask_decoder",
            _DECODER,
            {
                "fine_projection": "conv_s0",
                "middle_projection": "conv_s1",
                "upscale1": "output_upscaling.0",
                "upscale_norm": "output_upscaling.1",
                "upscale2": "output_upscaling.3",
                "hypernetworks.{i}.layers.{j}": "output_hypernetworks_mlps.{i}.layers.{j}",
                "iou_head.layers.{j}": "iou_prediction_head.layers.{j}",
                "presence_head.layers.{j}": "pred_obj_score_head.layers.{j}",
            },
        ),
        *_under(
            "memory_encoder",
            "memory_encoder",
            {
                "mask_stem.{i}": "mask_downsampler.encoder.{i}",
                "image_projection": "pix_feat_proj",
                "fuser.{i}.depthwise": "fuser.layers.{i}.dwconv",
                "fuser.{i}.norm": "fuser.layers.{i}.norm",
                "fuser.{i}.expand": "fuser.layers.{i}.pwconv1",
                "fuser.{i}.contract": "fuser.layers.{i}.pwconv2",
                "fuser.{i}.scale": "fuser.layers.{i}.gamma",
                "out": "out_proj",
            },
        ),
        *_under(
            "memory_attention.layers.{i}",
            "memory_attention.layers.{i}",
            {
                "norm1": "norm1",
                "norm2": "norm2",
                "norm3": "norm3",
                "expand": "linear1",
                "contract": "linear2",
            },
        ),
        *_under(
            "memory_attention.layers.{i}.self_attention", "memory_attention.layers.{i}.self_attn", _ATTENTION
        ),
        *_under(
            "memory_attention.layers.{i}.cross_attention",
            "memory_attention.layers.{i}.cross_attn_image",
            _ATTENTION,
        ),
        *_rows(
            ("memory_attention.norm", "memory_attention.norm"),
            ("mask_to_prompt", "mask_downsample"),
            ("pointer_head.layers.{j}", "obj_ptr_proj.layers.{j}"),
            ("no_memory", "no_mem_embed"),
            ("absent_pointer", "no_obj_ptr"),
            ("age_embedding", "maskmem_tpos_enc"),
            ("pointer_time", "obj_ptr_tpos_proj"),
            ("absent_memory", "no_obj_embed_spatial"),
        ),
    ),
    unused=frozenset({"no_mem_pos_enc"}),
)
