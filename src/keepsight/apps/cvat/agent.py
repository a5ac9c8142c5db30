"""The agent function: `cvat-cli function run-agent ID --function-module keepsight.apps.cvat.agent`.

CVAT Online and Enterprise hand requests to a program on a machine of one's own, the agent of `cvat-cli`. It
makes the function with `create` and calls it as `cvat_sdk.auto_annotation.TrackingFunction` says: once per
image, then once per object. So objects share the image encoder's work, but are not followed as one batch.

What is kept of an object is the same as in the Nuclio function: packed, in main memory (of `pocket` one
mebibyte in bfloat16, two in float32). For the agent never says that an object is done with; it drops what was
not used for eight hours.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib import import_module
from math import inf
from numbers import Real
from pathlib import Path
from typing import Any, get_args

import torch
from PIL import Image

from keepsight.apps.cvat.envelope import Kept
from keepsight.apps.cvat.follower import Follower, Picture
from keepsight.apps.cvat.pictures import upright
from keepsight.apps.cvat.settings import Lost, Settings
from keepsight.apps.cvat.wire import KINDS, read_shape
from keepsight.errors import KeepsightError, UsageError
from keepsight.memory import make_policy
from keepsight.weights.device import pick_device, pick_dtype
from keepsight.weights.hub import Hub
from keepsight.weights.load import load_network, open_checkpoint

try:
    sdk: Any = import_module("cvat_sdk.auto_annotation")
except ImportError as error:
    raise UsageError(
        "The CVAT agent function needs the package cvat-sdk, which is not installed. Install it, with Python "
        "3.11 or newer: pip install 'keepsight[cvat]'."
    ) from error

__all__ = ["AgentFunction", "TrackedObject", "create"]


@dataclass
class TrackedObject:
    """One object between two frames: what `AgentFunction.track` reads and replaces."""

    kept: Kept


class AgentFunction:
    """Tracks rectangles, polygons and masks for an agent; the network is loaded for the first image.

    Args:
        settings: the choices; see `create`, which checks them.

    Attributes:
        spec: the kinds of shapes, as the SDK has it.
    """

    def __init__(self, settings: Settings) -> None:
        self.spec: Any = sdk.TrackingFunctionSpec(supported_shape_types=frozenset(KINDS))
        self._settings = settings
        self._follower: Follower | None = None

    def preprocess_image(self, context: object, image: Image.Image) -> Picture:
        """Turns an image of any mode upright and runs the image encoder on it.

        Raises:
            BadFunctionError: the image or the model cannot be read, or memory is short.
        """
        with _told():
            return self._loaded().look(upright(image))

    def init_tracking_state(self, context: object, pp_image: Picture, shape: Any) -> TrackedObject:
        """Starts an object.

        Args:
            context: not used; the kind of shape is the shape's.
            pp_image: from `preprocess_image`.
            shape: the SDK's `TrackableShape`, in pixels of the image.

        Raises:
            BadFunctionError: the shape is none, lies outside the image or has no area.
        """
        with _told():
            drawn = read_shape({"type": shape.type, "points": shape.points}, 0, self._settings)
            (kept,) = self._loaded().begin([drawn], pp_image)
            return TrackedObject(kept)

    def track(self, context: object, pp_image: Picture, state: TrackedObject) -> Any:
        """Finds an object on the next image; on failure the state is as it was.

        Args:
            context: not used; the state knows the kind of shape.
            pp_image: from `preprocess_image`.
            state: the object; goes on.

        Returns:
            A `TrackableShape` of the kind it began with, or None where the object is not found. It may be
            found again later.

        Raises:
            BadFunctionError: the image has another size than the one before.
        """
        with _told():
            (found,) = self._loaded().follow([state.kept], pp_image)
        state.kept = found.kept
        if found.shape is None:
            return None
        return sdk.TrackableShape(type=found.shape.kind, points=list(found.shape.points))

    def _loaded(self) -> Follower:
        if self._follower is None:
            choice = self._settings
            try:
                network = load_network(choice.model, device=choice.device, dtype=choice.dtype)
            except KeepsightError as error:
                # Where its files lie is the business of who runs the agent; its log gets the cause.
                raise sdk.BadFunctionError(
                    "The tracker's model cannot be loaded. Its agent's log says why."
                ) from error
            self._follower = Follower(network, choice)
        return self._follower


def create(
    model_id: str = "pocket",
    device: str = "auto",
    policy: str = "sam2",
    dtype: str = "auto",
    polygon_tolerance: float = 1.0,
    lost_rectangle: str = "null",
) -> AgentFunction:
    """Makes the function; `cvat-cli` calls it with what `-p NAME=TYPE:VALUE` says.

    Nothing is downloaded and no network loaded yet, since `create-native` only asks for the kinds of shapes.

    A lost rectangle is None, as the SDK has it: only so can the caller tell an object that is gone from one
    that stands still, and end its track; a box that stays behind is an annotation nobody drew. One caller
    cannot read None: the AI Tools panel, which tracks boxes frame by frame, fails on it for all boxes at once
    (as of 2026). Whoever works there says "hold", which repeats the last box. The Nuclio function holds
    unless told otherwise, because in CVAT Community that panel is how boxes come to it.

    Args:
        model_id: catalogue name, Hugging Face repository or path.
        device: "auto", "cpu", "cuda", "cuda:1", "mps".
        policy: name of a memory policy: "sam2", "samurai", "sam2long".
        dtype: "auto", "float32", "bfloat16", "float16".
        polygon_tolerance: how far a polygon may stray from the mask's outline, in pixels.
        lost_rectangle: "null" or "hold".

    Raises:
        UsageError: a value is of the wrong type, or a device or number type this machine does not have.
        PolicyError: the policy is unknown.
        UnknownModelError, WeightsError: the catalogue has no such model, or the file is missing or damaged.
    """
    texts = {
        "model_id": model_id,
        "device": device,
        "policy": policy,
        "dtype": dtype,
        "lost_rectangle": lost_rectangle,
    }
    for name, value in texts.items():
        if not isinstance(value, str):
            raise UsageError(f"Expected {name} to be a text, but got {value!r}. Write -p {name}=str:VALUE.")
    if not isinstance(polygon_tolerance, Real) or not 0 <= polygon_tolerance < inf:
        raise UsageError(f"Expected polygon_tolerance to be a number from 0, but got {polygon_tolerance!r}.")
    if lost_rectangle not in get_args(Lost):
        raise UsageError(
            f"Expected lost_rectangle to be one of {', '.join(get_args(Lost))}, but got {lost_rectangle!r}."
        )
    make_policy(policy)
    pick_dtype(dtype, pick_device(device))
    with suppress(_ElsewhereError), open_checkpoint(model_id, hub=_Unasked()):
        pass
    return AgentFunction(
        Settings(
            model=model_id,
            policy=policy,
            device=device,
            dtype=dtype,
            polygon_tolerance=float(polygon_tolerance),
            lost_rectangle="hold" if lost_rectangle == "hold" else "null",
        )
    )


class _ElsewhereError(Exception):
    """A checkpoint is not on this machine's disk by its own path, but the hub's."""


class _Unasked(Hub):
    """A hub that is not asked: names and paths are checked without it."""

    def file(self, repository: str, name: str, *, otherwise: str = "") -> Path:
        raise _ElsewhereError(repository)

    def folder(self, repository: str) -> Path:
        raise _ElsewhereError(repository)


@contextmanager
def _told() -> Iterator[None]:
    """Errors as the only kind of which CVAT shows its user the sentence."""
    try:
        yield
    except (torch.OutOfMemoryError, MemoryError) as error:
        raise sdk.BadFunctionError(
            "The machine that tracks has no memory left for this image. Try again later, or with a smaller "
            "model."
        ) from error
    except KeepsightError as error:
        raise sdk.BadFunctionError(str(error)) from error
