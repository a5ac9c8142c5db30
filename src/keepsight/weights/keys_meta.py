"""How Meta's checkpoints name the tensors of our networks."""

from keepsight.weights.keys import KeyTable, common, levels, rows, under

__all__ = ["META"]

_TWO_WAY_NORMS = ("norm1", "norm2", "norm3", "norm4")
_TRUNK = "image_encoder.trunk"
_DECODER = "sam_mask_decoder"
_TRANSFORMER = "mask_decoder.transformer"

META = KeyTable(
    rows=(
        *under(
            "image_encoder.trunk",
            _TRUNK,
            {"patches": "patch_embed.proj", "position": "pos_embed", "window_position": "pos_embed_window"},
        ),
        *under(
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
        *under(
            "image_encoder",
            _TRUNK,
            {"patches": "patch_embed.proj", "position": "pos_embed", "norm": "ln_pre"},
        ),
        *under(
            "image_encoder.blocks.{i}",
            f"{_TRUNK}.blocks.{{i}}",
            {
                "norm1": "norm1",
                "norm2": "norm2",
                "attention.query": "attn.q_proj",
                "attention.key": "attn.k_proj",
                "attention.value": "attn.v_proj",
                "attention.out": "attn.proj",
                "mlp.layers.0": "mlp.fc1",
                "mlp.layers.1": "mlp.fc2",
            },
        ),
        *levels(
            "image_encoder.neck.convs.{i}",
            ("dconv_2x2_0", "dconv_2x2_1", "dconv_2x2"),
            {"project": "conv_1x1", "smooth": "conv_3x3"},
        ),
        # Their neck counts from the coarsest level, ours from the finest.
        *rows(*((f"image_encoder.lateral.{i}", f"image_encoder.neck.convs.{3 - i}.conv") for i in range(4))),
        *rows(
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
        *under(f"{_TRANSFORMER}.blocks.{{i}}", f"{_DECODER}.transformer.layers.{{i}}", _TWO_WAY_NORMS),
        *common(_DECODER, "out_proj"),
        *rows(
            (
                f"{_TRANSFORMER}.blocks.{{i}}.mlp.layers.{{j}}",
                f"{_DECODER}.transformer.layers.{{i}}.mlp.layers.{{j}}",
            ),
            (f"{_TRANSFORMER}.final_norm", f"{_DECODER}.transformer.norm_final_attn"),
        ),
        *under(
            "mask_decoder",
            _DECODER,
            {
                "upscale1": "output_upscaling.0",
                "upscale_norm": "output_upscaling.1",
                "upscale2": "output_upscaling.3",
                "hypernetworks.{i}.layers.{j}": "output_hypernetworks_mlps.{i}.layers.{j}",
                "iou_head.layers.{j}": "iou_prediction_head.layers.{j}",
                "presence_head.layers.{j}": "pred_obj_score_head.layers.{j}",
            },
        ),
        *under(
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
        *under(
            "memory_attention.layers.{i}",
            "memory_attention.layers.{i}",
            {
                "norm1": "norm1",
                "norm2": "norm2",
                "norm3": "norm3",
            },
        ),
        *rows(
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
