"""Tracking for CVAT: a request's image and objects in, their shapes and states out."""

import hashlib
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, NamedTuple

from keepsight.apps.cvat.envelope import Kept, answer_from_bytes, answer_to_bytes
from keepsight.apps.cvat.follower import Followed, Follower, Picture
from keepsight.apps.cvat.pictures import read_picture
from keepsight.apps.cvat.settings import Settings
from keepsight.apps.cvat.wire import Drawn, answer, read_request
from keepsight.errors import ConflictError, UsageError
from keepsight.nn.sam2 import Sam2
from keepsight.store import Live, SnapshotStore, Spent, Step
from keepsight.weights.load import load_network

__all__ = ["TrackingService"]


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

    Raises:
        PolicyError: the settings name an unknown policy.
    """

    def __init__(self, network: Sam2, store: SnapshotStore, settings: Settings) -> None:
        self._follower = Follower(network, settings)
        self._store = store
        self._settings = settings

    @classmethod
    def loaded(cls, settings: Settings, store: SnapshotStore) -> "TrackingService":
        """With the network that the settings name.

        Raises:
            WeightsError, UnknownModelError, UsageError, PolicyError: as `load_network` and the class.
        """
        return cls(
            load_network(settings.model, device=settings.device, dtype=settings.dtype), store, settings
        )

    def warm_up(self) -> None:
        """Runs the network once on every path that a request takes."""
        self._follower.warm_up()

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
        look = cache(lambda: self._follower.look(image))  # once, and not for what was answered before
        begun = iter(self._begin(drawn, look))
        try:
            followed = iter(self._follow(tokens, look, hashlib.sha256(request.image).hexdigest()))
        except BaseException:
            self._store.delete([one.token for one in begun])
            raise
        answered = [next(followed) if item.shape is None else next(begun) for item in request.items]
        return answer([one.shape for one in answered], [one.token for one in answered])

    def _begin(self, drawn: Sequence[Drawn], look: Callable[[], Picture]) -> list[_Answered]:
        """Starts objects on a frame; they are answered as they were drawn."""
        if not drawn:
            return []
        kept = [one.to_bytes() for one in self._follower.begin(drawn, look())]
        return [_Answered(one, token) for one, token in zip(drawn, self._store.put(kept), strict=True)]

    def _follow(self, tokens: Sequence[str], look: Callable[[], Picture], digest: str) -> list[_Answered]:
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
        found = self._follower.follow([*fresh.values()], look()) if fresh else []
        steps = {i: _step(tokens[i], one) for i, one in zip(fresh, found, strict=True)}
        spent = dict(
            zip(steps, self._store.advance(list(steps.values()), digest) if steps else (), strict=True)
        )
        done = [spent.get(i, record) for i, record in enumerate(records)]
        return [
            _Answered(answer_from_bytes(one.answer), one.successor) for one in done if isinstance(one, Spent)
        ]


def _step(token: str, found: Followed) -> Step:
    return Step(token, found.kept.to_bytes(), answer_to_bytes(found.shape))
