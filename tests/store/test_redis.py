"""The store on a real Redis server: what it writes, how it fails, and that both stores behave the same."""

import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import redis
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    rule,
    run_state_machine_as_test,
)

from keepsight.errors import (
    ConflictError,
    KeepsightError,
    MissingSnapshotError,
    StoreUnavailableError,
)
from keepsight.store import InProcessStore, Live, RedisStore, SnapshotStore, Spent, Step, from_environment
from tests.store.server import RedisServer, wait_for

PREFIX = "keepsight:test:"


@pytest.fixture
def store(server: RedisServer) -> Iterator[RedisStore]:
    server.admin.flushall()
    made = server.store(prefix=PREFIX, socket_seconds=0.3)
    yield made
    made.close()


def test_only_its_own_keys_are_written_and_all_of_them_expire(store: RedisStore, server: RedisServer) -> None:
    server.admin.set("cvat:own", "untouched")
    (token,) = store.put([b"snapshot"])
    store.advance([Step(token, b"next", b"answer")], "request")
    store.get([token])
    written = server.keys() - {"cvat:own"}
    assert all(key.startswith(PREFIX) for key in written)
    assert server.admin.ttl(f"{PREFIX}head:{token}") in range(3590, 3601)
    lives = [server.admin.ttl(key) for key in written - {f"{PREFIX}head:{token}"}]
    assert len(lives) == 2
    assert all(28_790 <= int(seconds) <= 28_800 for seconds in lives)
    assert server.admin.get("cvat:own") == b"untouched"


def test_a_used_snapshot_is_given_up(store: RedisStore, server: RedisServer) -> None:
    (token,) = store.put([bytes(10_000)])
    for _ in range(5):
        ((_, _, token),) = store.advance([Step(token, bytes(10_000), b"")], "request")
    assert sum(key.startswith(f"{PREFIX}data:") for key in server.keys()) == 1


def test_the_loser_of_a_race_leaves_nothing_behind(store: RedisStore, server: RedisServer) -> None:
    first, second = store.put([b"a", b"b"])
    store.advance([Step(first, b"a1", b"")], "request")
    before = server.keys()
    with pytest.raises(ConflictError):
        store.advance([Step(first, b"a2", b""), Step(second, b"b2", b"")], "other")
    store.advance([Step(first, b"a3", b"")], "request")
    assert server.keys() == before


def test_use_begins_the_time_to_live_anew(server: RedisServer) -> None:
    store = server.store(prefix=PREFIX, ttl=2, replay=1)
    used, idle = store.put([b"used", b"idle"])
    for _ in range(5):
        time.sleep(0.5)
        store.get([used])
    with pytest.raises(MissingSnapshotError):
        store.get([idle])
    (spent,) = store.advance([Step(used, b"next", b"")], "request")
    wait_for(lambda: _is_missing(store, used))
    assert store.get([spent.successor]) == (Live(b"next"),)
    store.close()


def _is_missing(store: SnapshotStore, token: str) -> bool:
    try:
        store.get([token])
    except MissingSnapshotError:
        return True
    return False


@pytest.mark.parametrize("head", [b"", b"spent nonsense", b'spent ["one"]\n', b"spent 3\n", b"\xff"])
def test_what_others_wrote_under_our_keys_is_no_snapshot(
    store: RedisStore, server: RedisServer, head: bytes
) -> None:
    (token,) = store.put([b"a"])
    server.admin.set(f"{PREFIX}head:{token}", head)
    with pytest.raises(MissingSnapshotError):
        store.get([token])
    with pytest.raises(MissingSnapshotError):
        store.advance([Step(token, b"", b"")], "request")


def test_half_a_snapshot_is_missing(store: RedisStore, server: RedisServer) -> None:
    (token,) = store.put([b"a"])
    server.admin.delete(f"{PREFIX}data:{token}")
    with pytest.raises(MissingSnapshotError):
        store.get([token])


def test_a_server_that_is_gone_is_reported_and_found_again(store: RedisStore, server: RedisServer) -> None:
    (token,) = store.put([b"a"])
    server.kill()
    calls: list[Callable[[], Any]] = [
        lambda: store.put([b"b"]),
        lambda: store.get([token]),
        lambda: store.advance([Step(token, b"b", b"")], "request"),
        lambda: store.delete([token]),
    ]
    for call in calls:
        with pytest.raises(StoreUnavailableError, match=rf"127\.0\.0\.1:{server.port}.*CVAT_FUNCTIONS_REDIS"):
            call()
    with pytest.raises(ConnectionError):
        store.get([token])
    server.start()
    assert store.get([token]) == (Live(b"a"),)


def test_a_restart_between_two_requests_goes_unnoticed(store: RedisStore, server: RedisServer) -> None:
    (token,) = store.put([b"a"])
    server.restart()
    (spent,) = store.advance([Step(token, b"b", b"")], "request")
    server.restart()
    assert store.get([token, spent.successor]) == (spent, Live(b"b"))


@pytest.mark.parametrize("when", ["_commit", "_spend", "_discard"])
def test_a_server_that_hangs_does_not_hang_us(
    store: RedisStore, server: RedisServer, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    (token,) = store.put([b"a"])
    go_on = getattr(store, when)

    def freeze(*args: Any) -> Any:
        server.freeze()
        return go_on(*args)

    monkeypatch.setattr(store, when, freeze)
    start = time.monotonic()
    try:
        result = outcome(lambda: store.advance([Step(token, b"b", b"answer")], "request"))
    finally:
        server.thaw()
    assert time.monotonic() - start < 3  # some times 0.3 s
    if when != "_discard":
        assert result[0] is StoreUnavailableError
    monkeypatch.undo()
    (spent,) = store.advance([Step(token, b"b", b"answer")], "request")
    assert spent.answer == b"answer"
    assert store.get([spent.successor]) == (Live(b"b"),)


def test_passwords(server: RedisServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CVAT_FUNCTIONS_REDIS_HOST", "127.0.0.1")
    monkeypatch.setenv("CVAT_FUNCTIONS_REDIS_PORT", str(server.port))
    monkeypatch.setenv("CVAT_FUNCTIONS_REDIS_PASSWORD", "secret")
    server.run("ACL", "SETUSER", "default", "resetpass", ">secret")
    try:
        right = from_environment()
        assert isinstance(right, RedisStore)
        assert right.get(right.put([b"a"])) == (Live(b"a"),)
        right.close()
        monkeypatch.setenv("CVAT_FUNCTIONS_REDIS_PASSWORD", "wrong pass")
        wrong = from_environment()
        with pytest.raises(StoreUnavailableError, match="_PASSWORD") as raised:
            wrong.put([b"a"])
        assert "wrong pass" not in str(raised.value)
        wrong.close()
    finally:
        server.run("ACL", "SETUSER", "default", "nopass")


def test_a_full_server_is_reported_and_what_it_has_stays(store: RedisStore, server: RedisServer) -> None:
    (token,) = store.put([b"a"])
    server.admin.config_set("maxmemory", 1)
    try:
        with pytest.raises(StoreUnavailableError, match="has room"):
            store.advance([Step(token, bytes(1000), b"")], "request")
    finally:
        server.admin.config_set("maxmemory", 0)
    assert store.get([token]) == (Live(b"a"),)


# What follows compares the two stores: the same calls, the same outcomes.


def outcome(call: Callable[[], Any]) -> Any:
    try:
        return call()
    except KeepsightError as error:
        return type(error), str(error)


def plain(records: Any) -> Any:
    """What was found, but for the names of the successors."""
    if isinstance(records, tuple) and all(isinstance(r, Live | Spent) for r in records):
        return [r if isinstance(r, Live) else r[:2] for r in records]
    return records


Pair = tuple[str, str]
small = st.binary(max_size=4)
requests = st.sampled_from(["q1", "q2"])


class BothStores(RuleBasedStateMachine):
    """Tokens are pairs: of the store in this process, and of the one in Redis."""

    server: RedisServer
    tokens = Bundle("tokens")

    @initialize(target=tokens, snapshot=small)
    def begin(self, snapshot: bytes) -> Pair:
        self.server.admin.flushall()
        self.stores: tuple[SnapshotStore, SnapshotStore] = (InProcessStore(), self.server.store())
        return self.put(snapshot)

    def put(self, snapshot: bytes) -> Pair:
        left, right = (store.put([snapshot])[0] for store in self.stores)
        return left, right

    @rule(target=tokens, snapshot=small)
    def another(self, snapshot: bytes) -> Pair:
        return self.put(snapshot)

    @rule(pairs=st.lists(tokens, max_size=3))
    def get(self, pairs: list[Pair]) -> None:
        found = [
            outcome(lambda side=side: self.stores[side].get([pair[side] for pair in pairs]))  # type: ignore[misc]
            for side in (0, 1)
        ]
        assert plain(found[0]) == plain(found[1])

    @rule(target=tokens, pairs=st.lists(tokens, min_size=1, max_size=3), request=requests, value=small)
    def advance(self, pairs: list[Pair], request: str, value: bytes) -> Pair:
        def run(side: int) -> Any:
            steps = [Step(p[side], value + b"%d" % i, value[::-1]) for i, p in enumerate(pairs)]
            return outcome(lambda: self.stores[side].advance(steps, request))

        left, right = run(0), run(1)
        assert plain(left) == plain(right)
        if isinstance(left[0], Spent):
            return left[-1].successor, right[-1].successor
        return pairs[0]

    @rule(pair=consumes(tokens))
    def delete(self, pair: Pair) -> None:
        for store, token in zip(self.stores, pair, strict=True):
            store.delete([token])

    def teardown(self) -> None:
        for store in getattr(self, "stores", ()):
            store.close()


def test_both_stores_behave_the_same(server: RedisServer) -> None:
    BothStores.server = server
    run_state_machine_as_test(
        BothStores,
        settings=settings(
            max_examples=20,
            stateful_step_count=20,
            deadline=None,
            derandomize=True,
            database=None,
            suppress_health_check=[HealthCheck.too_slow],
        ),
    )


# What follows injects faults: nothing that was acknowledged may be lost, no object get another's state.


@dataclass
class Tracked:
    """An object as its user knows it: the token in hand, and the snapshot that must lie under it."""

    name: int
    token: str
    snapshot: bytes
    frame: int = 0
    unanswered: bool = False  # a request on the token in hand was sent, and no answer came

    def step(self) -> Step:
        text = b"object %d frame %d" % (self.name, self.frame + 1)
        return Step(self.token, text, b"answer to " + text)


class Faults:
    """Breaks a store's connections before a command is sent and after it was carried out, at random."""

    def __init__(self, store: RedisStore, rng: random.Random) -> None:
        self.rate, self.injected = 0.0, 0
        burst = 0  # after a first failure others may follow

        def maybe(connection: redis.Connection) -> None:
            nonlocal burst
            if (self.rate and burst) or rng.random() < self.rate:
                burst = burst - 1 if burst else rng.randint(0, 5)
                self.injected += 1
                connection.disconnect()  # type: ignore[no-untyped-call]
                raise redis.ConnectionError("injected")

        class Frail(redis.Connection):
            def send_packed_command(self, *args: Any, **kwargs: Any) -> Any:
                maybe(self)
                return super().send_packed_command(*args, **kwargs)  # type: ignore[no-untyped-call]

            def read_response(self, *args: Any, **kwargs: Any) -> Any:
                answer = super().read_response(*args, **kwargs)
                maybe(self)
                return answer

        store._redis.connection_pool.connection_class = Frail


def settle(store: RedisStore, objects: list[Tracked], request: str) -> None:
    """What the function does on a request: answer again what was answered, compute the rest, record it."""
    records = store.get([o.token for o in objects])
    for o, record in zip(objects, records, strict=True):
        if isinstance(record, Live):
            assert record.snapshot == o.snapshot, "a state of another object, or another frame"
        else:
            assert o.unanswered, "spent, though no request on it was ever sent"
            assert record[:2] == (request, o.step().answer)
    results = store.advance([o.step() for o in objects], request)
    for o, result in zip(objects, results, strict=True):
        assert result[:2] == (request, o.step().answer)
        o.token, o.snapshot, o.frame, o.unanswered = result.successor, o.step().snapshot, o.frame + 1, False


@pytest.mark.slow
def test_a_thousand_operations_with_faults_lose_nothing_that_was_acknowledged(server: RedisServer) -> None:
    rng = random.Random(7)
    store = server.store(prefix=PREFIX, socket_seconds=2)
    faults = Faults(store, rng)
    faults.rate = 0.02
    objects: list[Tracked] = []
    groups: list[list[Tracked]] = []
    failed = 0
    for number in range(1000):
        if number % 90 == 89:
            server.restart()
        if number % 110 == 109:
            server.admin.client_kill_filter(_type="normal", skipme=True)
        try:
            if not groups or rng.random() < 0.05:
                count = rng.randint(1, 4)
                snapshots = [b"object %d frame 0" % (len(objects) + i) for i in range(count)]
                tokens = store.put(snapshots)
                made = [
                    Tracked(len(objects) + i, token, snapshot)
                    for i, (token, snapshot) in enumerate(zip(tokens, snapshots, strict=True))
                ]
                objects += made
                groups.append(made)
            else:
                group = rng.choice(groups)
                request = f"image {group[0].frame + 1} of {group[0].name}"
                for o in group:
                    o.unanswered = True
                settle(store, group, request)
        except StoreUnavailableError:
            failed += 1
    faults.rate = 0.0
    for group in groups:
        settle(store, group, f"image {group[0].frame + 1} of {group[0].name}")
    for o in objects:
        assert store.get([o.token]) == (Live(o.snapshot),)
    assert faults.injected > 100
    assert failed > 20
    assert sum(o.frame for o in objects) > 500
    store.close()
