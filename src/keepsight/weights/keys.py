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

__all__ = ["META", "OWN", "TRANSFORMERS", "KeyTable", "Row"]


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

_HF_ATTENTION = {"query": "q_proj", "key": "k_proj", "value": "v_proj", "out": "o_proj"}
_HF_NORMS = {"norm1": "layer_norm1", "norm2": "layer_norm2", "norm3": "layer_norm3", "norm4": "layer_norm4"}
_HF_TRUNK = "vision_encoder.backbone"
_HF_TRANSFORMER = "mask_decoder.transformer"
_HF_FUSER = "memory_encoder.memory_fuser.layers.{i}"


def _perceptron(ours: str, theirs: str, layers: int) -> tuple[Row, ...]:
    """Rows of a perceptron, of which transformers names the first and last layer and counts the others."""
    names = ["proj_in", *(f"layers.{i}" for i in range(layers - 2)), "proj_out"]
    return _under(f"{ours}.layers", theirs, {str(i): name for i, name in enumerate(names)})


TRANSFORMERS = KeyTable(
    rows=(
        *_under(
            "image_encoder.trunk",
            _HF_TRUNK,
            {
                "patches": "patch_embed.projection",
                "position": "pos_embed",
                "window_position": "pos_embed_window",
            },
        ),
        *_under(
            "image_encoder.trunk.blocks.{i}",
            f"{_HF_TRUNK}.blocks.{{i}}",
            {
                "norm1": "layer_norm1",
                "norm2": "layer_norm2",
                "attention.qkv": "attn.qkv",
                "attention.out": "attn.proj",
                "widen": "proj",
            },
        ),
        *_perceptron("image_encoder.trunk.blocks.{i}.mlp", f"{_HF_TRUNK}.blocks.{{i}}.mlp", 2),
        *_rows(*((f"image_encoder.lateral.{i}", f"vision_encoder.neck.convs.{3 - i}") for i in range(4))),
        *_rows(
            ("prompt_encoder.position.gaussian", "shared_image_embedding.positional_embedding"),
            (
                "prompt_encoder.label_embedding",
                ("prompt_encoder.not_a_point_embed", "prompt_encoder.point_embed"),
            ),
            ("prompt_encoder.no_mask", "prompt_encoder.no_mask_embed.weight"),
        ),
        *_under(
            "prompt_encoder.mask_stem",
            "prompt_encoder.mask_embed",
            {"0": "conv1", "1": "layer_norm1", "3": "conv2", "4": "layer_norm2", "6": "conv3"},
        ),
        *_under(f"{_TRANSFORMER}.blocks.{{i}}", f"{_HF_TRANSFORMER}.layers.{{i}}", _HF_NORMS),
        *(
            row
            for ours, theirs in {
                "self_attention": "self_attn",
                "to_image": "cross_attn_token_to_image",
                "to_tokens": "cross_attn_image_to_token",
            }.items()
            for row in _under(
                f"{_TRANSFORMER}.blocks.{{i}}.{ours}",
                f"{_HF_TRANSFORMER}.layers.{{i}}.{theirs}",
                _HF_ATTENTION,
            )
        ),
        *_perceptron(f"{_TRANSFORMER}.blocks.{{i}}.mlp", f"{_HF_TRANSFORMER}.layers.{{i}}.mlp", 2),
        *_rows((f"{_TRANSFORMER}.final_norm", f"{_HF_TRANSFORMER}.layer_norm_final_attn")),
        *_under(
            f"{_TRANSFORMER}.final_attention", f"{_HF_TRANSFORMER}.final_attn_token_to_image", _HF_ATTENTION
        ),
        *_rows(
            (
                "mask_decoder.tokens",
                (
                    "mask_decoder.obj_score_token.weight",
                    "mask_decoder.iou_token.weight",
                    "mask_decoder.mask_tokens.weight",
                ),
            ),
        ),
        *_under(
            "mask_decoder",
            "mask_decoder",
            {
                "fine_projection": "conv_s0",
                "middle_projection": "conv_s1",
                "upscale1": "upscale_conv1",
                "upscale_norm": "upscale_layer_norm",
                "upscale2": "upscale_conv2",
            },
        ),
        *_perceptron("mask_decoder.hypernetworks.{i}", "mask_decoder.output_hypernetworks_mlps.{i}", 3),
        *_perceptron("mask_decoder.iou_head", "mask_decoder.iou_prediction_head", 3),
        *_perceptron("mask_decoder.presence_head", "mask_decoder.pred_obj_score_head", 3),
        *_under(
            "memory_encoder.mask_stem",
            "memory_encoder.mask_downsampler",
            {
                **{str(3 * i): f"layers.{i}.conv" for i in range(4)},
                **{str(3 * i + 1): f"layers.{i}.layer_norm" for i in range(4)},
                "12": "final_conv",
            },
        ),
        *_under(
            "memory_encoder.fuser.{i}",
            _HF_FUSER,
            {
                "depthwise": "depthwise_conv",
                "norm": "layer_norm",
                "expand": "pointwise_conv1",
                "contract": "pointwise_conv2",
                "scale": "scale",
            },
        ),
        *_rows(
            ("memory_encoder.image_projection", "memory_encoder.feature_projection"),
            ("memory_encoder.out", "memory_encoder.projection"),
        ),
        *_under(
            "memory_attention.layers.{i}",
            "memory_attention.layers.{i}",
            {
                "norm1": "layer_norm1",
                "norm2": "layer_norm2",
                "norm3": "layer_norm3",
                "expand": "linear1",
                "contract": "linear2",
            },
        ),
        *_under(
            "memory_attention.layers.{i}.self_attention",
            "memory_attention.layers.{i}.self_attn",
            _HF_ATTENTION,
        ),
        *_under(
            "memory_attention.layers.{i}.cross_attention",
            "memory_attention.layers.{i}.cross_attn_image",
            _HF_ATTENTION,
        ),
        *_perceptron("pointer_head", "object_pointer_proj", 3),
        *_rows(
            ("memory_attention.norm", "memory_attention.layer_norm"),
            ("mask_to_prompt", "mask_downsample"),
            ("no_memory", "no_memory_embedding"),
            ("absent_pointer", "no_object_pointer"),
            ("age_embedding", "memory_temporal_positional_encoding"),
            ("pointer_time", "temporal_positional_encoding_projection_layer"),
            ("absent_memory", "occlusion_spatial_embedding_parameter"),
        ),
    ),
    # The second is the image's positional embedding once more.
    unused=frozenset(
        {"no_memory_positional_encoding", "prompt_encoder.shared_embedding.positional_embedding"}
    ),
)
