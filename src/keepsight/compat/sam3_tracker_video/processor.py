"""The processor: pictures, videos and prompts in, masks at the picture's size out."""

import json
import os
from dataclasses import asdict, fields
from typing import Any, ClassVar, TypeVar

import numpy as np
import torch
from torch import Tensor

from keepsight.compat.sam3_tracker_video.config_base import output_folder
from keepsight.compat.sam3_tracker_video.encoding import Encoding
from keepsight.compat.sam3_tracker_video.nesting import (
    box_tensor,
    label_tensor,
    point_tensor,
    require_paired,
)
from keepsight.compat.sam3_tracker_video.post_processing import post_process_masks
from keepsight.compat.sam3_tracker_video.preparation import ImagePreparation, PreparedVideo
from keepsight.compat.sam3_tracker_video.processor_files import PROCESSOR_FILE, stored_settings
from keepsight.compat.sam3_tracker_video.prompting import (
    announce,
    frame_size,
    joined,
    listed_ids,
    mask_inputs,
    point_inputs,
    require_points,
    size_pair,
)
from keepsight.compat.sam3_tracker_video.session import (
    Sam2VideoInferenceSession,
    Sam3TrackerVideoInferenceSession,
)
from keepsight.compat.sam3_tracker_video.sources import hub_for
from keepsight.errors import PromptError, UsageError
from keepsight.export.files import new_file, output_errors
from keepsight.nn.sam2 import IMAGENET_MEAN, IMAGENET_STD, SAM3_CENTRE

__all__ = ["Sam2VideoProcessor", "Sam3TrackerVideoProcessor"]

P = TypeVar("P", bound="Sam3TrackerVideoProcessor")
Device = torch.device | str

POINT_PAD_VALUE = -10
_PREPARATION = frozenset(field.name for field in fields(ImagePreparation))


class Sam3TrackerVideoProcessor:
    """transformers' `Sam3TrackerVideoProcessor`, without transformers and torchvision.

    Args:
        image_processor: how images are prepared: an image processor of transformers', an
            `ImagePreparation`, a dictionary of its settings, or None for the model's own.
        video_processor: likewise, of videos; as images unless given.
        target_size: side of the model input, to which points, boxes and masks are scaled; the height to
            which images are resized unless given.
        point_pad_value: what stands in place of missing points and labels.

    Attributes:
        image_processor: an `ImagePreparation`; may be set.
        video_processor: likewise.

    Raises:
        SettingError: a processor without the settings looked for (also a TypeError).
    """

    family: ClassVar[ImagePreparation] = ImagePreparation(1008, 288, SAM3_CENTRE, SAM3_CENTRE)
    image_processor_type: ClassVar[str] = "Sam3ImageProcessor"
    session_class: ClassVar[type[Any]] = Sam3TrackerVideoInferenceSession

    def __init__(
        self,
        image_processor: Any = None,
        video_processor: Any = None,
        target_size: int | None = None,
        point_pad_value: int = POINT_PAD_VALUE,
    ) -> None:
        self.image_processor = self.family.like(image_processor)
        self.video_processor = self.image_processor.like(video_processor)
        self.target_size = self.image_processor.size["height"] if target_size is None else target_size
        self.point_pad_value = point_pad_value

    @classmethod
    def from_pretrained(
        cls: type[P], pretrained_model_name_or_path: str | os.PathLike[str], **kwargs: Any
    ) -> P:
        """A processor as it was stored.

        Args:
            pretrained_model_name_or_path: a folder or file that `save_pretrained` wrote, here or in
                transformers; a repository of the Hugging Face hub; or a name of keepsight's catalogue. The
                repositories of models in the catalogue ("facebook/sam3") are not looked into: their
                settings are known.
            **kwargs: settings that replace stored ones: `target_size`, `point_pad_value`, and those of
                `ImagePreparation`, for images and videos alike; a `size` brings the target size with it.
                `cache_dir` and other options of downloading: see `hub_for`. The rest is passed over.

        Raises:
            PretrainedError: nothing is stored there, or it is damaged (also an OSError).
            UnknownPretrainedError: no such name in the catalogue (also an OSError).
            UsageError: an option of downloading that is not supported.
            SettingError: a setting cannot be used (also a TypeError).
        """
        hub = hub_for(pretrained_model_name_or_path, kwargs.pop("cache_dir", None), kwargs)
        stored = stored_settings(pretrained_model_name_or_path, hub)
        changes = {name: value for name, value in kwargs.items() if name in _PREPARATION}
        if "size" in changes:
            stored.pop("target_size", None)
        pad: Any = kwargs.get("point_pad_value", stored.get("point_pad_value", POINT_PAD_VALUE))
        return cls(
            cls.family.like(stored["image_processor"]).changed(**changes),
            cls.family.like(stored["video_processor"]).changed(**changes),
            kwargs.get("target_size", stored.get("target_size")),
            pad,
        )

    def save_pretrained(self, save_directory: str | os.PathLike[str], **kwargs: Any) -> list[str]:
        """Writes `processor_config.json`, which transformers reads as its own.

        Args:
            save_directory: made if it is not there.
            **kwargs: `push_to_hub` must not be true; others are passed over.

        Returns:
            The path of the file.

        Raises:
            OutputError: it cannot be written.
            UsageError: it is to be uploaded.
        """
        if kwargs.get("push_to_hub"):
            raise UsageError(
                "save_pretrained writes to a folder, but push_to_hub was given. Leave it out, and upload the "
                "folder with `hf upload`."
            )
        path = output_folder(save_directory) / PROCESSOR_FILE
        video_processor = asdict(self.video_processor)
        del video_processor["mask_size"]
        content = {
            "image_processor": asdict(self.image_processor)
            | {"image_processor_type": self.image_processor_type},
            "point_pad_value": self.point_pad_value,
            "processor_class": type(self).__name__,
            "target_size": self.target_size,
            "video_processor": video_processor | {"video_processor_type": "Sam2VideoVideoProcessor"},
        }
        with output_errors(path), new_file(path) as file:
            file.write((json.dumps(content, indent=2, sort_keys=True) + "\n").encode())
        return [str(path)]

    @property
    def model_input_names(self) -> list[str]:
        """What the model and its users read of an answer."""
        return [*self.image_processor.model_input_names, "original_sizes"]

    def __call__(
        self,
        images: Any = None,
        segmentation_maps: Any = None,
        input_points: Any = None,
        input_labels: Any = None,
        input_boxes: Any = None,
        original_sizes: Any = None,
        return_tensors: str | None = None,
        **kwargs: Any,
    ) -> Encoding:
        """Prepares images, and scales points and boxes to them.

        Args:
            images: see `ImagePreparation.__call__`.
            segmentation_maps: one per image.
            input_points: [image][object][point][x, y] in pixels of the images; lists, arrays or tensors.
            input_labels: [image][object][point].
            input_boxes: [image][box][x1, y1, x2, y2] in pixels of the images.
            original_sizes: (height, width) per image, or one for all; only looked at without images.
            return_tensors: "pt", "np" or None; points, labels and boxes are tensors whatever it says.
            **kwargs: `device`, and settings of `ImagePreparation`.

        Returns:
            `pixel_values`, (B, 3, S, S) float32, `original_sizes`, (B, 2), `labels`, (B, M, M), if there are
            segmentation maps, `input_points`, (B, O, N, 2) float32, `input_labels`, (B, O, N) int64, and
            `input_boxes`, (B, O, 4) float32, of what was given. Shorter lists are filled up with
            `point_pad_value`; coordinates are pixels of the model input.

        Raises:
            UsageError: neither images nor sizes are given (also a ValueError).
            PromptError: prompts are nested otherwise or do not belong together (also a ValueError).
            PromptTypeError: a prompt holds something that is no number (also a TypeError).
            PictureError, SettingError: as `ImagePreparation.__call__`.
        """
        if images is not None:
            encoding = self.image_processor(
                images, segmentation_maps, return_tensors=return_tensors, **kwargs
            )
        elif original_sizes is not None:
            given = original_sizes.tolist() if isinstance(original_sizes, Tensor) else original_sizes
            encoding = Encoding(original_sizes=given).converted(return_tensors)
        else:
            raise UsageError(
                "Either images or original_sizes must be provided, but got neither. Give original_sizes as "
                "[[height, width]]."
            )
        sizes = np.asarray(encoding["original_sizes"]).tolist()
        pad = self.point_pad_value
        if input_points is not None:
            encoding["input_points"], points = point_tensor(input_points, sizes, self.target_size, pad)
        if input_labels is not None:
            encoding["input_labels"], labels = label_tensor(input_labels, pad)
            if input_points is not None:
                require_paired(points, labels)
        if input_boxes is not None:
            encoding["input_boxes"] = box_tensor(input_boxes, sizes, self.target_size)
        return encoding

    def init_video_session(
        self,
        video: Any = None,
        inference_device: Device = "cpu",
        inference_state_device: Device | None = None,
        processing_device: Device | None = None,
        video_storage_device: Device | None = None,
        max_vision_features_cache_size: int = 1,
        dtype: torch.dtype = torch.float32,
    ) -> Any:
        """An inference session, over a video or for a stream.

        Args:
            video: see `PreparedVideo`; it is opened, and frames are read and prepared when they are asked
                for. None for a stream.
            inference_device: where the model computes.
            inference_state_device: as `inference_device` unless given.
            processing_device: where frames are prepared; as `inference_device` unless given.
            video_storage_device: where handed-in frames are kept; as `inference_device` unless given.
            max_vision_features_cache_size: handed to the session.
            dtype: of the frames that the session gives.

        Raises:
            PictureError: it is no video, or cannot be read (also a ValueError and a TypeError).
        """
        prepared = None
        if video is not None:
            place = inference_device if processing_device is None else processing_device
            prepared = PreparedVideo(video, self.video_processor, place)
        return self.session_class(
            video=prepared,
            video_height=prepared.height if prepared else None,
            video_width=prepared.width if prepared else None,
            inference_device=inference_device,
            inference_state_device=inference_state_device or inference_device,
            video_storage_device=video_storage_device or inference_device,
            dtype=dtype,
            max_vision_features_cache_size=max_vision_features_cache_size,
        )

    def add_inputs_to_inference_session(  # noqa: PLR0913, transformers' signature
        self,
        inference_session: Any,
        frame_idx: int,
        obj_ids: Any,
        input_points: Any = None,
        input_labels: Any = None,
        input_boxes: Any = None,
        input_masks: Any = None,
        original_size: Any = None,
        clear_old_inputs: bool = True,
    ) -> Any:
        """Says by points, boxes or masks which objects are meant on a frame.

        Args:
            inference_session: the session.
            frame_idx: the frame.
            obj_ids: the id of one object, a number or a string, or a list of them; new ones join.
            input_points: [image][object][point][x, y] in pixels of the video, of one image.
            input_labels: [image][object][point]: 1 on the object, 0 not.
            input_boxes: [image][object][x1, y1, x2, y2], alone or together with points.
            input_masks: (H, W) per object, with up to two dimensions of length 1 before it: an array or a
                tensor, or a list of these; alone.
            original_size: (height, width) of the video; needed with the first prompt of a stream.
            clear_old_inputs: forget earlier points and boxes of these objects on the frame; otherwise points
                are added to them.

        Returns:
            The session.

        Raises:
            PromptError: the prompt does not fit (also a ValueError). Nothing in the session is changed.
            PromptTypeError: it holds something that is no number (also a TypeError).
        """
        if input_masks is None:
            return self.process_new_points_or_boxes_for_video_frame(
                inference_session,
                frame_idx,
                obj_ids,
                input_points,
                input_labels,
                input_boxes,
                original_size,
                clear_old_inputs,
            )
        if not (input_points is None and input_labels is None and input_boxes is None):
            raise PromptError(
                "Expected masks alone, since masks cannot be provided together with points or boxes, but got "
                "both. Call once for each kind, with different objects or frames."
            )
        size = None if original_size is None else size_pair(original_size)
        self.process_new_mask_for_video_frame(inference_session, frame_idx, obj_ids, input_masks)
        if size is not None:
            inference_session.video_height, inference_session.video_width = size
        return inference_session

    def process_new_points_or_boxes_for_video_frame(
        self,
        inference_session: Any,
        frame_idx: int,
        obj_ids: Any,
        input_points: Any = None,
        input_labels: Any = None,
        input_boxes: Any = None,
        original_size: Any = None,
        clear_old_inputs: bool = True,
    ) -> Any:
        """The part of `add_inputs_to_inference_session` for points and boxes."""
        if (input_points is None) != (input_labels is None):
            raise PromptError(
                "Expected points and labels, which must be provided together, but got one without the other. "
                "Give each point a label."
            )
        if input_points is None and input_boxes is None:
            raise PromptError(
                "Expected at least one of points, boxes, or masks to be provided as input, but got none."
            )
        if input_boxes is not None and not clear_old_inputs:
            raise PromptError(
                "Expected a box as an object's first prompt on a frame, but cannot add box without clearing "
                "old points. Leave clear_old_inputs at True, or give points."
            )
        session, ids = inference_session, listed_ids(obj_ids)
        size = frame_size(session, original_size)
        encoded = self(None, None, input_points, input_labels, input_boxes, [size])
        points, labels, boxes = map(encoded.get, ("input_points", "input_labels", "input_boxes"))
        prompts = point_inputs(points, labels, boxes, ids, self.point_pad_value)
        if not clear_old_inputs:
            prompts = [joined(session, i, frame_idx, p) for i, p in zip(ids, prompts, strict=True)]
        require_points(ids, prompts)
        session.video_height, session.video_width = size
        for obj_id, prompt in zip(ids, prompts, strict=True):
            number = session.obj_id_to_idx(obj_id)
            session.remove_mask_inputs(number, frame_idx)
            session.add_point_inputs(number, frame_idx, prompt)
        announce(session, ids)
        return session

    def process_new_mask_for_video_frame(
        self, inference_session: Any, frame_idx: int, obj_ids: Any, input_masks: Any
    ) -> Any:
        """The part of `add_inputs_to_inference_session` for masks."""
        session, ids = inference_session, listed_ids(obj_ids)
        masks = mask_inputs(input_masks, ids, self.target_size, session.inference_device)
        for obj_id, mask in zip(ids, masks, strict=True):
            number = session.obj_id_to_idx(obj_id)
            session.remove_point_inputs(number, frame_idx)
            session.add_mask_inputs(number, frame_idx, mask)
        announce(session, ids)
        return session

    def post_process_masks(
        self,
        masks: Any,
        original_sizes: Any,
        mask_threshold: float = 0.0,
        binarize: bool = True,
        max_hole_area: float = 0.0,
        max_sprinkle_area: float = 0.0,
        apply_non_overlapping_constraints: bool = False,
        **kwargs: Any,
    ) -> list[Tensor]:
        """See `keepsight.compat.sam3_tracker_video.post_processing.post_process_masks`."""
        return post_process_masks(
            masks,
            original_sizes,
            mask_threshold,
            binarize,
            max_hole_area,
            max_sprinkle_area,
            apply_non_overlapping_constraints,
        )


class Sam2VideoProcessor(Sam3TrackerVideoProcessor):
    """transformers' `Sam2VideoProcessor`; see `Sam3TrackerVideoProcessor`."""

    family = ImagePreparation(1024, 256, IMAGENET_MEAN, IMAGENET_STD)
    image_processor_type = "Sam2ImageProcessor"
    session_class: ClassVar[type[Any]] = Sam2VideoInferenceSession
