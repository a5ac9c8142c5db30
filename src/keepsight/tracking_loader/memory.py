"""SAM 2, SAMURAI and SAM2Long: one network, three rules of what is remembered."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from keepsight.nn.io import VideoNetwork
from keepsight.session import Session
from keepsight.tracking_loader.loader import Clip, Loader, Seen, Tracker
from keepsight.tracking_loader.meta import MetaTracker, build_predictor
from keepsight.tracking_loader.results import (
    OCCLUSION_CONFIDENCE_THRESHOLD,
    TrackingConfig,
    TrackingFramework,
)
from keepsight.types import Mask, ObjectResult, Prompt
from keepsight.weights.hub import Hub
from keepsight.weights.load import load_network

__all__ = ["SAM2Loader", "SAM2LongLoader", "SAMURAILoader"]

_OURS_OR_METAS = {
    TrackingFramework.ULTRALYTICS: "ultralytics runs the YOLO loader only. Use TrackingFramework.PYTORCH.",
}
_ONLY_OURS = _OURS_OR_METAS | {
    TrackingFramework.SAM2: "Meta's package has only SAM 2's own memory rule. Use TrackingFramework.PYTORCH, "
    "or SAM2Loader with TrackingFramework.SAM2.",
}


class SessionTracker:
    """Keepsight's engine under one policy.

    Args:
        network: a loaded network.
        policy: the memory policy's name.
    """

    def __init__(self, network: VideoNetwork, policy: str) -> None:
        self._network = network
        self._policy = policy
        self._session: Session | None = None
        self._ids: list[int] = []

    def follow(self, clip: Clip) -> Iterator[Mapping[int, Seen]]:
        """Every object by id, frame by frame."""
        self._session = session = Session(self._network, self._policy)
        # Sessions number objects from 0; callers may use any integers.
        self._ids = list(clip.masks)
        prompts: dict[int, Prompt] | None = dict(enumerate(map(Mask, clip.masks.values())))
        for image in clip.images():
            yield self._named(session.step(image, prompts))
            prompts = None

    def revised(self) -> Mapping[int, Mapping[int, Seen]]:
        """What the policy sees otherwise in hindsight; nothing but SAM2Long ever does."""
        if self._session is None:
            return {}
        revisions = self._session.finish()
        self._session = None  # with it goes the memory of the clip
        return {frame: self._named(revisions[frame]) for frame in revisions}

    def _named(self, results: Mapping[int, ObjectResult]) -> dict[int, Seen]:
        return {
            self._ids[place]: Seen(
                found.mask, found.presence * found.score, found.presence < OCCLUSION_CONFIDENCE_THRESHOLD
            )
            for place, found in results.items()
        }


class _SessionLoader(Loader):
    policy: str

    def build(self, device: str) -> Tracker:
        return SessionTracker(load_keepsight(self.config, device), self.policy)


def load_keepsight(config: TrackingConfig, device: str) -> VideoNetwork:
    """The network a configuration names, in keepsight's engine."""
    hub = Hub(cache=None if config.cache_dir is None else Path(config.cache_dir).expanduser())
    network: VideoNetwork = load_network(config.checkpoint_path or config.model_id, device=device, hub=hub)
    return network


class SAMURAILoader(_SessionLoader):
    """SAMURAI: memory gated by motion. Runs in keepsight's engine.

    Confidence is presence times predicted IoU; an object is occluded where its presence is below
    `OCCLUSION_CONFIDENCE_THRESHOLD`.
    """

    policy = "samurai"
    refusals = _ONLY_OURS


class SAM2LongLoader(_SessionLoader):
    """SAM2Long: several accounts of the past, of which the best in hindsight is what `track` returns.

    Confidence and occlusion as for SAMURAI.
    """

    policy = "sam2long"
    refusals = _ONLY_OURS


class SAM2Loader(_SessionLoader):
    """SAM 2 and 2.1 with their own memory rule, in keepsight's engine or in Meta's package.

    Confidence and occlusion as for SAMURAI, from either.
    """

    policy = "sam2"
    refusals = _OURS_OR_METAS

    def build(self, device: str) -> Tracker:
        """Loads the network onto a device."""
        if TrackingFramework(self.config.framework) is TrackingFramework.SAM2:
            return MetaTracker(build_predictor(self.config, device))
        return super().build(device)
