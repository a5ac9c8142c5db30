"""A port, and the application on it."""

import contextlib
import errno
import signal
import socket
from collections.abc import Callable

import uvicorn
from starlette.types import ASGIApp

from keepsight.errors import UsageError

__all__ = ["bound", "serve"]

STOP_SECONDS = 2


def bound(host: str, port: int) -> socket.socket:
    """A socket that listens at an address.

    Args:
        host: name or number.
        port: 0 for any that is free.

    Raises:
        UsageError: the port is taken, or the address is not this machine's.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listening = socket.socket(family, kind, protocol)
        try:
            # Else a port that was in use seconds ago could not be taken again.
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind(address)
            listening.listen(128)
        except BaseException:
            listening.close()
            raise
    except OSError as error:
        raise UsageError(_cannot_listen(host, port, error)) from error
    return listening


def _cannot_listen(host: str, port: int, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return (
            f"Expected port {port} to be free, but another program listens there. Choose another one with "
            f"--port, or --port 0 for any."
        )
    if error.errno == errno.EACCES:
        return f"Port {port} may be used by the administrator only. Choose one above 1023 with --port."
    return f"Expected an address of this machine as --host, but {host} is none: {error.strerror or error}."


class _Server(uvicorn.Server):
    """Says when it is ready."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: "list[socket.socket] | None" = None) -> None:
        await super().startup(sockets)
        self._ready()


def serve(app: ASGIApp, listening: socket.socket, ready: Callable[[], None]) -> None:
    """Serves an application until Ctrl-C or SIGTERM, both of which end it in order.

    Args:
        app: the application.
        listening: from `bound`; closed at the end.
        ready: called once requests are taken.
    """
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        lifespan="off",
        server_header=False,
        ws_max_size=2**16,
        timeout_graceful_shutdown=STOP_SECONDS,
    )
    # uvicorn stops in order and then sends itself the signal again, which must not end us before our callers.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with contextlib.suppress(KeyboardInterrupt):
        _Server(config, ready).run([listening])
