"""SAM 2 in Meta's own package `sam2`, behind the same interface."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from keepsight.errors import KeepsightError, WeightsError
from keepsight.tracking_loader.loader import Clip, Seen
from keepsight.tracking_loader.results import OCCLUSION_CONFIDENCE_THRESHOLD, TrackingConfig
from keepsight.weights.catalogue import Checkpoint, known_checkpoint
from keepsight.weights.hub import Hub

__all__ = ["MetaTracker", "build_predictor"]

_SIZES = {"tiny": "t", "small": "s", "base_plus": "b+", "large": "l"}


def build_predictor(config: TrackingConfig, device: str) -> Any:
    """Meta's video predictor without its post-processing, which needs a compiled CUDA extension.

    Args:
        config: `model_id` names one of the published architectures, in any spelling that keepsight knows or
            as the name of the checkpoint file; `checkpoint_path` may hold other weights for it.
        device: where it runs.

    Raises:
        KeepsightError: the package is not installed.
        WeightsError: the architecture is not one of Meta's, or the weights are not to be had.
    """
    if find_spec("sam2") is None:
        raise KeepsightError(
            "framework SAM2 expects Meta's package sam2, which is not installed. Run: pip install rf-sam-2 "
            "(a wheel of Meta's code), or use TrackingFramework.PYTORCH."
        )
    from sam2.build_sam import build_sam2_video_predictor

    checkpoint, path = _weights(config)
    family, _, size = checkpoint.name.partition("_hiera_")
    return build_sam2_video_predictor(
        f"configs/{family}/{family}_hiera_{_SIZES[size]}.yaml",
        str(path),
        device=device,
        apply_postprocessing=False,
    )


def _weights(config: TrackingConfig) -> tuple[Checkpoint, Path]:
    """The architecture, and the file of its weights."""
    given = [Path(name) for name in (config.checkpoint_path, config.model_id) if name is not None]
    named = [known_checkpoint(config.model_id), *(known_checkpoint(path.stem) for path in given)]
    checkpoint = next((known for known in named if known is not None and known.repository), None)
    if checkpoint is None or checkpoint.repository is None:
        raise WeightsError(
            f"Meta's package knows the architectures sam2_hiera_* and sam2.1_hiera_* (tiny, small, "
            f"base_plus, large), but model_id is {config.model_id!r}. Name one of them."
        )
    if config.checkpoint_path is not None or given[-1].is_file():
        path = given[0].expanduser()
        if not path.is_file():
            raise WeightsError(f"The checkpoint {path} does not exist. Check the path.")
        return checkpoint, path
    hub = Hub(cache=None if config.cache_dir is None else Path(config.cache_dir).expanduser())
    return checkpoint, hub.file(checkpoint.repository, checkpoint.file, otherwise=checkpoint.url or "")


class MetaTracker:
    """Meta's predictor on a folder of frames, as it wants them.

    Args:
        predictor: a `SAM2VideoPredictor`.
    """

    def __init__(self, predictor: Any) -> None:
        self._predictor = predictor

    def follow(self, clip: Clip) -> Iterator[Mapping[int, Seen]]:
        """Every object by id, frame by frame."""
        ids = list(clip.masks)
        with TemporaryDirectory(prefix="keepsight-") as folder, _computing(self._predictor.device):
            for number, frame in enumerate(clip.frames):
                picture = frame.convert("RGB")
                # It reads nothing but JPEGs; these lose next to nothing.
                picture.save(Path(folder) / f"{number:05d}.jpg", quality=100, subsampling=0)
            state = self._predictor.init_state(folder, offload_video_to_cpu=True)
            for place, mask in enumerate(clip.masks.values()):
                self._predictor.add_new_mask(state, 0, place, mask)
            with _Scores(self._predictor) as scores:
                for number, places, logits in self._predictor.propagate_in_video(state):
                    estimates = scores.taken()
                    presences = _presences(state, number, len(ids))
                    masks = (logits[:, 0] > 0).cpu().numpy()
                    yield {
                        ids[place]: Seen(
                            masks[row],
                            # A frame that was prompted with a mask is not estimated: the mask is given.
                            presences[place] * (estimates[place] if estimates else 1.0),
                            presences[place] < OCCLUSION_CONFIDENCE_THRESHOLD,
                        )
                        for row, place in enumerate(places)
                    }

    def revised(self) -> Mapping[int, Mapping[int, Seen]]:
        """Nothing: SAM 2 does not look back."""
        return {}


class _Scores:
    """Listens to the mask decoder, whose estimates of IoU the predictor does not hand on."""

    def __init__(self, predictor: Any) -> None:
        self._decoder = predictor.sam_mask_decoder
        self._heard: list[float] = []

    def __enter__(self) -> "_Scores":
        self._hook = self._decoder.register_forward_hook(self._listen)
        return self

    def __exit__(self, *_: object) -> None:
        self._hook.remove()

    def taken(self) -> list[float]:
        """Per object the estimate for the mask chosen, since asked last; the predictor takes the highest."""
        heard, self._heard = self._heard, []
        return heard

    def _listen(self, _module: Any, _inputs: Any, outputs: Any) -> None:
        self._heard += outputs[1].float().amax(dim=1).tolist()


def _presences(state: Mapping[str, Any], frame: int, count: int) -> list[float]:
    found = []
    for place in range(count):
        outputs = state["output_dict_per_obj"][place]
        kept = outputs["cond_frame_outputs"].get(frame) or outputs["non_cond_frame_outputs"][frame]
        found.append(1 / (1 + float(np.exp(-kept["object_score_logits"].float().item()))))
    return found


@contextmanager
def _computing(device: Any) -> Iterator[None]:
    """As Meta's examples compute: on CUDA in bfloat16."""
    import torch

    with torch.autocast("cuda", torch.bfloat16) if device.type == "cuda" else nullcontext():
        yield
