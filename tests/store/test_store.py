"""What both stores promise: tokens are used once, repeated requests get the first one's answer."""

import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest

from keepsight.errors import (
    ConflictError,
    KeepsightError,
    MissingSnapshotError,
    StoreUnavailableError,
    UsageError,
)
from keepsight.store import InProcessStore, Live, RedisStore, SnapshotStore, Spent, Step, from_environment

NOBODYS = "A" * 32


def attempt(store: SnapshotStore, steps: list[Step], request: str) -> tuple[Spent, ...] | KeepsightError:
    try:
        return store.advance(steps, request)
    except KeepsightError as error:
        return error


def test_a_snapshot_comes_back_as_often_as_asked(store: SnapshotStore) -> None:
    tokens = store.put([b"a", bytes(range(256)) * 5000, b""])
    assert len(set(tokens)) == 3
    for _ in range(2):
        assert store.get(tokens) == (Live(b"a"), Live(bytes(range(256)) * 5000), Live(b""))
    assert store.get(tokens[::-1])[2] == Live(b"a")
    assert [*store.get([]), *store.put([]), *store.advance([], "q")] == []


def test_tokens_are_long_random_text() -> None:
    tokens = [token for _ in range(200) for token in InProcessStore().put([b""])]
    assert len(set(tokens)) == 200
    assert all(len(token) == 32 and token.isascii() for token in tokens)  # 6 bits each: 192
    assert len({token[0] for token in tokens}) > 20


def test_a_step_uses_its_token_up(store: SnapshotStore) -> None:
    (first,) = store.put([b"zero"])
    (spent,) = store.advance([Step(first, b"one", b"answer\n\x00")], "request")
    assert spent == Spent("request", b"answer\n\x00", spent.successor)
    assert store.get([first]) == (spent,)
    assert store.get([spent.successor]) == (Live(b"one"),)


def test_the_same_request_gets_the_same_answer(store: SnapshotStore) -> None:
    (token,) = store.put([b"zero"])
    first = store.advance([Step(token, b"one", b"first")], "request")
    assert store.advance([Step(token, b"other", b"second")], "request") == first
    later = store.advance([Step(first[0].successor, b"two", b"third")], "next")
    assert store.advance([Step(token, b"other", b"second")], "request") == first
    assert store.get([first[0].successor]) == later


def test_another_request_on_a_used_token_is_a_conflict(store: SnapshotStore) -> None:
    (token,) = store.put([b"zero"])
    first = store.advance([Step(token, b"one", b"")], "request")
    with pytest.raises(ConflictError, match="number 1 of 1 was used by another request"):
        store.advance([Step(token, b"two", b"")], "another")
    assert store.get([token, first[0].successor]) == (first[0], Live(b"one"))


def test_objects_advance_all_or_none(store: SnapshotStore) -> None:
    tokens = store.put([b"a", b"b", b"c"])
    store.advance([Step(tokens[1], b"b1", b"")], "elsewhere")
    steps = [Step(token, b"next", b"") for token in tokens]
    with pytest.raises(ConflictError, match="number 2 of 3"):
        store.advance(steps, "request")
    with pytest.raises(MissingSnapshotError, match="token 3 of 3"):
        store.advance([steps[0], steps[2], Step(NOBODYS, b"", b"")], "request")
    assert store.get([tokens[0], tokens[2]]) == (Live(b"a"), Live(b"c"))


def test_objects_that_the_same_request_advanced_already_keep_their_answer(store: SnapshotStore) -> None:
    tokens = store.put([b"a", b"b"])
    (alone,) = store.advance([Step(tokens[1], b"b1", b"alone")], "request")
    both = store.advance([Step(token, b"next", b"both") for token in tokens], "request")
    assert both[1] == alone
    assert both[0].answer == b"both"
    assert store.get([both[0].successor, alone.successor]) == (Live(b"next"), Live(b"b1"))


@pytest.mark.parametrize(
    "token", [NOBODYS, "", "short", "A" * 33, "ä" * 32, "A" * 31 + "\n", "*" * 32, None, 7]
)
def test_what_is_not_there_is_said_to_be_missing(store: SnapshotStore, token: Any) -> None:
    (known,) = store.put([b"a"])
    with pytest.raises(MissingSnapshotError, match=r"2 of 2.*Start the object anew") as raised:
        store.get([known, token])
    assert known not in str(raised.value)
    with pytest.raises(LookupError):
        store.advance([Step(token, b"", b"")], "request")


def test_a_token_may_occur_once_in_a_request(store: SnapshotStore) -> None:
    (token,) = store.put([b"a"])
    with pytest.raises(UsageError, match="2 steps use 1 token"):
        store.advance([Step(token, b"b", b""), Step(token, b"c", b"")], "request")
    assert store.get([token, token]) == (Live(b"a"), Live(b"a"))


def test_deleted_tokens_are_gone(store: SnapshotStore) -> None:
    first, second = store.put([b"a", b"b"])
    (spent,) = store.advance([Step(first, b"c", b"")], "request")
    store.delete([first, second, NOBODYS])
    store.delete([])
    for token in (first, second):
        with pytest.raises(MissingSnapshotError):
            store.get([token])
    assert store.get([spent.successor]) == (Live(b"c"),)


def race(store: SnapshotStore, name: Callable[[int], str]) -> list[tuple[Spent, ...] | KeepsightError]:
    tokens = store.put([b"a", b"b"])
    start = Barrier(8)

    def run(number: int) -> tuple[Spent, ...] | KeepsightError:
        steps = [Step(token, b"%d" % number, b"answer %d" % number) for token in tokens]
        start.wait()
        store.get(tokens[:1])  # renews what others are watching
        return attempt(store, steps, name(number))

    with ThreadPoolExecutor(8) as pool:
        return list(pool.map(run, range(8)))


@pytest.mark.parametrize("turn", range(5))
def test_of_racing_requests_exactly_one_wins(store: SnapshotStore, turn: int) -> None:
    results = race(store, name=str)
    won = [result for result in results if isinstance(result, tuple)]
    assert len(won) == 1
    assert sum(isinstance(result, ConflictError) for result in results) == 7
    number = int(won[0][0].request)
    successors = [spent.successor for spent in won[0]]
    assert store.get(successors) == (Live(b"%d" % number),) * 2


@pytest.mark.parametrize("turn", range(5))
def test_racing_twins_get_one_answer(store: SnapshotStore, turn: int) -> None:
    results = race(store, name=lambda number: "the same")
    assert len(set(map(str, results))) == 1
    assert isinstance(results[0], tuple)
    assert results[0][0].answer == results[0][1].answer


class Clock:
    """Time that passes when told to."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_snapshots_expire_unless_they_are_used() -> None:
    clock = Clock()
    store = InProcessStore(ttl=10, replay=4, clock=clock)
    used, idle = store.put([b"used", b"idle"])
    clock.now = 9
    store.get([used])
    clock.now = 10
    with pytest.raises(MissingSnapshotError):
        store.get([idle])
    clock.now = 18
    (spent,) = store.advance([Step(used, b"next", b"answer")], "request")
    clock.now = 21.9
    assert store.get([used]) == (spent,)
    clock.now = 22
    with pytest.raises(MissingSnapshotError):
        store.get([used])
    clock.now = 27.9
    assert store.get([spent.successor]) == (Live(b"next"),)
    clock.now = 40
    store.put([])
    assert store.held_bytes == 0


def test_memory_is_bounded_and_what_was_used_longest_ago_makes_room() -> None:
    store = InProcessStore(max_bytes=50_000, clock=Clock())
    old, used = store.put([bytes(20_000), bytes(20_000)])
    store.get([old])
    (new,) = store.put([bytes(20_000)])
    assert store.get([old, new]) == (Live(bytes(20_000)),) * 2
    with pytest.raises(MissingSnapshotError, match="dropped to make room"):
        store.get([used])
    for _ in range(100):
        (spent,) = store.advance([Step(new, bytes(20_000), bytes(1_000))], "request")
        new = spent.successor
        assert store.get([new]) == (Live(bytes(20_000)),)
        assert store.held_bytes <= 50_000


def test_more_than_the_bound_at_once_is_refused_and_displaces_nothing() -> None:
    store = InProcessStore(max_bytes=50_000)
    (token,) = store.put([bytes(20_000)])
    with pytest.raises(StoreUnavailableError, match=r"fit the store's 50000 bytes.*2 record.s. need 61024"):
        store.put([bytes(30_000), bytes(30_000)])
    with pytest.raises(StoreUnavailableError, match="max_bytes"):
        store.advance([Step(token, bytes(49_900), b"")], "request")
    assert store.get([token]) == (Live(bytes(20_000)),)


def test_the_environment_chooses_the_store() -> None:
    assert isinstance(from_environment({}), InProcessStore)
    assert isinstance(from_environment({"CVAT_FUNCTIONS_REDIS_HOST": ""}), InProcessStore)
    made = from_environment({"CVAT_FUNCTIONS_REDIS_HOST": "cvat_redis_ondisk"})
    assert isinstance(made, RedisStore)
    made.close()
    for port in ("", "x", "0", "65536", "-1", "6666 "):
        settings = {"CVAT_FUNCTIONS_REDIS_HOST": "h", "CVAT_FUNCTIONS_REDIS_PORT": port}
        if port:
            with pytest.raises(UsageError, match=f"port number.*got {port!r}.*6666"):
                from_environment(settings)


def test_the_environment_of_the_process_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CVAT_FUNCTIONS_REDIS_HOST", raising=False)
    assert isinstance(from_environment(), InProcessStore)


def test_the_store_needs_neither_torch_nor_redis_until_asked() -> None:
    code = (
        "import sys\n"
        "for name in ('torch', 'redis'): sys.modules[name] = None\n"
        "from keepsight.store import InProcessStore, RedisStore\n"
        "from keepsight.errors import UsageError\n"
        "InProcessStore().put([b''])\n"
        "try: RedisStore('localhost')\n"
        "except UsageError as error: print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "pip install 'keepsight[cvat]'" in done.stdout, done.stderr
