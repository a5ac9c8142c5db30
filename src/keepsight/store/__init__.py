"""Where sessions wait between two requests of a server: in this process, or in Redis.

    store.py        what every store is, and why a token is used once
    in_process.py   the default
    redis_store.py  Redis and Kvrocks, and the choice by environment variables

Nothing of redis is imported before a `RedisStore` is made.
"""

from keepsight.store.in_process import InProcessStore
from keepsight.store.redis_store import RedisStore, from_environment
from keepsight.store.store import Live, SnapshotStore, Spent, Step

__all__ = ["InProcessStore", "Live", "RedisStore", "SnapshotStore", "Spent", "Step", "from_environment"]
