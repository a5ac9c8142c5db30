"""Loaders by name."""

from collections.abc import Mapping
from types import MappingProxyType

from keepsight.tracking_loader.loader import TrackingModelLoader
from keepsight.tracking_loader.memory import SAM2Loader, SAM2LongLoader, SAMURAILoader
from keepsight.tracking_loader.results import TrackingConfig
from keepsight.tracking_loader.yolo import YOLO11SegLoader

__all__ = ["LOADERS", "create_tracking_loader"]

LOADERS: Mapping[str, type[TrackingModelLoader]] = MappingProxyType(
    {
        "samurai": SAMURAILoader,
        "sam2long": SAM2LongLoader,
        "sam2-long": SAM2LongLoader,
        "sam2": SAM2Loader,
        "sam2.1": SAM2Loader,
        "yolo11n-seg": YOLO11SegLoader,
        "yolo11seg": YOLO11SegLoader,
    }
)
"""Every name that `create_tracking_loader` knows."""


def create_tracking_loader(
    model_name: str = "samurai", config: TrackingConfig | None = None
) -> TrackingModelLoader:
    """Makes a loader; nothing is loaded yet.

    Args:
        model_name: "samurai", "sam2long" or "sam2-long", "sam2" or "sam2.1", "yolo11n-seg" or "yolo11seg"; in
            any case, and with `_` for `-`.
        config: which model and where; when omitted, `pocket`, for YOLO `yolo11n-seg`, on the best device.

    Raises:
        ValueError: the name is unknown (the message lists the known), or the configuration does not fit.
    """
    kind = LOADERS.get(model_name.strip().lower().replace("_", "-"))
    if kind is None:
        raise ValueError(f"Expected a tracker, one of {', '.join(LOADERS)}, but got {model_name!r}.")
    if config is None:
        model = "yolo11n-seg" if kind is YOLO11SegLoader else "pocket"
        config = TrackingConfig(model_id=model, device="auto")
    return kind(config)
