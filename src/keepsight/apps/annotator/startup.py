"""From what was told on the command line to a running server."""

import glob
import os
import secrets
import sys
import threading
import webbrowser
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from keepsight.apps.annotator.allowed import AllowedFolders
from keepsight.apps.annotator.clip import Clip
from keepsight.apps.annotator.names import MODELS, known_policy
from keepsight.apps.annotator.options import AnnotateOptions
from keepsight.apps.annotator.project.failures import shown
from keepsight.apps.annotator.project.opening import open_project, saved_source
from keepsight.apps.annotator.project.values import Fingerprint
from keepsight.errors import SourceError, UsageError
from keepsight.video import FrameSource, SourceInfo, open_source
from keepsight.video.images import is_image

if TYPE_CHECKING:
    from keepsight.nn.io import VideoNetwork

__all__ = ["start"]

SUFFIX = ".keepsight"
PATIENCE_SECONDS = 2.0  # until the model is loaded though no page has asked for anything
LOCAL = ("localhost", "127.0.0.1", "::1")


def start(options: AnnotateOptions) -> None:
    """Opens the video and its project, and serves the page until it is told to stop.

    Raises:
        UsageError: the options contradict each other, the port is taken, or the server is not installed.
        SourceError: the video cannot be read.
        ProjectError: the project cannot be used.
        ForbiddenError: something lies outside the given folders.
    """
    _require_server()
    from keepsight.apps.annotator.frames import FrameShelf
    from keepsight.apps.annotator.server.app import build_app
    from keepsight.apps.annotator.server.gate import Door
    from keepsight.apps.annotator.server.serving import bound, serve
    from keepsight.apps.annotator.studio import Studio

    known_policy(options.policy)
    place, file = _places(options)
    with ExitStack() as opened:
        open_again = partial(open_source, _address_of(place))
        source = opened.enter_context(open_again())
        fingerprint = _fingerprint(source, place)
        listening = opened.enter_context(bound(options.host, options.port))
        token = options.token or (None if options.host in LOCAL else secrets.token_urlsafe(24))
        door = Door(options.host, listening.getsockname()[1], token)
        project = open_project(file, fingerprint, place, door.address.partition("?")[0])
        opened.callback(project.close)
        clip = Clip(_info(source, place), fingerprint.frames, open_again)
        studio = Studio(project, clip, _loader(options), model=options.model, policy=options.policy)
        opened.callback(studio.close)
        shelf = FrameShelf(source, fingerprint.frames)
        opened.callback(shelf.close)
        patience = threading.Timer(PATIENCE_SECONDS, studio.start)
        patience.daemon = True
        opened.callback(patience.cancel)

        def ready() -> None:
            _announce(door.address, place, file, project.notes)
            if not options.no_browser:
                threading.Thread(target=webbrowser.open, args=(door.address,), daemon=True).start()
            patience.start()

        models = tuple(dict.fromkeys((options.model, *MODELS)))
        serve(build_app(studio, shelf, str(fingerprint), models, door), listening, ready)
    if studio.worker.left_behind:
        # Everything is saved and closed. PyTorch aborts where the interpreter ends beneath a thread of its.
        sys.stdout.flush()
        os._exit(0)


def _loader(options: AnnotateOptions) -> Callable[[str], "VideoNetwork"]:
    def load(name: str) -> "VideoNetwork":
        from keepsight.api import load_model

        return load_model(name, device=options.device)

    return load


def _require_server() -> None:
    missing = [name for name in ("fastapi", "uvicorn", "websockets") if find_spec(name) is None]
    if missing:
        raise UsageError(
            f"keepsight annotate needs {' and '.join(missing)}, which is not installed. Install it with: "
            f"pip install 'keepsight[serve]'"
        )


def _places(options: AnnotateOptions) -> tuple[Path, Path]:
    """The video and the project file."""
    if options.source is None and options.project is None:
        raise UsageError(
            "Expected a video or a folder of images, but got none. For example: keepsight annotate clip.mp4"
        )
    if options.source is not None:
        place = Path(options.source).expanduser().absolute()
        whole = _folder(place)[0]
        file = options.project or whole.parent / f"{whole.name or 'images'}{SUFFIX}"
    else:
        file = options.project or Path()
        place = saved_source(file)
    file = file.expanduser().absolute()
    whole, pattern = _folder(place)
    allowed = AllowedFolders(options.allow or [whole if pattern else whole.parent, file.parent])
    for path in (whole, file, *(_files(place) if pattern else ())):
        allowed.check(path)
    return place, file


def _folder(place: Path) -> tuple[Path, str]:
    """The folder that a glob of images begins in, and the rest of it; of anything else itself and nothing."""
    if place.exists() or not any(sign in str(place) for sign in "*?["):
        return place, ""
    folder = next(folder for folder in place.parents if folder.is_dir())
    return folder, str(place.relative_to(folder))


def _address_of(place: Path) -> str:
    """What the video is opened by; signs in the names of folders that are there stand for themselves."""
    folder, pattern = _folder(place)
    return str(Path(glob.escape(str(folder)), pattern)) if pattern else str(place)


def _files(place: Path) -> list[Path]:
    """The files that a video consists of."""
    folder, pattern = _folder(place)
    if not pattern:
        return [place] if place.is_file() else [path for path in place.iterdir() if path.is_file()]
    try:
        named = [path for path in folder.glob(pattern) if is_image(path) and not path.name.startswith(".")]
        return [path for path in named if path.is_file()]
    except (ValueError, OSError):
        return []  # Opening it says what is wrong with it.


def _info(source: FrameSource, place: Path) -> SourceInfo:
    """What is known of the video, its names such as can be printed and sent."""
    folder, pattern = _folder(place)
    names = source.info.file_names
    return replace(
        source.info,
        name=shown(folder.name if pattern else source.info.name),
        file_names=None if names is None else tuple(shown(name) for name in names),
    )


def _fingerprint(source: FrameSource, place: Path) -> Fingerprint:
    if source.info.live:
        raise SourceError(
            f"Expected a video file or a folder of images, but {source.info.name} is live. Record it first."
        )
    size = sum(path.stat().st_size for path in _files(place))
    return Fingerprint(source.count(), source.info.width, source.info.height, size)


def _announce(address: str, place: Path, file: Path, notes: tuple[str, ...]) -> None:
    say = Console(soft_wrap=True, highlight=False, markup=False).print
    folder, pattern = _folder(place)
    say(f"{shown(Path(folder.name, pattern))} is at {address}")
    say(f"Everything is saved in {shown(file)}. Ctrl-C stops.")
    for note in notes:
        say(f"Note: {note}")
