"""A thousand requests with faults at random: nothing acknowledged is lost, no object gets another's answer.

Users track coloured discs on three clips at once through two workers of the function and one Redis. What each
of them must be told is known: the same object alone on the same frames, where nothing goes wrong.
"""

import json
import logging
import random
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch

from keepsight.apps.cvat import nuclio
from keepsight.nn.sam2 import Sam2
from keepsight.store import RedisStore
from keepsight.weights.load import load_network
from keepsight.weights.save import save_network
from tests.apps.cvat.discs import CLIPS, COLOURS, HEIGHT, LENGTH, WIDTH, Oracle, disc, drawn, rendered
from tests.apps.cvat.lambda_manager import LambdaManager, Nuclio, Reply, Task
from tests.apps.cvat.user import mask_of
from tests.store.server import RedisServer

LOG = logging.getLogger(__name__)
REQUESTS = 1000
DOCUMENTED = {200, 400, 404, 409, 413, 422, 503}
KEY = "keepsight:snapshot:"


@dataclass(frozen=True)
class Held:
    """An object in the hands of its user: the state that was acknowledged last."""

    clip: int
    number: int
    seen: tuple[int, ...]
    state: str


@dataclass(frozen=True)
class Exchange:
    """A request that was answered, and what was answered."""

    clip: int
    frame: int
    states: list[str]
    shapes: list[Any]
    tokens: list[str]


class Watched(Nuclio):
    """A worker that looks at whatever the function says, even where CVAT would drop it."""

    statuses: ClassVar[Counter[int]] = Counter()

    def post(self, body: bytes, content_type: str = "application/json") -> tuple[int, str]:
        status, answer = super().post(body, content_type)
        self.statuses[status] += 1
        said = json.loads(answer)
        assert "Traceback" not in answer
        assert 'File "' not in answer
        assert status in DOCUMENTED, self.log[-1000:]
        assert status == 200 or (list(said) == ["error"] and len(said["error"]) < 600)
        return status, answer


class Storm:
    """Requests and faults at random, each with the status that it must have.

    Attributes:
        held: every object whose state was acknowledged and not destroyed on purpose.
        counts: requests by what they were for.
    """

    def __init__(self, server: RedisServer, oracle: Oracle, patch: pytest.MonkeyPatch, seed: int) -> None:
        self.server, self.oracle, self.patch = server, oracle, patch
        self.rng = random.Random(seed)
        self.fronts = [LambdaManager(Watched(nuclio.handler)) for _ in range(2)]
        tasks = {clip: Task.of_video(rendered(clip, i) for i in range(LENGTH)) for clip in CLIPS}
        # The same clips, but cut: what a user gets who goes on with a state on the wrong task.
        tasks |= {
            clip + 10: Task.of_video(rendered(clip, i)[:, :-8] for i in range(LENGTH)) for clip in CLIPS
        }
        for front in self.fronts:
            front.tasks = tasks
        self.held: dict[tuple[int, int], Held] = {}
        self.past: list[Exchange] = []
        self.counts: Counter[str] = Counter()
        self.answers = 0  # shapes that were compared with the oracle's

    @property
    def front(self) -> LambdaManager:
        """Either worker's; they know the same."""
        return self.rng.choice(self.fronts)

    # What users do.

    def ask(self, why: str, status: int, group: list[Held], frame: int, *, clip: int | None = None) -> Reply:
        self.counts[why] += 1
        front = self.front
        reply = front.follow(group[0].clip if clip is None else clip, frame, [one.state for one in group])
        assert reply.status == status, (why, front.worker.log[-1000:])
        return reply

    def begin(self, clip: int, numbers: list[int], *, why: str = "begin", status: int = 200) -> None:
        frame = self.rng.randrange(2)
        self.counts[why] += 1
        front = self.front
        reply = front.begin(clip, frame, [drawn(clip, number, frame) for number in numbers])
        assert reply.status == status, (why, front.worker.log[-1000:])
        if status == 200:
            for number, state in zip(numbers, reply.body["states"], strict=True):
                self.held[clip, number] = Held(clip, number, (frame,), state)

    def go_on(self, group: list[Held], *, why: str = "follow") -> None:
        frame = group[0].seen[-1] + 1
        self.accept(group, frame, self.ask(why, 200, group, frame))

    def accept(self, group: list[Held], frame: int, reply: Reply) -> None:
        """Compares an answer with the oracle's, and takes the new states in hand."""
        shapes, states = reply.body["shapes"], reply.body["states"]
        for one, shape, state in zip(group, shapes, states, strict=True):
            seen = (*one.seen, frame)
            assert shape == self.oracle.answer(one.clip, one.number, seen), (one.clip, one.number, seen)
            self.answers += 1
            self.held[one.clip, one.number] = replace(one, seen=seen, state=state)
        tokens = [self.fronts[0].token(state) for state in states]
        self.past.append(Exchange(group[0].clip, frame, [one.state for one in group], shapes, tokens))

    def group(self) -> list[Held]:
        """Some objects of one clip on one frame, as the browser sends them together."""
        chosen = self.rng.choice(list(self.held.values()))
        others = [
            one
            for one in self.held.values()
            if (one.clip, one.seen[-1]) == (chosen.clip, chosen.seen[-1]) and self.rng.random() < 0.8
        ]
        return list({one.number: one for one in (chosen, *others)}.values())

    def step(self) -> None:
        """One thing that happens."""
        missing = [(c, n) for c in CLIPS for n in range(len(COLOURS)) if (c, n) not in self.held]
        if missing and (self.rng.random() < 0.5 or len(missing) > 8):
            clip = self.rng.choice(missing)[0]
            self.begin(clip, [n for c, n in missing if c == clip])
            return
        group = self.group()
        if group[0].seen[-1] + 3 > LENGTH:  # the end of the clip: from the beginning again
            self.begin(group[0].clip, [one.number for one in group])
            return
        happening = self.rng.choices([*HAPPENINGS], [*HAPPENINGS.values()])[0]
        happening(self, group)

    # What goes wrong.

    def replay(self, group: list[Held]) -> None:
        if self.past:
            old = self.rng.choice(self.past[-60:])
            self.counts["replay"] += 1
            reply = self.front.follow(old.clip, old.frame, old.states)
            assert (reply.status, reply.body["shapes"]) == (200, old.shapes)
            assert [self.fronts[0].token(state) for state in reply.body["states"]] == old.tokens

    def stale(self, group: list[Held]) -> None:
        if self.past:
            old = self.rng.choice(self.past[-60:])
            self.counts["used state, other image"] += 1
            frame = self.rng.choice([i for i in range(LENGTH) if i != old.frame])
            assert self.front.follow(old.clip, frame, old.states).status == 409

    def wrong_size(self, group: list[Held]) -> None:
        self.ask("wrong size", 422, group, group[0].seen[-1] + 1, clip=group[0].clip + 10)

    def destroyed(self, group: list[Held]) -> None:
        """One state is damaged or gone; the other objects of the request must not be touched."""
        victim = self.rng.choice(group)
        token = self.fronts[0].token(victim.state)
        why = self.rng.choice([*DAMAGES])
        DAMAGES[why](self, token)
        self.ask(why, 404, group, group[0].seen[-1] + 1)
        del self.held[victim.clip, victim.number]
        rest = [one for one in group if one is not victim]
        if rest:
            self.go_on(rest, why="the others go on")

    def expire(self, token: str) -> None:
        for key in ("head", "data"):
            self.server.run("PEXPIREAT", f"{KEY}{key}:{token}", "1")

    def truncate(self, token: str) -> None:
        self.changed(token, lambda value: value[: self.rng.randrange(len(value))])

    def flip(self, token: str) -> None:
        def flipped(value: bytes) -> bytes:
            place = self.rng.randrange(len(value))
            return value[:place] + bytes([value[place] ^ 1 << self.rng.randrange(8)]) + value[place + 1 :]

        self.changed(token, flipped)

    def overwrite(self, token: str) -> None:
        self.server.admin.set(f"{KEY}head:{token}", self.rng.randbytes(self.rng.randrange(40)), keepttl=True)

    def changed(self, token: str, change: Callable[[bytes], bytes]) -> None:
        value = self.server.admin.get(f"{KEY}data:{token}")
        assert isinstance(value, bytes)
        self.server.admin.set(f"{KEY}data:{token}", change(value), keepttl=True)

    def redis_gone(self, group: list[Held]) -> None:
        self.server.kill()
        self.ask("Redis gone", 503, group, group[0].seen[-1] + 1)
        self.begin(group[0].clip, [group[0].number], why="Redis gone at a begin", status=503)
        self.server.start()
        self.go_on(group, why="again")

    def redis_restarted(self, group: list[Held]) -> None:
        self.server.restart()
        self.go_on(group, why="Redis restarted")

    def redis_gone_within(self, group: list[Held]) -> None:
        """At some step of the store's work; after `_commit` it is recorded, but nobody hears of it."""
        step = self.rng.choice(["get", "_renew", "advance", "_commit", "_spend", "after _commit"])
        calls = count()
        due = self.rng.randrange(len(group)) if step == "_spend" else 0  # which is done object by object
        with self.patch.context() as patch:
            name = step.removeprefix("after ")
            work = getattr(RedisStore, name)

            def cut_off(store: RedisStore, *args: Any) -> Any:
                if next(calls) != due:
                    return work(store, *args)
                if name != step:
                    work(store, *args)
                self.server.kill()
                return store.get(["A" * 32]) if name != step else work(store, *args)

            patch.setattr(RedisStore, name, cut_off)
            self.ask(f"Redis gone at {step}", 503, group, group[0].seen[-1] + 1)
        self.server.start()
        self.go_on(group, why="again")

    def race(self, group: list[Held]) -> None:
        """Two requests on the same states have computed before either is recorded."""
        frame = group[0].seen[-1] + 1
        frames = (frame, self.rng.choice([frame, frame + 1]))
        meet, recorded = threading.Barrier(2, timeout=60), threading.Event()
        first, advance = self.rng.randrange(2), RedisStore.advance
        replies: dict[int, Reply] = {}

        def in_turn(store: RedisStore, *args: Any) -> Any:
            meet.wait()
            if threading.current_thread() is not rivals[first]:
                recorded.wait(timeout=60)
            try:
                return advance(store, *args)
            finally:
                recorded.set()

        def ask(i: int) -> None:
            states = [one.state for one in group]
            replies[i] = self.fronts[i].follow(group[0].clip, frames[i], states)

        rivals = [threading.Thread(target=ask, args=(i,)) for i in (0, 1)]
        with self.patch.context() as patch:
            patch.setattr(RedisStore, "advance", in_turn)
            for rival in rivals:
                rival.start()
            for rival in rivals:
                rival.join()
        won = [i for i, reply in sorted(replies.items()) if reply.status == 200]
        if frames[0] == frames[1]:
            self.counts["race of twins"] += 2
            assert won == [0, 1]
            assert replies[0].body["shapes"] == replies[1].body["shapes"]
        else:
            self.counts["race of rivals"] += 2
            assert won == [first]
            assert replies[1 - first].status == 409
        self.accept(group, frames[won[0]], replies[won[0]])

    def new_worker(self, group: list[Held]) -> None:
        self.fronts[self.rng.randrange(2)].worker = Watched(nuclio.handler)
        self.go_on(group, why="new worker")

    def garbage(self, group: list[Held]) -> None:
        front, states = self.front, [one.state for one in group]
        clip, good = group[0].clip, front.tasks[group[0].clip].frames[0]
        unknown = front.sign("".join(self.rng.choices("abcXYZ019-_", k=32)))
        damaged = bytearray(good)
        damaged[self.rng.randrange(33)] ^= 255  # of a PNG's pixels Pillow does not look at the checksum
        front.tasks[99] = Task([bytes(damaged), good[: self.rng.randrange(1, len(good) - 20)], b""])
        raw = bytes(self.rng.choices(b'{}[]",:0129.eE-+ntf\xff\x00', k=self.rng.randrange(60)))
        outside = {"type": "rectangle", "points": [WIDTH + 1, 1, WIDTH + 9, 9]}
        trials: list[tuple[str, int, Callable[[], int]]] = [
            ("no JSON", 400, lambda: front.worker.post(b"\x00" + raw)[0]),
            ("forged state", 400, lambda: front.follow(clip, 1, [*states, states[0][:-1]]).status),
            ("unknown state", 404, lambda: front.follow(clip, 1, [*states, unknown]).status),
            ("a state twice", 400, lambda: front.follow(clip, 1, [*states, states[0]]).status),
            ("damaged image", 422, lambda: front.follow(99, 0, states).status),
            ("half an image", 422, lambda: front.follow(99, 1, states).status),
            ("no image", 400, lambda: front.follow(99, 2, states).status),
            ("outside", 400, lambda: front.begin(clip, 0, [drawn(clip, 0, 0), outside]).status),
            ("too many", 413, lambda: front.begin(clip, 0, [outside] * 101).status),
        ]
        why, status, trial = self.rng.choice(trials)
        self.counts[why] += 1
        assert trial() == status, (why, front.worker.log[-1000:])


HAPPENINGS: dict[Callable[[Storm, list[Held]], None], float] = {
    Storm.go_on: 40,
    Storm.replay: 8,
    Storm.stale: 6,
    Storm.wrong_size: 6,
    Storm.garbage: 14,
    Storm.destroyed: 8,
    Storm.redis_gone: 3,
    Storm.redis_gone_within: 6,
    Storm.redis_restarted: 2,
    Storm.race: 6,
    Storm.new_worker: 1,
}
DAMAGES: dict[str, Callable[[Storm, str], None]] = {
    "expired": Storm.expire,
    "truncated": Storm.truncate,
    "a bit flipped": Storm.flip,
    "head overwritten": Storm.overwrite,
}


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> tuple[Sam2, Path]:
    """pocket at 128 pixels, where a request takes some forty milliseconds; and its file."""
    torch.set_num_threads(1)
    whole = load_network("pocket", device="cpu", dtype="float32")
    small = Sam2(replace(whole.config, image_size=128)).eval().requires_grad_(False)
    small.load_state_dict(whole.state_dict())
    path = tmp_path_factory.mktemp("model") / "small.safetensors"
    save_network(small, path)
    return small, path


@pytest.fixture
def storm(
    deploy: object, server: RedisServer, network: tuple[Sam2, Path], monkeypatch: pytest.MonkeyPatch
) -> Storm:
    monkeypatch.setenv("KEEPSIGHT_MODEL", str(network[1]))
    server.admin.flushall()
    return Storm(server, Oracle(network[0]), monkeypatch, seed=6)


@pytest.mark.slow
def test_the_answers_tell_objects_apart(network: tuple[Sam2, Path]) -> None:
    oracle = Oracle(network[0])
    for clip in CLIPS:
        for number in range(len(COLOURS)):
            for frame in (1, LENGTH // 2, LENGTH - 1):
                found = mask_of(oracle.answer(clip, number, tuple(range(frame + 1))), HEIGHT, WIDTH)
                shares = [(found & disc(clip, n, frame)).sum() for n in range(len(COLOURS))]
                assert shares[number] > 0.6 * disc(clip, number, frame).sum()
                assert sum(shares) - shares[number] < 0.2 * shares[number]


@pytest.mark.slow
def test_a_thousand_requests_with_faults(storm: Storm, server: RedisServer) -> None:
    while sum(storm.counts.values()) < REQUESTS:
        storm.step()
    for one in list(storm.held.values()):
        storm.go_on([one], why="at the end")
    lives = [int(server.run("TTL", key)) for key in server.keys()]
    assert min(lives) > 0
    LOG.info("%d requests: %s", sum(storm.counts.values()), dict(storm.counts.most_common()))
    LOG.info("%d answers as foretold; statuses %s", storm.answers, dict(Watched.statuses))
    assert storm.answers > 400
    assert set(Watched.statuses) == DOCUMENTED
    assert all(storm.counts[why] for why in (*DAMAGES, "race of twins", "race of rivals", "replay", "again"))
