"""A job on a CVAT server, through cvat-sdk: what is annotated, its frames, and the way back.

Every request that writes is done wholly or not at all by the server. What is new is created first, then what
goes on is changed, then what was replaced is deleted, as CVAT's own interface saves; if one of them fails,
the ones before are undone. So a run that breaks off at any moment leaves whole tracks only.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from typing import Any

from keepsight.apps.cvat.job.frames import FetchedPictures, JobFrames
from keepsight.apps.cvat.job.interrupts import held_back
from keepsight.apps.cvat.job.labeled import Job, Label, Timeline
from keepsight.apps.cvat.job.merging import Changes
from keepsight.apps.cvat.job.rest import job_of, shape_to_json, track_to_json
from keepsight.apps.cvat.pictures import read_picture
from keepsight.errors import FrameIndexError, KeepsightError, SourceError, UsageError
from keepsight.types import ImageArray

__all__ = ["CvatServerError", "ServerJob", "connected"]

MOST_PIXELS = 2**28
EMPTY: dict[str, list[Any]] = {"tags": [], "shapes": [], "tracks": []}


class CvatServerError(KeepsightError, ConnectionError):
    """A CVAT server cannot be reached, or does not do what it was asked."""


@contextmanager
def connected(host: str | None, auth: str | None, organization: str | None, insecure: bool) -> Iterator[Any]:
    """A client of the SDK that is logged in, chosen as cvat-cli chooses.

    Args:
        host: the server's address; None for the one of the SDK's saved profile, else http://localhost.
        auth: "USER" or "USER:PASS"; None for the token in CVAT_ACCESS_TOKEN, the saved profile's, or a
            password that is asked for. A password may stand in PASS.
        organization: its short name; empty for the personal workspace; None to leave it open.
        insecure: do not check the server's certificate.

    Raises:
        UsageError: cvat-sdk is missing, or there is no password and nobody to ask.
        CvatServerError: the server cannot be reached, or does not take the credentials.
    """
    try:
        sdk: Any = import_module("cvat_sdk.core.auth")
    except ImportError as error:
        raise UsageError(
            "Working on a CVAT server needs the package cvat-sdk, which is not installed. Install it, with "
            "Python 3.11 or newer: pip install 'keepsight[cvat]'. Files need none: --annotations and --video."
        ) from error
    chosen = sdk.ClientAuthParameters(
        auth=None if auth is None else sdk.get_auth_factory(auth),
        server_host=host,
        insecure=insecure,
        organization=organization,
    )
    try:
        with _told(f"a login at {host or 'the server'}", login=True):
            client = sdk.make_client_from_cli(chosen)
    except EOFError as error:
        raise UsageError(
            "Expected a password, but there is nobody to ask. Give --auth USER:PASS, or set PASS or "
            "CVAT_ACCESS_TOKEN."
        ) from error
    with client:
        yield client


class ServerJob:
    """One job: read once, written once.

    Args:
        client: logged in.
        job_id: the job; or None, if a task is given.
        task_id: the task, of which the job is taken that holds all the frames.
        frames: the frames that have to be in it.

    Raises:
        CvatServerError: it does not exist or cannot be read.
        FrameIndexError: no job of the task holds the frames, or several do.
        UsageError: it is not made of two-dimensional images.
    """

    def __init__(self, client: Any, job_id: int | None, task_id: int | None, frames: Sequence[int]) -> None:
        what = f"job {job_id}" if task_id is None else f"task {task_id}"
        with _told(what):
            self._job = (
                client.jobs.retrieve(job_id) if task_id is None else _job_of_task(client, task_id, frames)
            )
            self.name = f"job {self._job.id}"
            if str(self._job.dimension) != "2d":
                raise UsageError(
                    f"{self.name} holds no two-dimensional images, and only those can be tracked."
                )
            self._meta = self._job.get_meta()
            labels = tuple(_label(label) for label in self._job.get_labels())
            self._document = self._annotations()
        self.job: Job = job_of(self._document, labels, self._timeline(), None, self.name)

    def size_of(self, numbers: Sequence[int]) -> tuple[int, int]:
        """The (width, height) of frames.

        Raises:
            SourceError: they have different sizes.
        """
        sizes = self._sizes()
        first = sizes(numbers[0])
        for number in numbers:
            if sizes(number) != first:
                (w, h), (other_w, other_h) = first, sizes(number)
                raise SourceError(
                    f"Expected frames of one size, but frame {numbers[0]} of {self.name} has {w} x {h} "
                    f"pixels and frame {number} {other_w} x {other_h}. Choose a --target-frame before it."
                )
        return first

    def open(self, numbers: Sequence[int], size: tuple[int, int]) -> JobFrames:
        """The frames, fetched as they are needed."""
        return JobFrames(FetchedPictures(self._picture), numbers, size, self.name)

    def check_place(self) -> None:
        """Nothing is in the way on a server."""

    def write(self, changes: Changes) -> str:
        """Makes the changes and says where.

        Raises:
            CvatServerError: somebody changed the same objects meanwhile, or a request failed; the message
                says what is on the server then.
        """
        if changes:
            with held_back(
                "Writing to the server, which is better finished; Ctrl-C once more breaks it off."
            ):
                self._check_unchanged(changes)
                self._make(changes)
        return f"{self._job.url.split('/api/')[0]}/tasks/{self._job.task_id}/jobs/{self._job.id}"

    def _timeline(self) -> Timeline:
        first, last = self._job.start_frame, self._job.stop_frame
        deleted = set(self._meta.deleted_frames or ())
        included = self._meta.included_frames
        shown = range(first, last + 1) if included is None else sorted(included)
        frames = tuple(frame for frame in shown if first <= frame <= last and frame not in deleted)
        if not frames:
            raise FrameIndexError(f"{self.name} has no frames that are not deleted.")
        return Timeline(frames, first, last)

    def _sizes(self) -> Callable[[int], tuple[int, int]]:
        """By frame; of a video CVAT says it once, of images for each frame of the job."""
        metas = self._meta.frames or []
        included = self._meta.included_frames
        order = range(self._job.start_frame, self._job.stop_frame + 1) if included is None else included
        if len(metas) not in (1, len(order)):
            raise CvatServerError(
                f"Expected the size of each of the {len(order)} frames of {self.name}, but got {len(metas)}."
            )
        sizes = {number: (meta.width, meta.height) for number, meta in zip(order, metas, strict=False)}
        return lambda number: sizes[number] if len(metas) > 1 else (metas[0].width, metas[0].height)

    def _picture(self, number: int) -> ImageArray:
        with _told(f"frame {number} of {self.name}"):
            # Not `get_frame`: with every answer it leaves a file in the temporary folder.
            _, response = self._job.api.retrieve_data(
                self._job.id, number=number, quality="original", type="frame", _parse_response=False
            )
            data = response.data
        try:
            return read_picture(data, MOST_PIXELS)
        except KeepsightError as error:
            raise SourceError(f"Frame {number} of {self.name}: {error}") from error

    def _annotations(self) -> Any:
        _, response = self._job.api.retrieve_annotations(self._job.id, _parse_response=False)
        return json.loads(response.data)

    def _check_unchanged(self, changes: Changes) -> None:
        """Compares what the plan rests on with what is there now."""
        with _told(self.name):
            now = self._annotations()
        known = {(sort, item["id"]): item for sort in ("shapes", "tracks") for item in now[sort]}
        for item in changes.touched:
            sort = "tracks" if "shapes" in item.raw else "shapes"
            if _plain(known.get((sort, item.id))) != _plain(item.raw):
                raise CvatServerError(
                    f"{sort[:-1].capitalize()} {item.id} of {self.name} was changed by somebody while it was "
                    f"tracked. Nothing was written; run again."
                )
        new = {shape.group for shape in changes.new_shapes} - {item.group for item in self.job.shapes}
        taken = new & {item.get("group") for sort in EMPTY for item in now.get(sort, ())}
        if taken:
            raise CvatServerError(
                f"Group {min(taken)} of {self.name} was given to other objects meanwhile. Nothing was "
                f"written; run again."
            )

    def _make(self, changes: Changes) -> None:
        new = {
            "shapes": [shape_to_json(shape) for shape in changes.new_shapes],
            "tracks": [track_to_json(track) for track in changes.new_tracks],
        }
        before = {
            "shapes": [shape.raw for shape, _ in changes.shapes],
            "tracks": [track.raw for track, _ in changes.tracks],
        }
        after = {
            "shapes": [shape_to_json(shape) for _, shape in changes.shapes],
            "tracks": [track_to_json(track) for _, track in changes.tracks],
        }
        undo: list[tuple[str, dict[str, Any]]] = []
        try:
            undo.append(("delete", self._patch("create", new)))
            self._patch("update", after)
            undo.append(("update", before))
            self._patch("delete", {"shapes": [shape.raw for shape in changes.gone]})
        except CvatServerError as error:
            raise CvatServerError(f"{error} {self._undone(undo)}") from error
        except KeyboardInterrupt as error:
            raise CvatServerError(f"Broken off by Ctrl-C. {self._undone(undo)}") from error

    def _undone(self, undo: list[tuple[str, dict[str, Any]]]) -> str:
        """Takes back what was written, last first, and says what is on the server then."""
        try:
            for action, data in reversed(undo):
                self._patch(action, data)
            with _told(self.name):
                left = _difference(self._document, self._annotations())
        except CvatServerError:
            return (
                f"Nor could the server be asked to take back what had been written. Tracks on it are whole, "
                f"but look at {self.name} before you run again."
            )
        if left:
            return f"Not everything could be taken back; look at {', '.join(left)} of {self.name}."
        return f"What had been written was taken back: {self.name} is as it was."

    def _patch(self, action: str, data: dict[str, Any]) -> dict[str, Any]:
        """One request, if there is something to do; what was made, with the numbers that it got."""
        if not any(data.values()):
            return {}
        models: Any = import_module("cvat_sdk.models")
        # Unchecked: the SDK would turn every keyframe into an object, 10 s for 15,000; the server checks.
        body = models.PatchedLabeledDataRequest(_check_type=False, **{**EMPTY, **data})
        with _told(f"leave to {action} annotations of {self.name}"):
            _, response = self._job.api.partial_update_annotations(
                action, self._job.id, patched_labeled_data_request=body, _parse_response=False
            )
            answer = json.loads(response.data or b"{}")
        return {sort: answer.get(sort, []) for sort in ("shapes", "tracks")}


def _job_of_task(client: Any, task_id: int, frames: Sequence[int]) -> Any:
    jobs = [job for job in client.tasks.retrieve(task_id).get_jobs() if str(job.type) == "annotation"]
    fitting = [job for job in jobs if all(job.start_frame <= frame <= job.stop_frame for frame in frames)]
    if len(fitting) == 1:
        return fitting[0]
    listed = ", ".join(f"{job.id} (frames {job.start_frame} to {job.stop_frame})" for job in fitting or jobs)
    asked = f"frame {frames[0]}" if len(frames) == 1 else f"frames {', '.join(map(str, frames))}"
    raise FrameIndexError(
        f"Expected one job of task {task_id} that holds {asked}, but "
        f"{'several do' if fitting else 'none does'}: {listed or 'it has none'}. Say which with --job."
    )


def _label(label: Any) -> Label:
    mutable = frozenset(attribute.id for attribute in label.attributes if attribute.mutable)
    return Label(label.id, label.name, mutable)


def _difference(before: Any, after: Any) -> list[str]:
    """What is new, changed or missing."""
    found = []
    for sort in ("tracks", "shapes"):
        one, two = ({item["id"]: _plain(item) for item in document[sort]} for document in (before, after))
        found += [f"{sort[:-1]} {i}" for i in sorted(one.keys() | two.keys()) if one.get(i) != two.get(i)]
    return found


def _plain(item: Any) -> Any:
    """Without the order in which the server happens to list attributes."""
    if isinstance(item, dict):
        return {key: _plain(value) for key, value in item.items()}
    if isinstance(item, list):
        plain = [_plain(value) for value in item]
        attributes = all(isinstance(value, dict) and "spec_id" in value for value in plain)
        return sorted(plain, key=lambda value: value["spec_id"]) if attributes else plain
    return item


@contextmanager
def _told(what: str, login: bool = False) -> Iterator[None]:
    """The SDK's errors as one sentence each."""
    api: Any = import_module("cvat_sdk.exceptions")
    http: Any = import_module("urllib3.exceptions")
    try:
        yield
    except api.ApiException as error:
        raise CvatServerError(_sentence(what, error, login)) from error
    except (http.HTTPError, OSError) as error:
        raise CvatServerError(
            f"Expected a CVAT server for {what}, but it cannot be reached: {str(error)[:300]}. Check "
            f"--server-host and whether it runs."
        ) from error
    except (api.CvatSdkException, api.OpenApiException, json.JSONDecodeError) as error:
        raise CvatServerError(f"Asked for {what}, and cvat-sdk says: {str(error)[:300]}") from error


def _sentence(what: str, error: Any, login: bool) -> str:
    status = error.status
    if login and status in (400, 401, 403):
        return (
            f"Expected a user and password that the server takes, but it answered {status}. Check --auth (or "
            f"PASS)."
        )
    if status == 401:
        return (
            f"Asked for {what}, but the server knows no such user (401). Check CVAT_ACCESS_TOKEN, or give "
            f"--auth USER:PASS."
        )
    if status == 403:
        return f"Asked for {what}, but this user may not (403). Check --auth and --org."
    if status == 404:
        return f"Asked for {what}, but the server has none (404). Check the number, --server-host and --org."
    body = error.body.decode(errors="replace") if isinstance(error.body, bytes) else str(error.body or "")
    return f"Asked for {what}, but the server answered {status} {error.reason}: {body[:300]}"
