"""How transformers' checkpoints name the tensors of our networks."""

from keepsight.weights.keys import KeyTable, Row, common, levels, rows, under

__all__ = ["TRANSFORMERS"]

_HF_ATTENTION = {"query": "q_proj", "key": "k_proj", "value": "v_proj", "out": "o_proj"}
_HF_NORMS = {"norm1": "layer_norm1", "norm2": "layer_norm2", "norm3": "layer_norm3", "norm4": "layer_norm4"}
_HF_TRUNK = "vision_encoder.backbone"
_HF_TRANSFORMER = "mask_decoder.transformer"
_HF_FUSER = "memory_encoder.memory_fuser.layers.{i}"


def _perceptron(ours: str, theirs: str, layers: int) -> tuple[Row, ...]:
    """Rows of a perceptron, of which transformers names the first and last layer and counts the others."""
    names = ["proj_in", *(f"layers.{i}" for i in range(layers - 2)), "proj_out"]
    return under(f"{ours}.layers", theirs, {str(i): name for i, name in enumerate(names)})


TRANSFORMERS = KeyTable(
    rows=(
        *under(
            "image_encoder.trunk",
            _HF_TRUNK,
            {
                "patches": "patch_embed.projection",
                "position": "pos_embed",
                "window_position": "pos_embed_window",
            },
        ),
        *under(
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
        *under(
            "image_encoder",
            _HF_TRUNK,
            {
                "patches": "embeddings.patch_embeddings.projection",
                "position": "embeddings.position_embeddings",
                "norm": "layer_norm",
            },
        ),
        *under(
            "image_encoder.blocks.{i}",
            f"{_HF_TRUNK}.layers.{{i}}",
            {
                "norm1": "layer_norm1",
                "norm2": "layer_norm2",
                **{f"attention.{a}": f"attention.{b}" for a, b in _HF_ATTENTION.items()},
                "mlp.layers.0": "mlp.fc1",
                "mlp.layers.1": "mlp.fc2",
            },
        ),
        *levels(
            "vision_encoder.neck.fpn_layers.{i}",
            ("scale_layers.0", "scale_layers.2", "scale_layers.0"),
            {"project": "proj1", "smooth": "proj2"},
        ),
        *rows(*((f"image_encoder.lateral.{i}", f"vision_encoder.neck.convs.{3 - i}") for i in range(4))),
        *rows(
            ("prompt_encoder.position.gaussian", "shared_image_embedding.positional_embedding"),
            (
                "prompt_encoder.label_embedding",
                ("prompt_encoder.not_a_point_embed", "prompt_encoder.point_embed"),
            ),
            ("prompt_encoder.no_mask", "prompt_encoder.no_mask_embed.weight"),
        ),
        *under(
            "prompt_encoder.mask_stem",
            "prompt_encoder.mask_embed",
            {"0": "conv1", "1": "layer_norm1", "3": "conv2", "4": "layer_norm2", "6": "conv3"},
        ),
        *under(f"{_HF_TRANSFORMER}.blocks.{{i}}", f"{_HF_TRANSFORMER}.layers.{{i}}", _HF_NORMS),
        *common("mask_decoder", "o_proj"),
        *_perceptron(f"{_HF_TRANSFORMER}.blocks.{{i}}.mlp", f"{_HF_TRANSFORMER}.layers.{{i}}.mlp", 2),
        *rows((f"{_HF_TRANSFORMER}.final_norm", f"{_HF_TRANSFORMER}.layer_norm_final_attn")),
        *under(
            "mask_decoder",
            "mask_decoder",
            {
                "upscale1": "upscale_conv1",
                "upscale_norm": "upscale_layer_norm",
                "upscale2": "upscale_conv2",
            },
        ),
        *_perceptron("mask_decoder.hypernetworks.{i}", "mask_decoder.output_hypernetworks_mlps.{i}", 3),
        *_perceptron("mask_decoder.iou_head", "mask_decoder.iou_prediction_head", 3),
        *_perceptron("mask_decoder.presence_head", "mask_decoder.pred_obj_score_head", 3),
        *under(
            "memory_encoder.mask_stem",
            "memory_encoder.mask_downsampler",
            {
                **{str(3 * i): f"layers.{i}.conv" for i in range(4)},
                **{str(3 * i + 1): f"layers.{i}.layer_norm" for i in range(4)},
                "12": "final_conv",
            },
        ),
        *under(
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
        *rows(
            ("memory_encoder.image_projection", "memory_encoder.feature_projection"),
            ("memory_encoder.out", "memory_encoder.projection"),
        ),
        *under(
            "memory_attention.layers.{i}",
            "memory_attention.layers.{i}",
            {
                "norm1": "layer_norm1",
                "norm2": "layer_norm2",
                "norm3": "layer_norm3",
            },
        ),
        *_perceptron("pointer_head", "object_pointer_proj", 3),
        *rows(
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
