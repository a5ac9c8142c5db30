"""transformers' configurations of SAM 3's tracker and of SAM 2 for video: names, settings and defaults.

All settings are kept, also those that do not reach the network; `network_config` says whether a network can
be made of them. Two families share most settings: each class states what differs.
"""

from typing import Any

from keepsight.compat.sam3_tracker_video.config_base import PretrainedConfig
from keepsight.compat.sam3_tracker_video.settings import ConfigurationError, listed, part

__all__ = [
    "Sam2HieraDetConfig",
    "Sam2VideoConfig",
    "Sam2VideoMaskDecoderConfig",
    "Sam2VideoPromptEncoderConfig",
    "Sam2VisionConfig",
    "Sam3TrackerVideoConfig",
    "Sam3TrackerVideoMaskDecoderConfig",
    "Sam3TrackerVideoPromptEncoderConfig",
    "Sam3ViTConfig",
    "Sam3VisionConfig",
]

Side = int | list[int] | tuple[int, int]


class _RotaryConfig(PretrainedConfig):
    """A configuration with rotary position embeddings.

    Attributes:
        rope_parameters: `rope_theta` (10000.0) and `rope_type` ("axial"). The arguments `rope_theta` and
            `rope_scaling` are older ways to give them.
    """

    rope_parameters: dict[str, Any] | None = None

    def _settle(self, rest: dict[str, Any]) -> None:
        theta = rest.pop("rope_theta", 10000.0)
        rope = {"rope_theta": theta, **(rest.pop("rope_scaling", None) or self.rope_parameters or {})}
        rope.setdefault("rope_type", rope.get("type", "default"))
        self.rope_parameters = rope | ({"rope_type": "axial"} if rope["rope_type"] == "default" else {})
        super()._settle(rest)


class Sam3ViTConfig(_RotaryConfig):
    """SAM 3's image encoder."""

    model_type = "sam3_vit_model"
    base_config_key = "backbone_config"

    hidden_size: int = 1024
    intermediate_size: int = 4736
    num_hidden_layers: int = 32
    num_attention_heads: int = 16
    num_channels: int = 3
    image_size: Side = 1008
    patch_size: Side = 14
    hidden_act: str = "gelu"
    layer_norm_eps: float = 1e-6
    attention_dropout: float | int = 0.0
    window_size: int = 24
    global_attn_indexes: list[int] = listed(7, 15, 23, 31)
    layer_scale_init_value: float | None = None
    pretrain_image_size: Side = 336
    hidden_dropout: float | int = 0.0
    initializer_range: float = 0.02


class Sam2HieraDetConfig(PretrainedConfig):
    """SAM 2's image encoder."""

    model_type = "sam2_hiera_det_model"
    base_config_key = "backbone_config"

    hidden_size: int = 96
    num_attention_heads: int = 1
    num_channels: int = 3
    image_size: int | list[int] = listed(1024, 1024)
    patch_kernel_size: int | list[int] = listed(7, 7)
    patch_stride: int | list[int] = listed(4, 4)
    patch_padding: int | list[int] = listed(3, 3)
    query_stride: int | list[int] = listed(2, 2)
    window_positional_embedding_background_size: list[int] = listed(7, 7)
    num_query_pool_stages: int = 3
    blocks_per_stage: list[int] = listed(1, 2, 7, 2)
    embed_dim_per_stage: list[int] = listed(96, 192, 384, 768)
    num_attention_heads_per_stage: list[int] = listed(1, 2, 4, 8)
    window_size_per_stage: list[int] = listed(8, 4, 14, 7)
    global_attention_blocks: list[int] = listed(5, 7, 9)
    mlp_ratio: float = 4.0
    hidden_act: str = "gelu"
    layer_norm_eps: float = 1e-6
    initializer_range: float = 0.02


class _OwnImageEncoderConfig(PretrainedConfig):
    """An image encoder of keepsight's that transformers has not."""

    model_type = "keepsight_image_encoder"
    base_config_key = "backbone_config"


class Sam3VisionConfig(PretrainedConfig):
    """SAM 3's image encoder and neck.

    Attributes:
        image_size: the image encoder's; setting it sets that.
    """

    model_type = "sam3_vision_model"
    base_config_key = "vision_config"

    backbone_config: Sam3ViTConfig = part(Sam3ViTConfig, by_type=True)
    fpn_hidden_size: int = 256
    backbone_feature_sizes: list[Any] = listed((288, 288), (144, 144), (72, 72))
    scale_factors: list[float] = listed(4.0, 2.0, 1.0, 0.5)
    hidden_act: str = "gelu"
    layer_norm_eps: float = 1e-6
    initializer_range: float = 0.02

    @property
    def image_size(self) -> Side:
        """Side of the input in pixels."""
        return self.backbone_config.image_size

    @image_size.setter
    def image_size(self, value: Side) -> None:
        self.backbone_config.image_size = value


class Sam2VisionConfig(PretrainedConfig):
    """SAM 2's image encoder and neck."""

    model_type = "sam2_vision_model"
    base_config_key = "vision_config"

    backbone_config: Sam2HieraDetConfig = part(Sam2HieraDetConfig, by_type=True)
    backbone_channel_list: list[int] = listed(768, 384, 192, 96)
    backbone_feature_sizes: list[Any] = listed((256, 256), (128, 128), (64, 64))
    fpn_hidden_size: int = 256
    fpn_kernel_size: int = 1
    fpn_stride: int = 1
    fpn_padding: int = 0
    fpn_top_down_levels: list[int] = listed(2, 3)
    num_feature_levels: int = 3
    hidden_act: str = "gelu"
    layer_norm_eps: float = 1e-6
    initializer_range: float = 0.02


class Sam2VideoPromptEncoderConfig(PretrainedConfig):
    """SAM 2's prompt encoder."""

    model_type = "sam2_video_prompt_encoder"
    base_config_key = "prompt_encoder_config"

    hidden_size: int = 256
    image_size: Side = 1024
    patch_size: Side = 16
    mask_input_channels: int = 16
    num_point_embeddings: int = 4
    hidden_act: str = "gelu"
    layer_norm_eps: float = 1e-6
    scale: int = 1


class Sam3TrackerVideoPromptEncoderConfig(Sam2VideoPromptEncoderConfig):
    """SAM 3's prompt encoder: SAM 2's for other sizes."""

    model_type = "sam3_tracker_video_prompt_encoder"

    image_size: Side = 1008
    patch_size: Side = 14


class Sam2VideoMaskDecoderConfig(PretrainedConfig):
    """SAM 2's mask decoder."""

    model_type = "sam2_video_mask_decoder"
    base_config_key = "mask_decoder_config"

    hidden_size: int = 256
    hidden_act: str = "gelu"
    mlp_dim: int = 2048
    num_hidden_layers: int = 2
    num_attention_heads: int = 8
    attention_downsample_rate: int = 2
    num_multimask_outputs: int = 3
    iou_head_depth: int = 3
    iou_head_hidden_dim: int = 256
    dynamic_multimask_via_stability: bool = True
    dynamic_multimask_stability_delta: float = 0.05
    dynamic_multimask_stability_thresh: float = 0.98


class Sam3TrackerVideoMaskDecoderConfig(Sam2VideoMaskDecoderConfig):
    """SAM 3's mask decoder: SAM 2's."""

    model_type = "sam3_tracker_video_mask_decoder"


class _TrackerConfig(_RotaryConfig):
    """What the trackers of SAM 2 and SAM 3 have in common."""

    initializer_range: float = 0.02
    num_maskmem: int = 7
    sigmoid_scale_for_mem_enc: float = 20.0
    sigmoid_bias_for_mem_enc: float = -10.0
    enable_occlusion_spatial_embedding: bool = True
    multimask_output_in_sam: bool = True
    multimask_min_pt_num: int = 0
    multimask_max_pt_num: int = 1
    multimask_output_for_tracking: bool = True
    max_object_pointers_in_encoder: int = 16
    enable_temporal_pos_encoding_for_object_pointers: bool = True
    memory_attention_hidden_size: int = 256
    memory_attention_num_layers: int = 4
    memory_attention_num_attention_heads: int = 1
    memory_attention_downsample_rate: int = 1
    memory_attention_feed_forward_hidden_size: int = 2048
    memory_attention_feed_forward_hidden_act: str = "relu"
    memory_attention_dropout: float | int = 0.1
    memory_attention_rope_dropout: float | int = 0.1
    memory_encoder_hidden_size: int = 256
    memory_encoder_output_channels: int = 64
    mask_downsampler_embed_dim: int = 256
    mask_downsampler_kernel_size: int = 3
    mask_downsampler_stride: int = 2
    mask_downsampler_padding: int = 1
    mask_downsampler_total_stride: int = 16
    mask_downsampler_hidden_act: str = "gelu"
    memory_fuser_num_layers: int = 2
    memory_fuser_embed_dim: int = 256
    memory_fuser_intermediate_dim: int = 1024
    memory_fuser_kernel_size: int = 7
    memory_fuser_padding: int = 3
    memory_fuser_layer_scale_init_value: float = 1e-6
    memory_fuser_hidden_act: str = "gelu"

    @property
    def memory_attention_rope_theta(self) -> Any:
        """The older place of `rope_parameters["rope_theta"]`."""
        return (self.rope_parameters or {}).get("rope_theta", 10000.0)

    @memory_attention_rope_theta.setter
    def memory_attention_rope_theta(self, value: float) -> None:
        self.rope_parameters = {**(self.rope_parameters or {}), "rope_theta": value}


class Sam2VideoConfig(_TrackerConfig):
    """The configuration of SAM 2 and SAM 2.1 for video; the defaults are SAM 2.1's smallest.

    Attributes:
        vision_config: image encoder and neck.
        prompt_encoder_config: of the prompts.
        mask_decoder_config: of the masks.
        image_size: side of the input in pixels. It stands in nested configurations too; each is set apart.
        max_cond_frame_num: how many prompted frames memory attention sees; -1 for all.
    """

    model_type = "sam2_video"

    vision_config: Sam2VisionConfig = part(Sam2VisionConfig, by_type=True)
    prompt_encoder_config: Sam2VideoPromptEncoderConfig = part(Sam2VideoPromptEncoderConfig)
    mask_decoder_config: Sam2VideoMaskDecoderConfig = part(Sam2VideoMaskDecoderConfig)
    image_size: Side = 1024
    max_cond_frame_num: int = -1
    memory_attention_rope_feat_sizes: list[int] = listed(64, 64)


class Sam3TrackerVideoConfig(_TrackerConfig):
    """The configuration of SAM 3's tracker; the defaults are SAM 3's.

    Args:
        **values: the settings, and `image_size` (1008), which is set last and thereby decides.

    Attributes:
        vision_config: image encoder and neck.
        prompt_encoder_config: of the prompts.
        mask_decoder_config: of the masks.
        max_cond_frame_num: how many prompted frames memory attention sees; -1 for all.
    """

    model_type = "sam3_tracker_video"

    vision_config: Sam3VisionConfig = part(Sam3VisionConfig, by_type=True)
    prompt_encoder_config: Sam3TrackerVideoPromptEncoderConfig = part(Sam3TrackerVideoPromptEncoderConfig)
    mask_decoder_config: Sam3TrackerVideoMaskDecoderConfig = part(Sam3TrackerVideoMaskDecoderConfig)
    max_cond_frame_num: int = 4
    memory_attention_rope_feat_sizes: list[Any] = listed(72, 72)

    def _settle(self, rest: dict[str, Any]) -> None:
        super()._settle(rest)
        self.image_size = rest.pop("image_size", 1008)

    @property
    def image_size(self) -> Side:
        """Side of the input in pixels.

        Setting it sets the nested image sizes, and the sizes of the maps that follow from it.

        Raises:
            ConfigurationError: it is set to no whole number.
        """
        return self.vision_config.image_size

    @image_size.setter
    def image_size(self, value: Side) -> None:
        patch = self.vision_config.backbone_config.patch_size
        if not isinstance(value, int) or isinstance(value, bool) or not isinstance(patch, int):
            raise ConfigurationError(
                f"Expected image_size, and the image encoder's patch_size, to be whole numbers of pixels, "
                f"but got {value!r} and {patch!r}. Pass the side of the square that frames are scaled to."
            )
        self.prompt_encoder_config.image_size = value
        self.vision_config.image_size = value
        sizes = [[scale * value // patch] * 2 for scale in (4, 2, 1)]
        self.vision_config.backbone_feature_sizes = sizes
        self.memory_attention_rope_feat_sizes = list(sizes[-1])

    def _values(self) -> dict[str, Any]:
        return super()._values() | {"image_size": self.image_size}
