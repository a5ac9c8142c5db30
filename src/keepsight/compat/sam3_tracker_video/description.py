"""Our numbers of a network as transformers' `config.json` states them: what undoes reading one."""

import json
from typing import Any

from keepsight.errors import WeightsError
from keepsight.nn.efficientnet import EfficientNetConfig
from keepsight.nn.hiera import HieraConfig
from keepsight.nn.sam2 import Sam2Config
from keepsight.nn.vit import VitConfig
from keepsight.weights.config_json import config_to_json
from keepsight.weights.config_transformers import transformers_config

__all__ = ["OWN_NETWORK", "describe"]

OWN_NETWORK = "keepsight_network"
"""The setting that holds our own configuration where transformers has no class for the network."""


def describe(config: Sam2Config) -> dict[str, Any]:
    """The settings of `Sam3TrackerVideoConfig` or `Sam2VideoConfig`, nested, that tell of a network.

    A network that transformers cannot express ("pocket") gets the settings it shares with SAM 2, an image
    encoder of a `model_type` that transformers does not know, and its whole configuration under
    `keepsight_network`.
    """
    encoder = config.encoder
    if isinstance(encoder, VitConfig):
        content = _shared(config, encoder.patch) | {"model_type": "sam3_tracker_video"}
        content["vision_config"] |= {"backbone_config": _vit(encoder, config.image_size)}
    else:
        content = _shared(config, 16) | {"model_type": "sam2_video"}
        content["vision_config"] |= _hiera_vision(encoder, config.image_size)
    if not _expressed(config, content):
        content["vision_config"]["backbone_config"]["model_type"] = "keepsight_image_encoder"
        content[OWN_NETWORK] = json.loads(config_to_json(config))
    return content


def _expressed(config: Sam2Config, content: dict[str, Any]) -> bool:
    """Whether transformers' settings say all that there is to a network."""
    if isinstance(config.encoder, EfficientNetConfig):
        return False
    try:
        return transformers_config(content, "keepsight") == config
    except WeightsError:
        return False


def _shared(config: Sam2Config, patch: int) -> dict[str, Any]:
    width, size = config.width, config.image_size
    return {
        "image_size": size,
        "num_maskmem": config.memory_frames,
        "max_object_pointers_in_encoder": config.pointer_reach + 1,
        "max_cond_frame_num": config.max_conditioning or -1,
        "enable_temporal_pos_encoding_for_object_pointers": config.pointer_time,
        "enable_occlusion_spatial_embedding": config.absence_in_memory,
        "memory_attention_hidden_size": width,
        "memory_attention_num_layers": config.attention_layers,
        "memory_attention_feed_forward_hidden_size": config.attention_ffn,
        "memory_attention_rope_feat_sizes": [config.grid, config.grid],
        "memory_encoder_hidden_size": width,
        "memory_encoder_output_channels": config.memory_width,
        "mask_downsampler_embed_dim": width,
        "memory_fuser_embed_dim": width,
        "memory_fuser_intermediate_dim": 4 * width,
        "prompt_encoder_config": {"hidden_size": width, "image_size": size, "patch_size": patch},
        "mask_decoder_config": {"hidden_size": width, "mlp_dim": config.decoder_mlp},
        "vision_config": {
            "fpn_hidden_size": width,
            "backbone_feature_sizes": [[scale * config.grid] * 2 for scale in (4, 2, 1)],
        },
    }


def _vit(encoder: VitConfig, image_size: int) -> dict[str, Any]:
    return {
        "model_type": "sam3_vit_model",
        "hidden_size": encoder.width,
        "intermediate_size": encoder.ffn,
        "num_hidden_layers": encoder.layers,
        "num_attention_heads": encoder.heads,
        "image_size": image_size,
        "patch_size": encoder.patch,
        "window_size": encoder.window,
        "global_attn_indexes": list(encoder.global_layers),
        "pretrain_image_size": encoder.pretrained_grid * encoder.patch,
    }


def _hiera_vision(encoder: HieraConfig | EfficientNetConfig, image_size: int) -> dict[str, Any]:
    trunk: dict[str, Any] = {"model_type": "sam2_hiera_det_model", "image_size": [image_size, image_size]}
    if isinstance(encoder, EfficientNetConfig):
        return {"backbone_config": trunk}
    trunk |= {
        "hidden_size": encoder.width,
        "num_attention_heads": encoder.heads,
        "blocks_per_stage": list(encoder.stages),
        "embed_dim_per_stage": list(encoder.channels),
        "num_attention_heads_per_stage": [encoder.heads * 2**stage for stage in range(4)],
        "window_size_per_stage": list(encoder.windows),
        "window_positional_embedding_background_size": list(encoder.background),
        "global_attention_blocks": list(encoder.global_blocks),
    }
    return {"backbone_config": trunk, "backbone_channel_list": list(encoder.channels[::-1])}
