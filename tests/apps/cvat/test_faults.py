"""Every fault by itself, on a real Redis: its status, its sentence in the log, and that what was acknowledged
goes on afterwards as if nothing had happened."""

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from keepsight.store import RedisStore
from tests.apps.cvat.lambda_manager import LambdaManager, Nuclio
from tests.apps.cvat.user import SHAPES, User
from tests.store.server import RedisServer, wait_for

KEY = "keepsight:snapshot:"


@pytest.fixture
def mended(server: RedisServer) -> Iterator[RedisServer]:
    """The server, which is started again if a test leaves it dead."""
    yield server
    server.restart()


# Redis is gone.


def test_redis_gone_between_two_requests_and_back(user: User, mended: RedisServer) -> None:
    user.go_on()
    mended.kill()
    assert user.ask(2).status == 503
    assert user.told(
        503, f"StoreUnavailableError: Expected an answer of the snapshot store at 127.0.0.1:{mended.port}"
    )
    assert user.cvat.begin(1, 0, SHAPES).status == 503
    mended.start()
    user.go_on()
    user.go_on()


def test_redis_restarted_between_two_requests_goes_unnoticed(user: User, mended: RedisServer) -> None:
    for _ in range(3):
        mended.restart()
        user.go_on()


@pytest.mark.parametrize(
    ("step", "status"), [("get", 503), ("advance", 503), ("_commit", 503), ("_spend", 503), ("_discard", 200)]
)
def test_redis_gone_in_the_middle_of_a_request(
    user: User, mended: RedisServer, monkeypatch: pytest.MonkeyPatch, step: str, status: int
) -> None:
    user.go_on()
    with monkeypatch.context() as patch:
        before(patch, step, mended.kill)
        assert user.ask(2).status == status
    mended.start()
    user.go_on()  # repeats the request, which may have been recorded
    user.go_on()


def before(patch: pytest.MonkeyPatch, step: str, act: Callable[[], Any]) -> None:
    """Lets something happen before a step of the store's work, once."""
    go_on = getattr(RedisStore, step)
    due = [act]

    def disturbed(store: RedisStore, *args: Any) -> Any:
        if due:
            due.pop()()
        return go_on(store, *args)

    patch.setattr(RedisStore, step, disturbed)


def test_redis_gone_once_the_answer_is_recorded(
    user: User, mended: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = RedisStore._commit

    def cut_off(store: RedisStore, *args: Any) -> Any:
        commit(store, *args)
        mended.kill()
        return store.get([args[0][0]])  # which fails, as the answer to EXEC would

    with monkeypatch.context() as patch:
        patch.setattr(RedisStore, "_commit", cut_off)
        assert user.ask(1).status == 503
    mended.start()
    assert user.ask(2).status == 409  # another frame may not take the recorded one's place
    user.go_on()
    user.go_on()


def test_redis_that_is_full(user: User, mended: RedisServer) -> None:
    mended.admin.config_set("maxmemory", 1)
    assert user.ask(1).status == 503
    assert user.told(503, "has room")
    mended.admin.config_set("maxmemory", 0)
    user.go_on()


# States are gone or damaged.


@pytest.mark.parametrize("keys", [("head", "data"), ("data",), ("head",)])
def test_an_expired_state(user: User, server: RedisServer, keys: tuple[str, ...]) -> None:
    user.go_on()
    token = user.tokens()[1]
    for key in keys:
        server.run("PEXPIRE", f"{KEY}{key}:{token}", "1")
    wait_for(lambda: not server.keys() & {f"{KEY}{key}:{token}" for key in keys})
    assert user.ask(2).status == 404
    assert user.told(
        404, "MissingSnapshotError: Expected a snapshot under token 2 of 3, but there is none: it has expired"
    )
    user.go_on(0, 2)


def test_states_live_for_eight_hours_after_each_use(user: User, server: RedisServer) -> None:
    for _ in range(2):
        keys = [f"{KEY}{key}:{token}" for key in ("head", "data") for token in user.tokens()]
        for key in keys:
            server.run("EXPIRE", key, "60")
        assert user.cvat.follow(2, 0, user.states).status == 422  # even a use that fails for another reason
        assert all(server.run("TTL", key) in range(28_790, 28_801) for key in keys)
        user.go_on()


CHANGES: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda value: b"",
    "a line": lambda value: value.partition(b"\n")[0],
    "half": lambda value: value[: len(value) // 2],
    "all but a byte": lambda value: value[:-1],
    "a bit of the shape": lambda value: value[:30] + bytes([value[30] ^ 1]) + value[31:],
    "a bit of the tensors": lambda value: value[:-5000] + bytes([value[-5000] ^ 8]) + value[-4999:],
    "more": lambda value: value + b"\0",
    "another's": lambda value: b"\x80\x04cbuiltins\neval\n",
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_damaged_state(user: User, server: RedisServer, change: str) -> None:
    key = f"{KEY}data:{user.tokens()[0]}"
    value = server.admin.get(key)
    assert isinstance(value, bytes)
    server.admin.set(key, CHANGES[change](value))
    assert user.ask(1).status == 404
    assert user.told(404, "DamagedSnapshotError: ")
    user.go_on(1, 2)


@pytest.mark.parametrize("value", [b"", b"liv", b"spent ", b'spent ["a"', b"\xff\x00"])
def test_a_damaged_head(user: User, server: RedisServer, value: bytes) -> None:
    server.admin.set(f"{KEY}head:{user.tokens()[2]}", value)
    assert user.ask(1).status == 404
    assert user.told(404, "MissingSnapshotError: Expected a snapshot under token 3 of 3")
    user.go_on(0, 1)


@pytest.mark.parametrize("keep", [0, 8, 17, -1])
def test_a_damaged_answer_is_not_given_again(user: User, server: RedisServer, keep: int) -> None:
    first = user.ask(1).body["states"]
    key = f"{KEY}head:{user.tokens()[0]}"
    value = server.admin.get(key)
    assert isinstance(value, bytes)
    record, answer = value.split(b"\n", 1)
    server.admin.set(key, record + b"\n" + answer[:keep])
    assert user.ask(1).status == 404
    assert user.told(404, "DamagedSnapshotError: ")
    user.states, user.frame = first, 1
    user.go_on()


def test_of_a_request_that_fails_nothing_is_kept(user: User, server: RedisServer) -> None:
    stored = server.keys()
    unknown = user.cvat.sign("x" * 32)
    reply = user.cvat.follow(1, 1, [*user.states, unknown, None], shapes=[None] * 4 + SHAPES[:1])
    assert reply.status == 404
    assert server.keys() == stored
    user.go_on()


# Requests come twice.


def test_a_replay_is_answered_the_same_by_another_worker_after_restarts(
    user: User, mended: RedisServer, deploy: Callable[[], Nuclio]
) -> None:
    first = user.ask(1)
    mended.restart()
    user.cvat.worker = deploy()
    again = user.ask(1)
    assert again.body["shapes"] == first.body["shapes"] == user.expected[1]
    old = list(user.states)
    user.go_on()
    user.go_on()
    late = user.cvat.follow(1, 1, old)  # its successors are used up by now
    assert late.body["shapes"] == user.expected[1]
    user.go_on()


def test_a_used_state_with_another_image(user: User) -> None:
    old = list(user.states)
    user.go_on()
    assert user.cvat.follow(1, 3, old).status == 409
    assert user.told(409, "ConflictError: ")
    assert user.cvat.follow(1, 3, [old[0], user.states[1]]).status == 409
    user.go_on()


@pytest.mark.parametrize("frames", [(1, 1), (1, 2)])
def test_two_workers_racing_on_one_state(
    user: User, deploy: Callable[[], Nuclio], monkeypatch: pytest.MonkeyPatch, frames: tuple[int, int]
) -> None:
    other = LambdaManager(deploy())
    other.tasks = user.cvat.tasks
    meet = threading.Barrier(2, timeout=60)
    advance = RedisStore.advance

    def together(store: RedisStore, *args: Any) -> Any:
        meet.wait()  # both have computed, none has recorded
        return advance(store, *args)

    replies: dict[int, Any] = {}
    with monkeypatch.context() as patch:
        patch.setattr(RedisStore, "advance", together)
        rivals = [
            threading.Thread(
                target=lambda i=i, cvat=cvat: replies.update({i: cvat.follow(1, frames[i], user.states)})
            )
            for i, cvat in enumerate((user.cvat, other))
        ]
        for rival in rivals:
            rival.start()
        for rival in rivals:
            rival.join()
    if frames[0] == frames[1]:
        assert [replies[0].status, replies[1].status] == [200, 200]
        assert replies[0].body["shapes"] == replies[1].body["shapes"] == user.expected[1]
        tokens = [[user.cvat.token(state) for state in replies[i].body["states"]] for i in (0, 1)]
        assert tokens[0] == tokens[1]
        user.go_on()
    else:
        assert sorted(reply.status for reply in replies.values()) == [200, 409]
        winner = next(reply for reply in replies.values() if reply.status == 200)
        assert user.cvat.follow(1, 3, winner.body["states"]).status == 200
