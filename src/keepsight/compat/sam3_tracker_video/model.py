"""The model classes: a network, and how it is run over an inference session."""

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from rich.progress import track
from torch import Tensor, nn

from keepsight.compat.passes import frame_order
from keepsight.compat.sam3_tracker_video.configuration import Sam2VideoConfig, Sam3TrackerVideoConfig
from keepsight.compat.sam3_tracker_video.courses import Policy
from keepsight.compat.sam3_tracker_video.outputs import (
    Sam2VideoSegmentationOutput,
    Sam3TrackerVideoSegmentationOutput,
)
from keepsight.compat.sam3_tracker_video.pretrained import load_pretrained, random_network, save_pretrained
from keepsight.compat.sam3_tracker_video.session import Sam3TrackerVideoInferenceSession, presence_of
from keepsight.compat.sam3_tracker_video.sources import hub_for
from keepsight.errors import UsageError
from keepsight.session.state import Answer

__all__ = ["Sam2VideoModel", "Sam3TrackerVideoModel"]

Session = Sam3TrackerVideoInferenceSession
Output = Sam3TrackerVideoSegmentationOutput


class Sam3TrackerVideoModel(nn.Module):
    """transformers' `Sam3TrackerVideoModel`, with keepsight's network and engine behind it.

    Args:
        config: of the network, which gets random weights; see `from_pretrained` for others.
        policy: name of a memory policy ("sam2", "samurai", "sam2long"), or a policy object; keepsight's own.

    Attributes:
        config: as given or read.
        policy: of sessions that are run from now on; may be set.
        network: the network, which `keepsight.Session` and `keepsight.VideoTracker` take too.
    """

    config_class: type[Sam3TrackerVideoConfig] | type[Sam2VideoConfig] = Sam3TrackerVideoConfig
    output_class: type[Output] = Output

    def __init__(self, config: Any = None, *, policy: Policy = "sam2") -> None:
        super().__init__()
        self.config = self.config_class() if config is None else config
        self.policy = policy
        self.network = random_network(self.config)
        self.eval()

    @classmethod
    def from_pretrained(
        cls,
        pretrained_model_name_or_path: Any,
        *,
        config: Any = None,
        dtype: Any = None,
        torch_dtype: Any = None,
        device_map: Any = None,
        cache_dir: Any = None,
        policy: Policy = "sam2",
        **kwargs: Any,
    ) -> "Sam3TrackerVideoModel":
        """Loads a model.

        Args:
            pretrained_model_name_or_path: a repository of the Hugging Face hub, a folder, a file, or a
                name of keepsight's catalogue such as "pocket".
            config: instead of the checkpoint's own.
            dtype: of the weights; the checkpoint's own unless given.
            torch_dtype: the older name of `dtype`.
            device_map: one device, also as its number or as {"": device}; the CPU unless given.
            cache_dir: the folder that downloads are kept in.
            policy: see the class.
            **kwargs: transformers' other settings, such as `attn_implementation`; passed over, except for
                those of downloads that keepsight does not have.

        Raises:
            WeightsError, UnknownModelError: as `keepsight.load_model`; what is missing is an OSError as well.
            UsageError: several devices, a type that is unknown, an option of downloads that is not to be had.
        """
        network, config = load_pretrained(
            pretrained_model_name_or_path,
            config=config,
            device=one_device(device_map),
            dtype=torch_dtype if dtype is None else dtype,
            hub=hub_for(pretrained_model_name_or_path, cache_dir, kwargs),
        )
        model = cls.__new__(cls)
        nn.Module.__init__(model)
        model.config, model.policy, model.network = config, policy, network
        return model.eval()

    def save_pretrained(self, save_directory: Any, **kwargs: Any) -> None:
        """Writes config.json and model.safetensors, which transformers reads back too."""
        save_pretrained(self.network, self.config, save_directory)

    @property
    def device(self) -> torch.device:
        """Where the network computes."""
        return self.network.device

    @property
    def dtype(self) -> torch.dtype:
        """The type of the weights."""
        return self.network.dtype

    @property
    def image_size(self) -> int:
        """The side of the network's square input, in pixels."""
        return self.network.input_spec.size

    def forward(
        self,
        inference_session: Session,
        frame_idx: int | None = None,
        frame: Tensor | None = None,
        reverse: bool = False,
        run_mem_encoder: bool = True,
        **kwargs: Any,
    ) -> Output:
        """Answers the inputs of a frame and finds all other objects on it.

        Args:
            inference_session: the video or stream.
            frame_idx: a frame of the session; of a streamed frame its number, the next one unless given.
            frame: (3, S, S) or (1, 3, S, S), a new frame of a stream. It is not kept, unless the session
                holds a video.
            reverse: whether tracking goes towards frame 0.
            run_mem_encoder: accepted; answers are always remembered, which tracking needs.
            **kwargs: passed over, as by transformers.

        Raises:
            UsageError: no frame, no objects, or an object of which nothing was said yet (also a ValueError).
            MissingFrameError: the frame is not held (also a KeyError and an IndexError).
            PromptError: inputs that do not fit the frame (also a ValueError). Nothing is changed.
        """
        session = inference_session
        if not session.get_obj_num():
            raise UsageError(
                "Expected inputs of at least one object before the model is run, but no objects are provided "
                "for tracking. Call add_inputs_to_inference_session first."
            )
        if frame is not None:
            frame_idx, answers = session.follow_stream(
                self.network, self.policy, frame, frame_idx, reverse=reverse
            )
        elif frame_idx is not None:
            answers = session.follow(self.network, self.policy, frame_idx, reverse=reverse)
        else:
            raise UsageError("Expected frame_idx, or frame for a stream, but got neither. Give one of them.")
        return self._output(session, frame_idx, answers)

    def propagate_in_video_iterator(
        self,
        inference_session: Session,
        start_frame_idx: int | None = None,
        max_frame_num_to_track: int | None = None,
        reverse: bool = False,
        show_progress_bar: bool = False,
    ) -> Iterator[Output]:
        """Finds all objects on frame after frame.

        Args:
            inference_session: the video.
            start_frame_idx: where to start; the earliest frame whose inputs were answered unless given.
            max_frame_num_to_track: how many frames to go on after the first; to the video's end unless given.
            reverse: towards frame 0; from frame 0 itself nothing is yielded.
            show_progress_bar: draw one.

        Raises:
            UsageError: no frame to start from, a stream, or as `forward` (also a ValueError).
        """
        session = inference_session
        if session.processed_frames is None:
            raise UsageError(
                "Expected a session that holds a video, but its frames were streamed and are not kept. Give "
                "the video to init_video_session, or keep frames with add_new_frame."
            )
        start = start_frame_idx
        if start is None:
            answered = session.conditioning_frames()
            if not answered:
                raise UsageError(
                    "Cannot determine the starting frame index: expected inputs to have been answered, but "
                    "none were. Give start_frame_idx, or run the model on a frame with inputs first."
                )
            start = answered[0]
        order = frame_order(start, max_frame_num_to_track, len(session.processed_frames), reverse=reverse)
        for index in track(order, description="propagate in video", disable=not show_progress_bar):
            yield self(session, frame_idx=index, reverse=reverse)

    def _output(self, session: Session, frame_idx: int, answers: Mapping[int, Answer]) -> Output:
        rows = [answers[session.obj_id_to_idx(obj_id)] for obj_id in session.obj_ids]
        return self.output_class(
            session.obj_ids,
            torch.stack([answer.logits for answer in rows]),
            torch.stack([presence_of(answer) for answer in rows]),
            frame_idx,
        )


class Sam2VideoModel(Sam3TrackerVideoModel):
    """transformers' `Sam2VideoModel`; see `Sam3TrackerVideoModel`."""

    config_class = Sam2VideoConfig
    output_class = Sam2VideoSegmentationOutput


def one_device(device_map: Any) -> Any:
    """The device that a `device_map` names; the CPU for None.

    Raises:
        UsageError: it names several.
    """
    devices = list(device_map.values()) if isinstance(device_map, Mapping) else [device_map]
    if len(devices) != 1:
        raise UsageError(
            f"Expected device_map to name one device, but got {device_map!r}. keepsight's networks are small "
            f'enough for one: pass device_map="cuda", or leave it out and call .to(device).'
        )
    device = devices[0]
    if device is None:
        return "cpu"
    return f"cuda:{device}" if isinstance(device, int) else device
