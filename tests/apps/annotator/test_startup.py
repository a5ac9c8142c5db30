"""`keepsight annotate` from its command line: what it refuses, how it starts and how it ends."""

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.sync.client import connect

from keepsight.apps.annotator import startup
from keepsight.apps.annotator.allowed import AllowedFolders
from keepsight.apps.annotator.errors import ForbiddenError, ProjectError
from keepsight.apps.annotator.options import AnnotateOptions
from keepsight.apps.annotator.server.serving import bound
from keepsight.apps.annotator.startup import start
from keepsight.errors import PolicyError, SourceError, UsageError
from tests.apps.annotator.rooms import contents, write_clip
from tests.apps.annotator.servers import clip_at, command, running, wait_for

pytestmark = pytest.mark.slow
linux = pytest.mark.skipif(
    sys.platform != "linux", reason="names of files are text there, and links are rare"
)


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return clip_at(tmp_path_factory.mktemp("film") / "clip.mp4")


@pytest.fixture
def clip(film: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(film, tmp_path / "clip.mp4"))


def options(source: Path | None, **changed: Any) -> AnnotateOptions:
    base = AnnotateOptions(None if source is None else str(source), port=0, no_browser=True)
    return replace(base, **changed)


def refused(*arguments: object) -> tuple[int, str]:
    """The exit code and what is printed of a server that does not start."""
    done = subprocess.run(command(*arguments), capture_output=True, text=True, timeout=90, check=False)
    assert "Traceback" not in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    return done.returncode, done.stderr


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_it_starts_says_where_and_ends_in_order(clip: Path, how: signal.Signals) -> None:
    with running(clip) as server:
        assert server.address.startswith("http://127.0.0.1:")
        assert f"Everything is saved in {clip}.keepsight" in server.said
        project = server.project()
        assert project["source"]["frames"] == 40
        assert project["source"]["rate"] == 25.0
        assert server.client.get("/api/frames/7.jpg").headers["content-type"] == "image/jpeg"
        server.client.post("/api/objects", json={"kind": "mask"})
        assert server.stop(how) == 0
        assert "Error" not in server.said
    assert sorted(path.name for path in clip.parent.iterdir()) == ["clip.mp4", "clip.mp4.keepsight"]
    assert len(contents(clip.with_name("clip.mp4.keepsight"))["objects"]) == 1


def test_the_project_alone_is_enough(clip: Path, tmp_path: Path) -> None:
    project = tmp_path / "elsewhere" / "my.keepsight"
    project.parent.mkdir()
    for arguments in ((clip, "--project", project), ("--project", project)):
        with running(*arguments) as server:
            assert server.project()["source"]["name"] == "clip.mp4"
            assert server.stop() == 0
    assert not clip.with_name("clip.mp4.keepsight").exists()


def test_a_folder_of_images(tmp_path: Path) -> None:
    folder = write_clip(tmp_path / "images", 5)
    with running(folder) as server:
        assert server.project()["source"]["frames"] == 5
        assert server.stop() == 0
    assert (tmp_path / "images.keepsight").exists()


@linux
def test_a_name_that_is_no_text(clip: Path) -> None:
    odd = clip.rename(clip.with_name(os.fsdecode(b"caf\xe9.mp4")))
    for arguments in ((odd,), ("--project", f"{odd}.keepsight")):
        with running(*arguments) as server:
            assert server.said.startswith(r"caf\xe9.mp4 is at ")
            assert r"caf\xe9.mp4.keepsight. Ctrl-C stops." in server.said
            assert server.project()["source"]["name"] == r"caf\xe9.mp4"
            assert server.stop() == 0
    assert {path.name for path in clip.parent.iterdir()} == {odd.name, f"{odd.name}.keepsight"}
    odd.write_bytes(odd.read_bytes() + b"x")
    with running(odd) as server:
        assert server.project()["notes"][0].startswith(r"caf\xe9.mp4 is another file than")
        assert server.stop() == 0


def twins(folder: Path) -> Path:
    """Frames as PNG, and some of them as JPEG too."""
    write_clip(folder, 5)
    for number in range(3):
        shutil.copy(folder / "00000.png", folder / f"{number:05d}.jpg")
    return folder


def test_the_glob_that_is_recommended_for_twins_is_taken(tmp_path: Path) -> None:
    folder = twins(tmp_path / "here" / "twins [1]")
    with pytest.raises(SourceError, match="with a glob, such as ") as told:
        start(options(folder))
    pattern = str(told.value).partition("such as ")[2].rstrip(".").replace(".jpg", ".png")
    assert pattern == str(folder / "*.png")
    project = folder.with_name("twins [1].keepsight")
    for arguments in ((pattern,), ("--project", project)):
        with running(*arguments) as server:
            assert server.said.startswith("twins [1]/*.png is at ")
            source = server.project()["source"]
            assert (source["name"], source["frames"]) == ("twins [1]", 5)
            assert source["fingerprint"].endswith(f"-{sum(f.stat().st_size for f in folder.glob('*.png'))}")
            assert server.client.get("/api/frames/4.jpg").status_code == 200
            assert server.stop() == 0
    assert sorted(path.name for path in folder.parent.iterdir()) == ["twins [1]", "twins [1].keepsight"]


def test_a_glob_that_names_nothing_or_leads_elsewhere_is_told(tmp_path: Path) -> None:
    folder = twins(tmp_path / "twins")
    for pattern in ("*.bmp", "**x/*.png", "gone*/a/*.png"):
        with pytest.raises(SourceError, match="glob"):
            start(options(folder / pattern))
    (folder / "00009.png").symlink_to(shutil.copy(folder / "00000.png", tmp_path / "other.png"))
    with pytest.raises(ForbiddenError, match=r"00009\.png leads to"):
        start(options(folder / "*.png", allow=[folder], project=folder / "a.keepsight"))
    assert not list(tmp_path.glob("**/*.keepsight*"))


@linux
def test_a_link_to_a_project_that_is_open_is_refused(clip: Path) -> None:
    with running(clip) as server:
        link = clip.with_name("link.keepsight")
        link.symlink_to(f"{clip.name}.keepsight")
        code, said = refused(clip, "--project", link, "--port", 0)
        assert code == 1
        assert f"another keepsight has it open at {server.address}" in said
        server.stop()


def test_two_servers_on_one_project_are_refused_by_name(clip: Path) -> None:
    with running(clip) as server:
        code, said = refused(clip, "--port", 0)
        assert code == 1
        assert f"another keepsight has it open at {server.address}" in said
        assert server.project()["revision"] == 0
        server.stop()


def test_a_taken_port_is_told(clip: Path) -> None:
    with running(clip) as server:
        port = httpx.URL(server.address).port
        other = shutil.copy(clip, clip.with_name("other.mp4"))
        code, said = refused(other, "--port", port)
        assert code == 2
        assert f"Expected port {port} to be free" in said
        server.stop()


def test_from_elsewhere_a_token_is_needed(clip: Path) -> None:
    with running(clip, "--host", "0.0.0.0") as server:
        assert "?token=" in server.address
        assert server.client.get("/api/project").status_code == 403
        assert httpx.get(server.address, follow_redirects=False).status_code == 303
        token = server.address.partition("=")[2]
        assert len(token) >= 24
        bearer = {"authorization": f"Bearer {token}"}
        assert server.client.get("/api/project", headers=bearer).status_code == 200
        server.stop()


def test_killed_in_the_middle_of_a_run_it_goes_on(clip: Path) -> None:
    with running(clip) as server:
        server.ready()
        number = server.client.post("/api/objects", json={"kind": "polygon"}).json()["object"]["id"]
        click = {"frame": 0, "points": [[105, 185]], "labels": [1]}
        assert server.client.post(f"/api/objects/{number}/prompt", json=click).status_code == 200
        run = {"objects": [number], "frame": 0, "target": 39}
        assert server.client.post("/api/run", json=run).status_code == 200
        wait_for(lambda: (server.project()["run"] or {"done": 39})["done"] >= 5)
        server.stop(signal.SIGKILL)
    with running(clip) as server:
        left = server.project()["unfinished"]
        assert left["state"] == "interrupted"
        assert 5 <= left["done"] < 39
        frames = server.client.get("/api/timeline").json()["objects"][0]["frames"]
        assert frames == list(range(left["done"] + 1))
        assert server.client.post("/api/run/resume").status_code == 503
        server.ready()
        resumed = server.client.post("/api/run/resume").json()["run"]
        assert resumed["id"] == left["id"]
        wait_for(lambda: server.project()["run"] is None)
        assert server.project()["unfinished"] is None
        frames = server.client.get("/api/timeline").json()["objects"][0]["frames"]
        assert frames == list(range(40))
        assert server.client.post("/api/undo").json()["name"] == "tracking"
        assert server.client.get("/api/timeline").json()["objects"][0]["frames"] == [0]
        assert server.stop() == 0


def test_stopped_in_the_middle_of_a_run_it_ends_soon(clip: Path) -> None:
    with running(clip) as server:
        server.ready()
        number = server.client.post("/api/objects", json={"kind": "mask"}).json()["object"]["id"]
        box = {"frame": 0, "box": [40, 130, 190, 250]}
        assert server.client.post(f"/api/objects/{number}/prompt", json=box).status_code == 200
        run = {"objects": [number], "frame": 0, "target": 39}
        server.client.post("/api/run", json=run)
        wait_for(lambda: (server.project()["run"] or {"done": 39})["done"] >= 2)
        assert server.stop() == 0
    link = sqlite3.connect(clip.with_name("clip.mp4.keepsight"))
    assert link.execute("SELECT state FROM runs").fetchall() == [("interrupted",)]
    link.close()


def test_stopped_while_the_model_is_loaded_it_ends_in_order(clip: Path) -> None:
    for delay in (0.2, 0.6, 1.0, 1.4):
        with running(clip) as server, connect(server.address.replace("http", "ws") + "api/events"):
            time.sleep(delay)  # whatever it is at then
            assert server.stop() == 0
            assert "terminate" not in server.said
    assert sorted(path.name for path in clip.parent.iterdir()) == ["clip.mp4", "clip.mp4.keepsight"]


def test_what_cannot_be_opened_is_told(tmp_path: Path) -> None:
    damaged, words = tmp_path / "damaged.mp4", tmp_path / "words.txt"
    damaged.write_bytes(b"\0\0\0\x20ftypisom" + b"x" * 1000)
    words.write_text("no video")
    for source in (tmp_path / "gone.mp4", damaged, words, tmp_path):
        with pytest.raises(SourceError):
            start(options(source))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["damaged.mp4", "words.txt"]


def test_a_video_cut_short_is_told_or_opened_as_far_as_it_goes(clip: Path) -> None:
    data = clip.read_bytes()
    clip.write_bytes(data[: len(data) // 3])
    with pytest.raises(SourceError):
        start(options(clip))


def test_options_that_make_no_sense_are_told(clip: Path) -> None:
    with pytest.raises(UsageError, match=r"keepsight annotate clip\.mp4"):
        start(options(None))
    with pytest.raises(PolicyError, match="one of sam2"):
        start(options(clip, policy="best"))
    with pytest.raises(UsageError, match=r"192\.0\.2\.1 is none"):
        start(options(clip, host="192.0.2.1"))
    with pytest.raises(UsageError, match=r"nowhere\.invalid is none"):
        start(options(clip, host="nowhere.invalid"))
    with pytest.raises(ProjectError, match="does not exist"):
        start(options(None, project=clip.with_name("none.keepsight")))
    assert [path.name for path in clip.parent.iterdir()] == ["clip.mp4"]


def test_folders_that_are_not_given_are_not_opened(clip: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    with pytest.raises(ForbiddenError, match="Name its folder with --allow"):
        start(options(clip, allow=[other]))
    link = other / "clip.mp4"
    link.symlink_to(clip)
    with pytest.raises(ForbiddenError, match="leads to"):
        start(options(link, allow=[other]))
    with pytest.raises(ForbiddenError, match="leads to"):
        start(options(clip, allow=[clip.parent], project=tmp_path.parent / "a.keepsight"))


def test_pictures_that_lead_out_of_the_given_folders_are_not_opened(clip: Path, tmp_path: Path) -> None:
    folder = tmp_path / "given" / "frames"
    folder.mkdir(parents=True)
    (folder / "00000.jpg").symlink_to(clip)
    with pytest.raises(ForbiddenError, match=r"00000\.jpg leads to .* Name its folder with --allow"):
        start(options(folder))


def test_a_folder_that_cannot_be_listed_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(path: Path) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "iterdir", refused)
    with pytest.raises(ForbiddenError, match=r"may be read, but .* cannot be listed: Permission denied\."):
        AllowedFolders([tmp_path]).check(tmp_path)


def test_a_project_of_a_newer_version_is_told(clip: Path) -> None:
    with running(clip) as server:
        server.stop()
    link = sqlite3.connect(clip.with_name("clip.mp4.keepsight"))
    link.execute("PRAGMA user_version = 99")
    link.close()
    code, said = refused(clip, "--port", 0)
    assert code == 1
    assert "a newer keepsight made it" in said


def test_a_video_that_shrank_is_told_in_the_terminal_and_on_the_page(clip: Path, tmp_path: Path) -> None:
    with running(clip) as server:
        server.client.post("/api/objects", json={"kind": "rectangle"})
        body = {"frame": 39, "points": [1, 2, 30, 40]}
        assert server.client.put("/api/objects/1/shape", json=body).status_code == 200
        server.stop()
    clip_at(clip, 20)
    with running(clip) as server:
        assert "Note: clip.mp4 had 40 frames when this project was saved, and now has 20" in (
            server.said + (server.process.stdout.readline() if server.process.stdout else "")
        )
        assert "had 40 frames" in server.project()["notes"][0]
        assert server.client.get("/api/frames/20.jpg").status_code == 404
        server.stop()
    assert len(contents(clip.with_name("clip.mp4.keepsight"))["shapes"]) == 1


def test_without_the_server_installed_it_is_told(clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(startup, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"pip install 'keepsight\[serve\]'"):
        start(options(clip))


def test_a_free_port_is_found() -> None:
    with bound("127.0.0.1", 0) as listening, bound("::1", 0) as other:
        assert listening.getsockname()[1] > 0
        assert other.getsockname()[1] > 0
        with pytest.raises(UsageError, match="to be free"):
            bound("127.0.0.1", listening.getsockname()[1])
