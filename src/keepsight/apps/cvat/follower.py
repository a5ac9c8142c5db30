"""Objects begun on one picture and followed into the next: what the Nuclio function and the agent share."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch

from keepsight.apps.cvat.envelope import Kept
from keepsight.apps.cvat.figures import figure_of, prompt_of
from keepsight.apps.cvat.settings import Settings
from keepsight.apps.cvat.wire import Drawn
from keepsight.errors import SourceError
from keepsight.memory import make_policy
from keepsight.nn.io import ImageFeatures
from keepsight.nn.sam2 import Sam2
from keepsight.session import Session, SessionState
from keepsight.session.clicks import Clicks
from keepsight.session.engine import Engine
from keepsight.session.snapshot import pack, unpack
from keepsight.session.state import Track
from keepsight.types import Frame, FrameResult, ImageArray
from keepsight.weights.save import fingerprint

__all__ = ["Followed", "Follower", "Picture"]

ONE = 0  # the number that an object has by itself
LAST, NEXT = 0, 1  # the numbers of the frame an object was kept on, and of the one it is followed into


class Picture(NamedTuple):
    """A frame and what the image encoder made of it; any number of objects may use it, none changes it."""

    image: ImageArray
    features: ImageFeatures

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self.image.shape[0], self.image.shape[1]


class Followed(NamedTuple):
    """One object on a picture: its shape, None where it was not found, and what is to be kept of it."""

    shape: Drawn | None
    kept: Kept


class Follower:
    """Begins and follows objects. It holds nothing of them, and answers each as if it were alone.

    Args:
        network: computes; shared by all objects.
        settings: the deployment's choices.

    Raises:
        PolicyError: the settings name an unknown policy.
    """

    def __init__(self, network: Sam2, settings: Settings) -> None:
        self._network = network
        self._settings = settings
        self._engine: Engine[Any] = Engine(network, make_policy(settings.policy, network))
        self._fingerprint = fingerprint(network)

    def warm_up(self) -> None:
        """Runs the network once on every path that requests take."""
        picture = self.look(np.zeros((64, 64, 3), np.uint8))
        for drawn in (Drawn("rectangle", (8, 8, 40, 40)), Drawn("polygon", (8, 8, 40, 8, 40, 40))):
            self.follow(self.begin([drawn], picture), picture)

    def look(self, image: ImageArray) -> Picture:
        """Runs the image encoder on a frame, (H, W, 3) uint8 RGB."""
        with torch.inference_mode():
            return Picture(image, self._engine.encode(image))

    def begin(self, shapes: Sequence[Drawn], picture: Picture) -> list[Kept]:
        """Starts objects on a picture.

        Raises:
            PromptError: a shape lies outside the picture or has no area.
        """
        prompts = [prompt_of(shape, *picture.size) for shape in shapes]
        clicks = {i: Clicks.of(prompt, picture.size) for i, prompt in enumerate(prompts)}
        with torch.inference_mode():
            tracks = self._engine.prompt({}, LAST, picture.features, clicks, forward=True)
        return [self._packed(LAST, picture.size, tracks[i], shape) for i, shape in enumerate(shapes)]

    def follow(self, kept: Sequence[Kept], picture: Picture) -> list[Followed]:
        """Finds objects on the next picture, all as one batch.

        Raises:
            SnapshotError: what was kept is of another model or policy, or damaged.
            SourceError: the picture has another size than the one that an object was kept on.
        """
        tracks = {i: self._track(one, picture.size) for i, one in enumerate(kept)}
        with torch.inference_mode():
            tracks = self._engine.advance(tracks, NEXT, picture.features)
            result = self._rendered(tracks, picture)
        return [self._followed(one, result, i, tracks[i], picture.size) for i, one in enumerate(kept)]

    def _rendered(self, tracks: dict[int, Track[Any]], picture: Picture) -> FrameResult:
        session = Session(self._network, self._engine.policy)
        state: SessionState[Any] = SessionState(NEXT, True, picture.size)
        session.restore(state.with_tracks(tracks), frame=Frame(NEXT, None, picture.image))
        return session.result()

    def _followed(
        self, kept: Kept, result: FrameResult, i: int, track: Track[Any], size: tuple[int, int]
    ) -> Followed:
        shape = figure_of(result[i], kept.shape, self._settings.polygon_tolerance)
        last = kept.shape if shape is None else shape
        if shape is None and last.kind == "rectangle" and self._settings.lost_rectangle == "hold":
            shape = last
        return Followed(shape, self._packed(NEXT, size, track, last))

    def _track(self, kept: Kept, size: tuple[int, int]) -> Track[Any]:
        """An object's track, its frames counted so that the last one has the same number for all objects."""
        snapshot = unpack(
            kept.session,
            fingerprint=self._fingerprint,
            policy=self._settings.policy,
            shape_types={ONE: kept.shape.kind},
            index=LAST,
            device=self._network.device,
        )
        # Not left to `unpack`: the state is good, it is the picture that does not fit.
        if snapshot.state.size != size:
            height, width = snapshot.state.size or (0, 0)
            raise SourceError(
                f"Expected an image of {width} x {height} pixels, like the one that the object was begun on, "
                f"but got {size[1]} x {size[0]}. Begin the object anew on images of another size."
            )
        return snapshot.state.tracks[ONE]

    def _packed(self, index: int, size: tuple[int, int], track: Track[Any], shape: Drawn) -> Kept:
        if shape.kind == "mask":  # nobody reads its runs again, and they may be a million
            shape = Drawn("mask", ())
        state: SessionState[Any] = SessionState(index, True, size)
        session = pack(
            state.with_tracks({ONE: track}),
            fingerprint=self._fingerprint,
            policy=self._settings.policy,
            shape_types={ONE: shape.kind},
            # SAM 2's own predictor keeps its maps in bfloat16 whatever it computes in.
            half=self._network.newest_only is None,
            newest_only=self._network.newest_only,
            coarse_from=self._network.coarse_from,
        )
        return Kept(shape, session)
