"""A snapshot store in this process's memory: nothing to set up, gone with the process."""

import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import count
from threading import Lock
from typing import Generic, TypeVar

from keepsight.errors import StoreUnavailableError
from keepsight.store.store import (
    REPLAY_SECONDS,
    TTL_SECONDS,
    Live,
    Spent,
    Step,
    missing,
    new_token,
    require_once,
    require_tokens,
    unspent,
)

__all__ = ["InProcessStore"]

MAX_BYTES = 2**30
# What a token, its record and their places cost besides the snapshot or the answer, roughly.
RECORD_BYTES = 512

R = TypeVar("R", Live, Spent)


@dataclass(frozen=True)
class _Held(Generic[R]):
    record: R
    bytes: int
    used: int  # a higher number is later; two uses may fall on one tick of the clock
    expires: float


class _Shelf(Generic[R]):
    """Records of one time to live, by token. Each use renews one, so the first to expire come first."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.bytes = 0
        self._held: OrderedDict[str, _Held[R]] = OrderedDict()

    def get(self, token: str) -> R | None:
        held = self._held.get(token)
        return None if held is None else held.record

    def put(self, token: str, record: R, *, payload: int, used: int, now: float) -> None:
        self.drop(token)
        self._held[token] = _Held(record, payload + RECORD_BYTES, used, now + self.seconds)
        self.bytes += payload + RECORD_BYTES

    def renew(self, token: str, *, used: int, now: float) -> None:
        self._held[token] = replace(self._held[token], used=used, expires=now + self.seconds)
        self._held.move_to_end(token)

    def drop(self, token: str) -> None:
        held = self._held.pop(token, None)
        self.bytes -= 0 if held is None else held.bytes

    def expire(self, now: float) -> None:
        while self._held and next(iter(self._held.values())).expires <= now:
            self.drop_oldest()

    def drop_oldest(self) -> None:
        self.drop(next(iter(self._held)))

    @property
    def oldest(self) -> int | None:
        """When its least recently used record was used; None if it has none."""
        return next(iter(self._held.values())).used if self._held else None


class InProcessStore:
    """Implements `SnapshotStore` for the threads of one process.

    What is expired goes with the next call. When the bound is reached what was used longest ago makes room:
    its token is then unknown, as if it had expired.

    Args:
        ttl: seconds that a snapshot lives after its last use.
        replay: seconds for which a used token's answer is given again.
        max_bytes: how much all that is held may take.
        clock: seconds that only ever grow; for tests.
    """

    def __init__(
        self,
        *,
        ttl: float = TTL_SECONDS,
        replay: float = REPLAY_SECONDS,
        max_bytes: int = MAX_BYTES,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._live: _Shelf[Live] = _Shelf(ttl)
        self._spent: _Shelf[Spent] = _Shelf(replay)
        self._max_bytes = max_bytes
        self._clock = clock
        self._uses = count()
        self._lock = Lock()

    @property
    def held_bytes(self) -> int:
        """What is held now, snapshots and answers together, in bytes."""
        with self._lock:
            return self._live.bytes + self._spent.bytes

    def put(self, snapshots: Sequence[bytes]) -> tuple[str, ...]:
        """Keeps new snapshots; see `SnapshotStore.put`."""
        self._require_room([len(snapshot) for snapshot in snapshots])
        with self._lock:
            now = self._now()
            tokens = tuple(self._add(snapshot, now) for snapshot in snapshots)
            self._make_room()
        return tokens

    def get(self, tokens: Sequence[str]) -> tuple[Live | Spent, ...]:
        """What lies under tokens; see `SnapshotStore.get`."""
        require_tokens(tokens)
        with self._lock:
            now = self._now()
            found = []
            for place, token in enumerate(tokens):
                record = self._find(token)
                if record is None:
                    raise missing(place, len(tokens))
                found.append(record)
            for token, record in zip(tokens, found, strict=True):
                if isinstance(record, Live):
                    self._live.renew(token, used=next(self._uses), now=now)
        return tuple(found)

    def advance(self, steps: Sequence[Step], request: str) -> tuple[Spent, ...]:
        """Uses tokens up on a request; see `SnapshotStore.advance`."""
        require_tokens([step.token for step in steps])
        require_once(steps)
        self._require_room([size for step in steps for size in (len(step.snapshot), len(step.answer))])
        with self._lock:
            now = self._now()
            records = [self._find(step.token) for step in steps]
            for place in unspent(records, request):
                step = steps[place]
                record = Spent(request, step.answer, self._add(step.snapshot, now))
                self._live.drop(step.token)
                self._spent.put(step.token, record, payload=len(step.answer), used=next(self._uses), now=now)
                records[place] = record
            self._make_room()
        return tuple(record for record in records if isinstance(record, Spent))

    def delete(self, tokens: Sequence[str]) -> None:
        """Forgets tokens; see `SnapshotStore.delete`."""
        with self._lock:
            for token in tokens:
                self._live.drop(token)
                self._spent.drop(token)

    def close(self) -> None:
        """Forgets everything."""
        with self._lock:
            self._live, self._spent = _Shelf(self._live.seconds), _Shelf(self._spent.seconds)

    def _now(self) -> float:
        now = self._clock()
        self._live.expire(now)
        self._spent.expire(now)
        return now

    def _find(self, token: str) -> Live | Spent | None:
        return self._live.get(token) or self._spent.get(token)

    def _add(self, snapshot: bytes, now: float) -> str:
        token = new_token()
        self._live.put(token, Live(snapshot), payload=len(snapshot), used=next(self._uses), now=now)
        return token

    def _make_room(self) -> None:
        while self._live.bytes + self._spent.bytes > self._max_bytes:
            live, spent = self._live.oldest, self._spent.oldest
            if live is not None and (spent is None or live < spent):
                self._live.drop_oldest()
            else:
                self._spent.drop_oldest()

    def _require_room(self, sizes: Sequence[int]) -> None:
        """Refuses what would not fit an empty store, so that what was just written never makes room."""
        needed = sum(sizes) + len(sizes) * RECORD_BYTES
        if needed > self._max_bytes:
            raise StoreUnavailableError(
                f"Expected the snapshots of one request to fit the store's {self._max_bytes} bytes, but "
                f"{len(sizes)} record(s) need {needed}. Raise max_bytes, or track fewer objects at once."
            )
