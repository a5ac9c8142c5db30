"""Meta's YAML configurations (`sam2/configs`, Hydra's `_target_` structure) as `Sam2Config`.

Each row of the tables below states the only value our networks implement and what Meta's code assumes where
a file leaves the setting out. Nothing is instantiated: `_target_` is compared, never called.
"""

from collections.abc import Mapping
from pathlib import Path

import yaml

from keepsight.errors import WeightsError
from keepsight.nn.hiera import HieraConfig
from keepsight.nn.sam2 import Sam2Config
from keepsight.weights.settings import REQUIRED, Settings, demand_all, read_text

__all__ = ["read_meta_config"]

_TRUNK, _NECK = "image_encoder.trunk", "image_encoder.neck"
_LAYER = "memory_attention.layer"
_ENCODER = "memory_encoder"

_CLASSES = {
    "": ("SAM2Base", "SAM2VideoPredictor", "SAM2VideoPredictorVOS"),
    "image_encoder.": ("ImageEncoder",),
    f"{_TRUNK}.": ("Hiera",),
    f"{_NECK}.": ("FpnNeck",),
    f"{_NECK}.position_encoding.": ("PositionEmbeddingSine",),
    "memory_attention.": ("MemoryAttention",),
    f"{_LAYER}.": ("MemoryAttentionLayer",),
    f"{_LAYER}.self_attention.": ("RoPEAttention",),
    f"{_LAYER}.cross_attention.": ("RoPEAttention",),
    f"{_ENCODER}.": ("MemoryEncoder",),
    f"{_ENCODER}.position_encoding.": ("PositionEmbeddingSine",),
    f"{_ENCODER}.mask_downsampler.": ("MaskDownSampler",),
    f"{_ENCODER}.fuser.": ("Fuser",),
    f"{_ENCODER}.fuser.layer.": ("CXBlock",),
}

_DEMANDS: tuple[tuple[str, object, object], ...] = (
    ("num_maskmem", 7, 7),
    ("backbone_stride", 16, 16),
    ("sigmoid_scale_for_mem_enc", 20.0, 1.0),
    ("sigmoid_bias_for_mem_enc", -10.0, 0.0),
    ("use_mask_input_as_output_without_sam", True, False),
    ("max_cond_frames_in_attn", -1, -1),
    ("directly_add_no_mem_embed", True, False),
    ("use_high_res_features_in_sam", True, False),
    ("multimask_output_in_sam", True, False),
    ("multimask_min_pt_num", 0, 1),
    ("multimask_max_pt_num", 1, 1),
    ("multimask_output_for_tracking", True, False),
    ("use_multimask_token_for_obj_ptr", True, False),
    ("iou_prediction_use_sigmoid", True, False),
    ("memory_temporal_stride_for_eval", 1, 1),
    ("non_overlap_masks_for_mem_enc", False, False),
    ("use_obj_ptrs_in_encoder", True, False),
    ("max_obj_ptrs_in_encoder", 16, 16),
    ("only_obj_ptrs_in_the_past_for_eval", True, False),
    ("pred_obj_scores", True, False),
    ("pred_obj_scores_mlp", True, False),
    ("fixed_no_obj_ptr", True, False),
    ("soft_no_obj_ptr", False, False),
    ("use_mlp_for_obj_ptr_proj", True, False),
    # Meta's builders add these three to every file.
    ("sam_mask_decoder_extra_args.dynamic_multimask_via_stability", True, True),
    ("sam_mask_decoder_extra_args.dynamic_multimask_stability_delta", 0.05, 0.05),
    ("sam_mask_decoder_extra_args.dynamic_multimask_stability_thresh", 0.98, 0.98),
    ("image_encoder.scalp", 1, 0),
    (f"{_TRUNK}.q_pool", 3, 3),
    (f"{_TRUNK}.q_stride", (2, 2), (2, 2)),
    (f"{_TRUNK}.dim_mul", 2.0, 2.0),
    (f"{_TRUNK}.head_mul", 2.0, 2.0),
    (f"{_TRUNK}.return_interm_layers", True, True),
    (f"{_NECK}.kernel_size", 1, 1),
    (f"{_NECK}.stride", 1, 1),
    (f"{_NECK}.padding", 0, 0),
    (f"{_NECK}.fuse_type", "sum", "sum"),
    (f"{_NECK}.fpn_interp_model", "nearest", "bilinear"),
    (f"{_NECK}.fpn_top_down_levels", (2, 3), (0, 1, 2, 3)),
    ("memory_attention.pos_enc_at_input", True, REQUIRED),
    ("memory_attention.batch_first", True, True),
    (f"{_LAYER}.activation", "relu", REQUIRED),
    (f"{_LAYER}.pos_enc_at_attn", False, REQUIRED),
    (f"{_LAYER}.pos_enc_at_cross_attn_keys", True, REQUIRED),
    (f"{_LAYER}.pos_enc_at_cross_attn_queries", False, REQUIRED),
    (f"{_LAYER}.self_attention.rope_k_repeat", False, False),
    (f"{_LAYER}.cross_attention.rope_k_repeat", True, False),
    *(
        row
        for side in ("self", "cross")
        for row in (
            (f"{_LAYER}.{side}_attention.rope_theta", 10000.0, 10000.0),
            (f"{_LAYER}.{side}_attention.num_heads", 1, REQUIRED),
            (f"{_LAYER}.{side}_attention.downsample_rate", 1, 1),
        )
    ),
    *(
        row
        for side in (_NECK, _ENCODER)
        for row in (
            (f"{side}.position_encoding.normalize", True, True),
            (f"{side}.position_encoding.scale", None, None),
            (f"{side}.position_encoding.temperature", 10000, 10000),
        )
    ),
    (f"{_ENCODER}.mask_downsampler.kernel_size", 3, 4),
    (f"{_ENCODER}.mask_downsampler.stride", 2, 4),
    (f"{_ENCODER}.mask_downsampler.padding", 1, 0),
    (f"{_ENCODER}.mask_downsampler.total_stride", 16, 16),
    (f"{_ENCODER}.fuser.num_layers", 2, REQUIRED),
    (f"{_ENCODER}.fuser.input_projection", False, False),
    (f"{_ENCODER}.fuser.layer.kernel_size", 7, 7),
    (f"{_ENCODER}.fuser.layer.padding", 3, 3),
    (f"{_ENCODER}.fuser.layer.use_dwconv", True, True),
)

# Training, compilation and caches; and what Meta's builders set whatever the file says.
_HARMLESS = (
    "dropout",
    "drop_path",
    "drop_path_rate",
    "layer_scale_init_value",
    "weights_path",
    "compile_image_encoder",
    "feat_sizes",
    "warmup_cache",
    "image_size",
    "strides",
    "binarize_mask_from_pts_for_mem_enc",
    "fill_hole_area",
    "sam_mask_decoder_extra_args",
)


def read_meta_config(path: Path) -> Sam2Config:
    """Reads one of Meta's YAML files.

    Raises:
        WeightsError: the file is missing, is not such a configuration, or describes a network that differs
            from ours; the message names the setting, its value and what is supported.
    """
    try:
        content = yaml.safe_load(read_text(path))
    except yaml.YAMLError as error:
        raise WeightsError(
            f"{path} is not valid YAML ({' '.join(str(error).split())}). Fetch it again from Meta's sam2 "
            f"repository, or leave config out."
        ) from error
    model = content.get("model") if isinstance(content, Mapping) else None
    if not isinstance(model, Mapping):
        found = list(content)[:5] if isinstance(content, Mapping) else type(content).__name__
        raise WeightsError(
            f"{path} was expected to have a section `model`, as Meta's sam2/configs/sam2.1/*.yaml do, but "
            f"holds {found}. Pass the configuration used for inference, not one for training."
        )
    return _config(Settings(str(path), model))


def _config(settings: Settings) -> Sam2Config:
    for prefix, names in _CLASSES.items():
        target = settings.text(f"{prefix}_target_")
        if target.rpartition(".")[2] not in names:
            raise settings.refusal(f"{prefix}_target_", target, " or ".join(names))
    config = Sam2Config(
        encoder=HieraConfig(
            width=settings.number(f"{_TRUNK}.embed_dim", 96),
            heads=settings.number(f"{_TRUNK}.num_heads", 1),
            stages=settings.four(f"{_TRUNK}.stages", (2, 3, 16, 3)),
            global_blocks=settings.numbers(f"{_TRUNK}.global_att_blocks", None, (12, 16, 20)),
            background=settings.two(f"{_TRUNK}.window_pos_embed_bkg_spatial_size", (14, 14)),
            windows=settings.four(f"{_TRUNK}.window_spec", (8, 4, 14, 7)),
        ),
        image_size=settings.side("image_size", 512),
        width=settings.number(f"{_NECK}.d_model"),
        memory_width=settings.number(f"{_ENCODER}.out_dim"),
        attention_layers=settings.number("memory_attention.num_layers"),
        attention_ffn=settings.number(f"{_LAYER}.dim_feedforward"),
        pointer_time=_pointer_time(settings),
        absence_in_memory=settings.flag("no_obj_embed_spatial", False),
    )
    demand_all(settings, _DEMANDS)
    demand_all(settings, _agreements(config))
    settings.finish(_HARMLESS)
    return config


def _pointer_time(settings: Settings) -> bool:
    """Pointers carry a projected, signed distance in time (SAM 2.1) or none at all (SAM 2)."""
    added = settings.flag("add_tpos_enc_to_obj_ptrs", True)
    for path in ("proj_tpos_enc_in_obj_ptrs", "use_signed_tpos_enc_to_obj_ptrs"):
        if added:
            settings.demand(path, True, False)
        else:
            settings.flag(path, False)
    return added


def _agreements(config: Sam2Config) -> tuple[tuple[str, object, object], ...]:
    """Settings in which Meta's files repeat a number that stands elsewhere."""
    width, memory_width = config.width, config.memory_width
    hiera = config.encoder if isinstance(config.encoder, HieraConfig) else HieraConfig()
    return (
        (f"{_NECK}.backbone_channel_list", hiera.channels[::-1], REQUIRED),
        (f"{_NECK}.position_encoding.num_pos_feats", width, REQUIRED),
        ("memory_attention.d_model", width, REQUIRED),
        (f"{_LAYER}.d_model", width, REQUIRED),
        (f"{_LAYER}.self_attention.embedding_dim", width, REQUIRED),
        (f"{_LAYER}.self_attention.kv_in_dim", width, width),
        (f"{_LAYER}.cross_attention.embedding_dim", width, REQUIRED),
        (f"{_LAYER}.cross_attention.kv_in_dim", memory_width, width),
        (f"{_ENCODER}.in_dim", width, 256),
        (f"{_ENCODER}.position_encoding.num_pos_feats", memory_width, REQUIRED),
        (f"{_ENCODER}.mask_downsampler.embed_dim", width, 256),
        (f"{_ENCODER}.fuser.layer.dim", width, REQUIRED),
        (f"{_ENCODER}.fuser.dim", width, width),
    )
