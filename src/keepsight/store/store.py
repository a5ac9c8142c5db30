"""What a snapshot store is: snapshots under tokens that are used once.

A token names one snapshot, which never changes. A request uses the token up and gets a successor, which names
the snapshot after it; what was answered stays beside the used token, so that the same request gets the same
answer again:

    token A: live, snapshot 0  ──request q1──▶  token A: spent on q1, answer 1, successor B
                                                token B: live, snapshot 1  ──request q2──▶ ...

So a token is its own version, and the compare-and-set is "spend it, if nobody has". The other design, one
token for good whose value advances, was considered and is worse for a tracker behind CVAT:

- **Retries.** CVAT gives up after 60 s and its user tries again. Here the token says which step is meant, so
  a retry is told from the next request even where two frames of a video are equal, byte for byte. A lasting
  token has only the image to go by: the second of two equal frames would count as a retry of the first, and
  would not be tracked.
- **Two tabs, races.** Of two requests on one token the first to be written wins. The other gets its answer if
  it asked the same, and otherwise a `ConflictError`, now and later: no state ever mixes two accounts of a
  video. A lasting token would let the loser carry on upon the winner's frames.
- **Undo.** An older token means the older state, or nothing. A lasting token would silently mean the newest
  state, which has seen frames that were undone. A used token's snapshot is given up, not kept for an undo:
  it would cost the size of a state for every frame, and CVAT's interface starts anew after an undo.
- **All or nothing.** The objects of a request are spent in one `advance`: all of them, or none.
- **Kvrocks.** Being spent is a small record of its own, so that what is compared and set under WATCH is some
  bytes per object, and the snapshots are written before, where nobody can see them yet.

A response that is lost together with every retry of it leaves a spent token in the user's hands. Another
frame then gets a conflict, and the object is to be started anew.
"""

import re
import secrets
from collections.abc import Sequence
from typing import NamedTuple, Protocol

from keepsight.errors import ConflictError, MissingSnapshotError, UsageError

__all__ = ["Live", "SnapshotStore", "Spent", "Step"]

# CVAT honours a state for eight hours after its last signature.
TTL_SECONDS = 8 * 3600.0
# A request is repeated within minutes or not at all.
REPLAY_SECONDS = 3600.0

TOKEN_BYTES = 24  # 192 random bits
_TOKEN = re.compile(r"[A-Za-z0-9_-]{32}", re.ASCII)


class Live(NamedTuple):
    """Under a token that may be used: the snapshot."""

    snapshot: bytes


class Spent(NamedTuple):
    """Under a token that was used: by what request, what was answered, and the token that follows."""

    request: str
    answer: bytes
    successor: str


class Step(NamedTuple):
    """One object's share of a request: the token it uses up, the snapshot after it, what is answered."""

    token: str
    snapshot: bytes
    answer: bytes


class SnapshotStore(Protocol):
    """Snapshots under tokens; any number of threads, and of processes where the store is shared, may use it.

    A request is named by a digest of all that its answer depends on besides the token, the image above all.
    The tokens given are random, 192 bits, and the only key to a snapshot; they never appear in messages.
    """

    def put(self, snapshots: Sequence[bytes]) -> tuple[str, ...]:
        """Keeps new snapshots, all or none.

        Returns:
            Their tokens, in the same order.

        Raises:
            StoreUnavailableError: the store cannot be reached, or is full.
        """

    def get(self, tokens: Sequence[str]) -> tuple[Live | Spent, ...]:
        """What lies under tokens, in the same order; a live snapshot's time to live starts again.

        Raises:
            MissingSnapshotError: a token is unknown or has expired, or is no token.
            StoreUnavailableError: the store cannot be reached.
        """

    def advance(self, steps: Sequence[Step], request: str) -> tuple[Spent, ...]:
        """Uses tokens up on a request, all or none, and keeps the snapshots that follow.

        Where another process has made the same request in the meantime, what it recorded stands and its
        answers and successors are returned: whoever repeats a request gets what the first one got.

        Args:
            steps: one per object; a token may occur once.
            request: names what was asked.

        Returns:
            What is recorded under the tokens now, in the same order.

        Raises:
            ConflictError: a token was used by another request; nothing has changed.
            MissingSnapshotError: a token is unknown or has expired; nothing has changed.
            StoreUnavailableError: the store cannot be reached, or is full. If the connection broke in the
                middle the request may have been recorded; repeating it tells.
            UsageError: a token occurs twice.
        """

    def delete(self, tokens: Sequence[str]) -> None:
        """Forgets tokens and their snapshots; unknown ones are passed over.

        Raises:
            StoreUnavailableError: the store cannot be reached.
        """

    def close(self) -> None:
        """Gives connections back; the store is not to be used afterwards."""


def new_token() -> str:
    """A token that nobody can guess: 32 characters that are safe in URLs, 192 random bits."""
    return secrets.token_urlsafe(TOKEN_BYTES)


def require_tokens(tokens: Sequence[str]) -> None:
    """Refuses what cannot be a token, before it becomes part of a key.

    Raises:
        MissingSnapshotError: it is no token.
    """
    for place, token in enumerate(tokens):
        if not isinstance(token, str) or _TOKEN.fullmatch(token) is None:
            raise MissingSnapshotError(
                f"Expected a token as this store gives them, but number {place + 1} of {len(tokens)} is not "
                f"one. Start the object anew."
            )


def require_once(steps: Sequence[Step]) -> None:
    """Refuses requests that use a token twice.

    Raises:
        UsageError: they do.
    """
    if len({step.token for step in steps}) != len(steps):
        raise UsageError(
            f"Expected every token of a request once, but {len(steps)} steps use "
            f"{len({step.token for step in steps})} token(s). Track each object once per frame."
        )


def missing(place: int, count: int) -> MissingSnapshotError:
    """The error for a token that is unknown or has expired."""
    return MissingSnapshotError(
        f"Expected a snapshot under token {place + 1} of {count}, but there is none: it has expired, was "
        f"dropped to make room, or another store gave the token. Start the object anew."
    )


def unspent(records: Sequence[Live | Spent | None], request: str) -> list[int]:
    """Which of a request's tokens are still to be used; the others were, by the same request.

    Args:
        records: what lies under the tokens; None for nothing.
        request: what is being asked.

    Raises:
        MissingSnapshotError: there is nothing under a token.
        ConflictError: a token was used by another request.
    """
    places = []
    for place, record in enumerate(records):
        if record is None:
            raise missing(place, len(records))
        if isinstance(record, Live):
            places.append(place)
        elif record.request != request:
            raise ConflictError(
                f"Expected a token that nobody has used, but number {place + 1} of {len(records)} was used "
                f"by another request. Go on with the state which that one returned, or start the object anew."
            )
    return places
