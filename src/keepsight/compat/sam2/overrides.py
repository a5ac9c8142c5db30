"""Meta's Hydra overrides: those that name what the networks here do anyway, and no others."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from keepsight.errors import UsageError

__all__ = ["non_overlapping"]

_DECODER = "sam_mask_decoder_extra_args"
_NON_OVERLAP = "non_overlap_masks"

_SUPPORTED: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        _NON_OVERLAP: ("true", "false"),
        "add_all_frames_to_correct_as_cond": ("true",),
        "binarize_mask_from_pts_for_mem_enc": ("true",),
        "clear_non_cond_mem_around_input": ("false",),
        "clear_non_cond_mem_for_multi_obj": ("false",),
        "compile_image_encoder": ("true", "false"),
        "fill_hole_area": ("0",),
        f"{_DECODER}.dynamic_multimask_via_stability": ("true",),
        f"{_DECODER}.dynamic_multimask_stability_delta": ("0.05",),
        f"{_DECODER}.dynamic_multimask_stability_thresh": ("0.98",),
    }
)


def non_overlapping(overrides: Iterable[str]) -> bool:
    """Checks overrides such as "++model.non_overlap_masks=true"; says whether they ask for that one.

    Raises:
        UsageError: one asks for something that the network here does not do.
    """
    chosen = False
    for override in overrides:
        name, _, value = override.lstrip("+~").partition("=")
        name, value = name.strip().removeprefix("model."), value.strip().strip("'\"").lower()
        if value not in _SUPPORTED.get(name, ()):
            raise UsageError(_refusal(override, name))
        if name == _NON_OVERLAP:
            chosen = value == "true"
    return chosen


def _refusal(override: str, name: str) -> str:
    if name in _SUPPORTED:
        return (
            f"Expected the override {name} to be {' or '.join(_SUPPORTED[name])}, which is all that "
            f"keepsight's tracker does, but got {override!r}. Leave the override out."
        )
    return (
        f"Expected an override of {', '.join(_SUPPORTED)}, but got {override!r}. Put other settings into "
        f"the YAML file that config_file names, or load a keepsight.nn.sam2.Sam2Config with "
        f"keepsight.load_model and pass the network to SAM2VideoPredictor."
    )
