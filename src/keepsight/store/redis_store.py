"""A snapshot store in Redis or Kvrocks, for servers of several processes and for restarts.

Two keys per token: `<prefix>data:<token>` holds the snapshot, `<prefix>head:<token>` says whether the token
is live or, once it is spent, the request, the answer and the successor. Both expire.

Commands used: MGET, SET with EX, DEL, EXPIRE, and WATCH, MULTI, EXEC, UNWATCH. Nothing depends on Lua, and
nothing looks at the keys of others. Kvrocks has MULTI and EXEC since 2.0.2 and WATCH since 2.4.0
(apache/kvrocks pull requests 285 and 1279). A watched key that merely expires does not stop its EXEC, which
does no harm: the token was live when it was looked at, and its successor is written all the same. A Redis
Cluster is not supported, since the keys of one request lie in different slots.
"""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from math import ceil
from typing import Any

from keepsight.errors import ConflictError, MissingSnapshotError, StoreUnavailableError, UsageError
from keepsight.store.in_process import InProcessStore
from keepsight.store.store import (
    REPLAY_SECONDS,
    TTL_SECONDS,
    Live,
    SnapshotStore,
    Spent,
    Step,
    missing,
    new_token,
    require_once,
    require_tokens,
    unspent,
)

__all__ = ["RedisStore", "from_environment"]

PREFIX = "keepsight:snapshot:"
CVAT_PORT = 6666
CONNECT_SECONDS = 3.0
# Per read and write of the socket. CVAT's user waits for a minute at most.
SOCKET_SECONDS = 5.0
# Reads by others renew a key that is being watched; so often is the transaction tried again.
ATTEMPTS = 16

LIVE = b"live"
_SPENT = b"spent "


class RedisStore:
    """Implements `SnapshotStore` on a Redis or Kvrocks server.

    A connection is made when first needed and made again when it was lost.

    Args:
        host: name or address of the server.
        port: its port; CVAT's Kvrocks listens on 6666.
        password: None where the server asks for none.
        prefix: of every key.
        ttl: seconds that a snapshot lives after its last use.
        replay: seconds for which a used token's answer is given again.
        connect_seconds: how long to wait for a connection.
        socket_seconds: how long to wait for the server to take or give anything.

    Raises:
        UsageError: the package redis is not installed.
    """

    def __init__(
        self,
        host: str,
        port: int = CVAT_PORT,
        password: str | None = None,
        *,
        prefix: str = PREFIX,
        ttl: float = TTL_SECONDS,
        replay: float = REPLAY_SECONDS,
        connect_seconds: float = CONNECT_SECONDS,
        socket_seconds: float = SOCKET_SECONDS,
    ) -> None:
        try:
            import redis
            from redis.backoff import NoBackoff
            from redis.retry import Retry
        except ImportError as error:
            raise UsageError(
                "Snapshots in Redis need the package redis, which is not installed. "
                "Install it: pip install 'keepsight[cvat]'."
            ) from error
        self._redis: Any = redis.Redis(
            host=host,
            port=port,
            password=password,
            protocol=2,  # the newer one begins with HELLO, which not every Kvrocks knows
            socket_connect_timeout=connect_seconds,
            socket_timeout=socket_seconds,
            # Once, at once: a connection that the server closed meanwhile. Every command may be repeated.
            retry=Retry(NoBackoff(), 1, supported_errors=(redis.ConnectionError,)),
        )
        self._error = redis.RedisError
        self._watch_error = redis.WatchError
        self._address = f"{host}:{port}"
        self._prefix = prefix
        self._ttl, self._replay = max(1, ceil(ttl)), max(1, ceil(replay))

    def put(self, snapshots: Sequence[bytes]) -> tuple[str, ...]:
        """Keeps new snapshots; see `SnapshotStore.put`."""
        tokens = tuple(new_token() for _ in snapshots)
        # What was written of a failed call cannot be found without its token, and expires.
        with self._reported(), self._redis.pipeline(transaction=False) as pipe:
            for token, snapshot in zip(tokens, snapshots, strict=True):
                pipe.set(self._data(token), snapshot, ex=self._ttl)
                pipe.set(self._head(token), LIVE, ex=self._ttl)
            pipe.execute()
        return tokens

    def get(self, tokens: Sequence[str]) -> tuple[Live | Spent, ...]:
        """What lies under tokens; see `SnapshotStore.get`."""
        require_tokens(tokens)
        if not tokens:
            return ()
        with self._reported():
            values = self._redis.mget([*map(self._head, tokens), *map(self._data, tokens)])
            heads, snapshots = values[: len(tokens)], values[len(tokens) :]
            found: list[Live | Spent] = []
            for place, (head, snapshot) in enumerate(zip(heads, snapshots, strict=True)):
                record = _read(head, snapshot)
                if record is None:
                    raise missing(place, len(tokens))
                found.append(record)
            self._renew([t for t, record in zip(tokens, found, strict=True) if isinstance(record, Live)])
        return tuple(found)

    def advance(self, steps: Sequence[Step], request: str) -> tuple[Spent, ...]:
        """Uses tokens up on a request; see `SnapshotStore.advance`."""
        require_tokens([step.token for step in steps])
        require_once(steps)
        if not steps:
            return ()
        ours = [Spent(request, step.answer, new_token()) for step in steps]
        with self._reported():
            with self._redis.pipeline(transaction=False) as pipe:
                for step, record in zip(steps, ours, strict=True):
                    pipe.set(self._data(record.successor), step.snapshot, ex=self._ttl)
                pipe.execute()
            try:
                recorded = self._commit([step.token for step in steps], ours)
            except (ConflictError, MissingSnapshotError):
                self._discard(ours)
                raise
            self._discard([mine for mine, record in zip(ours, recorded, strict=True) if mine != record])
        return recorded

    def delete(self, tokens: Sequence[str]) -> None:
        """Forgets tokens; see `SnapshotStore.delete`."""
        keys = [key for token in tokens for key in (self._head(token), self._data(token))]
        if keys:
            with self._reported():
                self._redis.delete(*keys)

    def close(self) -> None:
        """Closes the connections; see `SnapshotStore.close`."""
        self._redis.close()

    def _commit(self, tokens: Sequence[str], ours: Sequence[Spent]) -> tuple[Spent, ...]:
        """Marks tokens spent and their successors live in one transaction, unless others came first.

        redis-py reports a connection lost in the middle as a change of what is watched. It may have been
        lost after EXEC; then the next attempt finds our own records.
        """
        for _ in range(ATTEMPTS):
            with self._redis.pipeline() as pipe:
                try:
                    pipe.watch(*map(self._head, tokens))
                    records = [_read(head, b"") for head in pipe.mget(list(map(self._head, tokens)))]
                    places = unspent(records, ours[0].request)
                    if places:
                        pipe.multi()
                        for place in places:
                            self._spend(pipe, tokens[place], ours[place])
                        pipe.execute()
                except self._watch_error:
                    continue
            for place in places:
                records[place] = ours[place]
            return tuple(record for record in records if isinstance(record, Spent))
        raise ConflictError(
            f"Expected to use {len(tokens)} token(s), but others touched them at the same time, {ATTEMPTS} "
            f"times in a row. Send the request again."
        )

    def _spend(self, pipe: Any, token: str, record: Spent) -> None:
        pipe.set(self._head(token), _written(record), ex=self._replay)
        pipe.delete(self._data(token))
        pipe.set(self._head(record.successor), LIVE, ex=self._ttl)

    def _renew(self, tokens: Sequence[str]) -> None:
        if tokens:
            with self._redis.pipeline(transaction=False) as pipe:
                for token in tokens:
                    pipe.expire(self._head(token), self._ttl)
                    pipe.expire(self._data(token), self._ttl)
                pipe.execute()

    def _discard(self, records: Sequence[Spent]) -> None:
        """Removes snapshots that nobody will ask for; if it fails they expire."""
        if records:
            with suppress(self._error):
                self._redis.delete(*(self._data(record.successor) for record in records))

    def _head(self, token: str) -> str:
        return f"{self._prefix}head:{token}"

    def _data(self, token: str) -> str:
        return f"{self._prefix}data:{token}"

    @contextmanager
    def _reported(self) -> Iterator[None]:
        try:
            yield
        except self._error as error:
            raise StoreUnavailableError(
                f"Expected an answer of the snapshot store at {self._address}, but got "
                f"{type(error).__name__} ({error}). See that the server runs, has room, and that "
                f"CVAT_FUNCTIONS_REDIS_HOST, _PORT and _PASSWORD are right; then send the request again."
            ) from error


def _read(head: bytes | None, snapshot: bytes | None) -> Live | Spent | None:
    """A record from its keys' values; None for nothing, or for what we did not write."""
    if head == LIVE:
        return None if snapshot is None else Live(snapshot)
    if head is None or not head.startswith(_SPENT):
        return None
    line, _, answer = head.removeprefix(_SPENT).partition(b"\n")
    try:
        request, successor = json.loads(line)
    except (ValueError, TypeError):
        return None
    return Spent(str(request), answer, str(successor))


def _written(record: Spent) -> bytes:
    # JSON text of a string never contains a line break, so the first one ends it.
    return _SPENT + json.dumps([record.request, record.successor]).encode() + b"\n" + record.answer


def from_environment(environ: Mapping[str, str] | None = None) -> SnapshotStore:
    """The store that CVAT's deployment asks for: in Redis if it names a host, else in this process.

    Args:
        environ: variables to read instead of the process's own. `CVAT_FUNCTIONS_REDIS_HOST`,
            `CVAT_FUNCTIONS_REDIS_PORT` (6666 if absent) and `CVAT_FUNCTIONS_REDIS_PASSWORD` (none if absent)
            count; empty ones count as absent.

    Raises:
        UsageError: the port is not a port number, or the package redis is not installed.
    """
    environ = os.environ if environ is None else environ
    host = environ.get("CVAT_FUNCTIONS_REDIS_HOST")
    if not host:
        return InProcessStore()
    port = environ.get("CVAT_FUNCTIONS_REDIS_PORT") or str(CVAT_PORT)
    if not port.isdecimal() or not 0 < int(port) < 2**16:
        raise UsageError(
            f"Expected a port number, 1 to 65535, in CVAT_FUNCTIONS_REDIS_PORT, but got {port!r}. "
            f"CVAT's own server listens on {CVAT_PORT}."
        )
    return RedisStore(host, int(port), environ.get("CVAT_FUNCTIONS_REDIS_PASSWORD") or None)
