"""Tracking for CVAT: a request's image and objects in, their shapes and states out."""

import hashlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch

from keepsight.apps.cvat.envelope import Kept
from keepsight.apps.cvat.figures import figure_of, prompt_of
from keepsight.apps.cvat.pictures import read_picture
from keepsight.apps.cvat.settings import Settings
from keepsight.apps.cvat.wire import Drawn, answer, read_request
from keepsight.errors import ConflictError, UsageError
from keepsight.nn.sam2 import Sam2
from keepsight.session import PreparedFrame, Session, SessionState
from keepsight.session.snapshot import pack, unpack
from keepsight.session.state import Track
from keepsight.store import Live, SnapshotStore, Spent, Step
from keepsight.transforms import image_to_input
from keepsight.types import Box, FrameResult, Prompt
from keepsight.weights.load import load_network
from keepsight.weights.save import fingerprint

__all__ = ["TrackingService"]

NOT_FOUND = b""  # the kept answer of an object that was not found
ONE = 0  # the number that an object has in its own session


class _Answered(NamedTuple):
    """One object's answer: its shape, and its state's token."""

    shape: Drawn | None
    token: str


class TrackingService:
    """Answers requests; all it knows between them is in the store.

    Args:
        network: computes; shared by all requests.
        store: keeps the objects' states.
        settings: the deployment's choices.
    """

    def __init__(self, network: Sam2, store: SnapshotStore, settings: Settings) -> None:
        self._network = network
        self._store = store
        self._settings = settings
        self._fingerprint = fingerprint(network)

    @classmethod
    def loaded(cls, settings: Settings, store: SnapshotStore) -> "TrackingService":
        """With the network that the settings name.

        Raises:
            WeightsError, UnknownModelError, UsageError, PolicyError: as `load_network` and `Session`.
        """
        network = load_network(settings.model, device=settings.device, dtype=settings.dtype)
        Session(network, settings.policy)  # which knows the policy, or says so
        return cls(network, store, settings)

    def warm_up(self) -> None:
        """Runs the network once on every path that a request takes."""
        session = Session(self._network, self._settings.policy)
        black = np.zeros((64, 64, 3), np.uint8)
        session.step(black, {ONE: Box(8, 8, 40, 40)})
        session.step(black)

    def handle(self, body: object) -> dict[str, Any]:
        """Answers a request's JSON with an answer's.

        Nothing is kept unless every object of the request was answered; the same request again gets the
        same answer.

        Raises:
            UsageError, TooLargeError, PromptError, SourceError: the request is not as it should be.
            MissingSnapshotError, ConflictError, SnapshotError, StoreUnavailableError: its states are not.
        """
        request = read_request(body, self._settings)
        tokens = [item.token for item in request.items if item.token is not None]
        drawn = [item.shape for item in request.items if item.shape is not None]
        if len(set(tokens)) != len(tokens):
            raise UsageError("Expected every state once, but one is there twice. Track each object once.")
        image = read_picture(request.image, self._settings.max_image_pixels)
        pixels = image_to_input(image, self._network.input_spec, self._network.device)
        picture = PreparedFrame(0, None, image, pixels)
        begun = iter(self._begin(drawn, picture))
        try:
            followed = iter(self._follow(tokens, picture, hashlib.sha256(request.image).hexdigest()))
        except BaseException:
            self._store.delete([one.token for one in begun])
            raise
        answered = [next(followed) if item.shape is None else next(begun) for item in request.items]
        return answer([one.shape for one in answered], [one.token for one in answered])

    def _begin(self, drawn: Sequence[Drawn], picture: PreparedFrame) -> list[_Answered]:
        """Starts objects on a frame; they are answered as they were drawn."""
        if not drawn:
            return []
        height, width = picture.image.shape[:2]
        prompts: dict[int, Prompt] = {i: prompt_of(one, height, width) for i, one in enumerate(drawn)}
        session = Session(self._network, self._settings.policy)
        session.step(picture, prompts)
        state = session.snapshot()
        kept = [self._packed(state, i, one).to_bytes() for i, one in enumerate(drawn)]
        return [_Answered(one, token) for one, token in zip(drawn, self._store.put(kept), strict=True)]

    def _follow(self, tokens: Sequence[str], picture: PreparedFrame, digest: str) -> list[_Answered]:
        """Finds objects on the next frame; those that were asked the same before get the same answer."""
        records = self._store.get(tokens) if tokens else ()
        for record in records:
            if isinstance(record, Spent) and record.request != digest:
                raise ConflictError(
                    "Expected states that nobody has used, but one was used with another image. Go on from "
                    "the newest state, or start the object anew."
                )
        fresh = {
            i: Kept.from_bytes(record.snapshot)
            for i, record in enumerate(records)
            if isinstance(record, Live)
        }
        steps = {i: self._step(tokens[i], *found) for i, found in self._found(fresh, picture).items()}
        spent = dict(
            zip(steps, self._store.advance(list(steps.values()), digest) if steps else (), strict=True)
        )
        done = [spent.get(i, record) for i, record in enumerate(records)]
        return [
            _Answered(None if one.answer == NOT_FOUND else Drawn.from_json(one.answer), one.successor)
            for one in done
            if isinstance(one, Spent)
        ]

    def _found(self, kept: dict[int, Kept], picture: PreparedFrame) -> dict[int, tuple[Drawn | None, Kept]]:
        """Tracks objects into a frame as one batch; each with its shape there, and what is to be kept."""
        size = (picture.image.shape[0], picture.image.shape[1])
        tracks = {i: self._track(one, size) for i, one in kept.items()}
        if not tracks:
            return {}
        session = Session(self._network, self._settings.policy)
        session.restore(SessionState[Any](ONE, True, size).with_tracks(tracks))
        with torch.inference_mode():
            result = session.step(picture)
        state = session.snapshot()
        return {i: self._drawn(i, one, result, state) for i, one in kept.items()}

    def _drawn(
        self, i: int, kept: Kept, result: FrameResult, state: SessionState[Any]
    ) -> tuple[Drawn | None, Kept]:
        shape = figure_of(result[i], kept.shape, self._settings.polygon_tolerance)
        last = kept.shape if shape is None else shape
        if shape is None and last.kind == "rectangle" and self._settings.lost_rectangle == "hold":
            shape = last
        return shape, self._packed(state, i, last)

    def _track(self, kept: Kept, size: tuple[int, int]) -> Track[Any]:
        """An object's track, its frames counted so that the last one has the same number for all objects."""
        snapshot = unpack(
            kept.session,
            fingerprint=self._fingerprint,
            policy=self._settings.policy,
            size=size,
            shape_types={ONE: kept.shape.kind},
            index=ONE,
            device=self._network.device,
        )
        return snapshot.state.tracks[ONE]

    def _packed(self, state: SessionState[Any], i: int, shape: Drawn) -> Kept:
        alone = state.with_tracks({ONE: state.tracks[i]})
        session = pack(
            alone,
            fingerprint=self._fingerprint,
            policy=self._settings.policy,
            shape_types={ONE: shape.kind},
            # SAM 2's own predictor keeps its maps in bfloat16 whatever it computes in.
            half=self._network.newest_only is None,
            newest_only=self._network.newest_only,
        )
        return Kept(shape, session)

    def _step(self, token: str, shape: Drawn | None, kept: Kept) -> Step:
        return Step(token, kept.to_bytes(), NOT_FOUND if shape is None else shape.to_json().encode())
