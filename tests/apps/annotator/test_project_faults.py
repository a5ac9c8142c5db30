"""What can be in the way of a project: each is told in a sentence, and nothing is lost."""

import json
import os
import random
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from keepsight.apps.annotator.errors import ProjectError, ProjectFullError, ProjectInUseError
from keepsight.apps.annotator.project import Project, RunSpec, Shape, Subject, open_project
from keepsight.apps.annotator.project.failures import told
from keepsight.apps.annotator.project.lock import ProjectLock
from keepsight.apps.annotator.project.opening import saved_source
from keepsight.apps.annotator.project.schema import FORMAT
from tests.apps.annotator.rooms import PRINT, contents

SUBJECT = Subject(0, "a", "#2696ff", "mask", False)


def opened(file: Path, **changed: int) -> Project:
    return open_project(file, replace(PRINT, **changed), file.parent / "clip.mp4")


def saved(file: Path) -> dict[str, list[tuple[object, ...]]]:
    """A project with something in it, closed."""
    project = opened(file)
    with project.change("new") as write:
        write.add_subject(SUBJECT)
        write.put_shape(Shape(1, 20, "manual", False, (1.0, 2.0)))
    before = contents(project)
    project.close()
    return before


def begun(project: Project) -> int:
    """A run that has begun."""
    with project.begin_run(RunSpec((), 0, 5, "forward", "", "", False), "tracking") as (_, run):
        pass
    return run.id


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "clip.mp4.keepsight"


def test_a_newer_version_is_refused_and_left_alone(file: Path) -> None:
    saved(file)
    link = sqlite3.connect(file)
    link.execute(f"PRAGMA user_version = {FORMAT + 1}")
    link.close()
    before = file.read_bytes()
    with pytest.raises(ProjectError, match=f"has format {FORMAT + 1}: a newer keepsight made it"):
        opened(file)
    assert file.read_bytes() == before
    assert list(file.parent.iterdir()) == [file]


@pytest.mark.parametrize("content", [b"hello", b"SQLite format 3\0" + b"x" * 5000, b"\0" * 4096])
def test_what_is_no_project_is_refused_and_left_alone(file: Path, content: bytes) -> None:
    file.write_bytes(content)
    with pytest.raises(ProjectError, match=r"something else|damaged"):
        opened(file)
    assert file.read_bytes() == content


def test_another_programs_database_is_refused_and_left_alone(file: Path) -> None:
    link = sqlite3.connect(file)
    link.execute("CREATE TABLE theirs (a)")
    link.close()
    before = file.read_bytes()
    with pytest.raises(ProjectError, match="another program's database"):
        opened(file)
    assert file.read_bytes() == before


@pytest.mark.parametrize("share", [0.2, 0.5, 0.9])
def test_a_truncated_file_is_refused(file: Path, share: float) -> None:
    project = opened(file)
    with project.change("many") as write:
        write.add_subject(SUBJECT)
        for frame in range(2000):
            write.put_shape(Shape(1, frame, "manual", False, tuple(range(50))))
    project.close()
    data = file.read_bytes()
    file.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(ProjectError, match="damaged"):
        opened(file)


def test_an_empty_file_becomes_a_project(file: Path) -> None:
    file.touch()
    opened(file).close()
    saved(file)


def test_a_folder_in_its_place_is_told(file: Path) -> None:
    file.mkdir()
    with pytest.raises(ProjectError, match="Expected to open the project"):
        opened(file)


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(ProjectError, match="Say where the project may be with --project"):
        opened(tmp_path / "gone" / "a.keepsight")


@contextmanager
def somebody_else() -> Iterator[None]:
    """The administrator may write everywhere; in the block, this process may not."""
    me = os.geteuid()
    if me == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(me)


@pytest.mark.skipif(sys.platform == "win32", reason="folders have other rights there")
@pytest.mark.parametrize("there", [True, False])
def test_a_folder_that_can_only_be_read_is_told(there: bool) -> None:
    with tempfile.TemporaryDirectory() as name:  # pytest's own may not be entered by others
        file = Path(name) / "a.keepsight"
        if there:
            saved(file)
        before = sorted(Path(name).iterdir())
        Path(name).chmod(0o555)
        with somebody_else(), pytest.raises(ProjectError, match=r"with --project\."):
            opened(file)
        Path(name).chmod(0o755)
        assert sorted(Path(name).iterdir()) == before


@pytest.mark.skipif(sys.platform == "win32", reason="files have other rights there")
def test_a_file_that_can_only_be_read_is_told() -> None:
    with tempfile.TemporaryDirectory() as name:
        file = Path(name) / "a.keepsight"
        saved(file)
        file.chmod(0o444)
        Path(name).chmod(0o777)
        with somebody_else(), pytest.raises(ProjectError, match=r"can only be read|cannot be made"):
            opened(file)


def test_a_project_that_can_only_be_read_is_told(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = opened(file)
    link = sqlite3.connect(f"file:{file}?mode=ro", uri=True, isolation_level=None, check_same_thread=False)
    monkeypatch.setattr(project, "_link", link)
    with pytest.raises(ProjectError, match="can only be read"), project.change("new") as write:
        write.add_subject(SUBJECT)
    link.close()
    project._lock.release()


def test_a_video_of_another_size_is_refused_and_the_project_left_alone(file: Path) -> None:
    before = saved(file)
    with pytest.raises(ProjectError, match=r"80 x 48 pixels, but clip\.mp4 now has 100 x 48"):
        opened(file, width=100)
    assert contents(file) == before


def test_a_video_that_shrank_is_told_and_nothing_is_lost(file: Path) -> None:
    before = saved(file)
    project = opened(file, frames=10, bytes=300)
    assert len(project.notes) == 1
    assert "had 24 frames when this project was saved, and now has 10" in project.notes[0]
    with project.change("draw") as write:
        write.put_shape(Shape(1, 3, "manual", False, (1.0,)))
    project.close()
    assert before["shapes"][0] in contents(file)["shapes"]
    whole = opened(file)
    assert whole.notes == ()
    assert [shape.frame for shape in whole.shapes()] == [3, 20]
    whole.close()


def test_a_video_that_changed_is_told_once(file: Path) -> None:
    saved(file)
    project = opened(file, bytes=77)
    assert "is another file than when this project was saved" in project.notes[0]
    project.close()
    project = opened(file, bytes=77)
    assert project.notes == ()
    project.close()
    project = opened(file, bytes=99, frames=30)
    assert "has 6 more frames than" in project.notes[0]
    project.close()


def test_of_what_a_project_is_of_all_is_written_or_nothing(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Cut(sqlite3.Connection):
        """Is cut off after the first row of several."""

        def executemany(self, query: str, rows: Any, /) -> sqlite3.Cursor:
            super().execute(query, next(iter(rows)))
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        connect = sqlite3.connect
        patch.setattr(sqlite3, "connect", lambda *a, **k: connect(*a, **k, factory=Cut))
        with pytest.raises(KeyboardInterrupt):
            opened(file)
    link = sqlite3.connect(file)
    assert link.execute("SELECT * FROM meta").fetchall() == []
    link.close()
    saved(file)


@pytest.mark.parametrize("kept", ["fingerprint", "source", "revision"])
def test_a_project_that_lacks_a_part_of_what_it_is_of_is_opened(file: Path, kept: str) -> None:
    """Earlier versions could leave one so."""
    saved(file)
    link = sqlite3.connect(file)
    link.execute("DELETE FROM meta WHERE key != ?", (kept,))
    link.commit()
    link.close()
    if kept != "source":
        with pytest.raises(ProjectError, match="which video it is of"):
            saved_source(file)
    project = opened(file)
    assert (project.revision, project.size) == (int(kept == "revision"), (48, 80))
    assert len(project.shapes()) == 1
    project.close()
    assert saved_source(file) == file.parent / "clip.mp4"


@pytest.mark.skipif(sys.platform != "linux", reason="names of files are text there")
def test_a_video_whose_name_is_no_text_is_known(file: Path) -> None:
    odd = file.parent / os.fsdecode(b"caf\xe9.mp4")
    open_project(file, PRINT, odd).close()
    assert saved_source(file) == odd
    project = open_project(file, replace(PRINT, bytes=77), odd)
    assert project.notes[0].startswith(r"caf\xe9.mp4 is another file")
    assert r"caf\xe9" in str(told(sqlite3.OperationalError("disk I/O error"), odd))
    project.close()
    assert saved_source(file) == odd


@pytest.mark.skipif(sys.platform == "win32", reason="links need a right there")
def test_a_link_leads_to_the_same_lock(file: Path) -> None:
    first = opened(file)
    run = begun(first)
    link = file.parent / "elsewhere" / "link.keepsight"
    link.parent.mkdir()
    link.symlink_to(file)
    with pytest.raises(ProjectInUseError, match="another keepsight has it open"):
        opened(link)
    assert first.run(run).state == "running"
    first.close()
    through = opened(link)
    with pytest.raises(ProjectInUseError):
        opened(file)
    through.close()
    assert sorted(path.name for path in file.parent.iterdir()) == [file.name, "elsewhere"]
    assert list(link.parent.iterdir()) == [link]


def test_the_video_of_a_project_is_known(file: Path) -> None:
    saved(file)
    assert saved_source(file) == file.parent / "clip.mp4"
    with pytest.raises(ProjectError, match="does not exist"):
        saved_source(file.parent / "other.keepsight")


def test_two_servers_on_one_project_are_refused(file: Path) -> None:
    first = open_project(file, PRINT, file, "http://127.0.0.1:8265/")
    with pytest.raises(ProjectInUseError, match=r"another keepsight has it open at http://127.0.0.1:8265/"):
        opened(file)
    first.close()
    opened(file).close()
    assert sorted(path.name for path in file.parent.iterdir()) == [file.name]


def test_a_refused_server_does_not_disturb_the_first(file: Path) -> None:
    first = opened(file)
    with pytest.raises(ProjectInUseError):
        opened(file)
    with first.change("new") as write:
        write.add_subject(SUBJECT)
    with pytest.raises(ProjectInUseError):
        ProjectLock(file)
    first.close()


def test_a_full_disk_loses_nothing_but_the_change_itself(file: Path) -> None:
    project = opened(file)
    with project.change("new") as write:
        write.add_subject(SUBJECT)
    pages = project._link.execute("PRAGMA page_count").fetchone()[0]
    project._link.execute(f"PRAGMA max_page_count = {pages + 3}")
    before, names, revision = contents(project), project.next_names, project.revision
    with pytest.raises(ProjectFullError, match="no room on the disk"), project.change("big") as write:
        write.put_shape(Shape(1, 0, "manual", False, tuple(range(20_000))))
    assert (contents(project), project.next_names, project.revision) == (before, names, revision)
    with project.change("small") as write:
        write.put_shape(Shape(1, 0, "manual", False, (1.0,)))
    assert len(project.shapes()) == 1
    project._link.execute("PRAGMA max_page_count = 1000000")
    with project.change("big") as write:
        write.put_shape(Shape(1, 1, "manual", False, tuple(range(20_000))))
    assert len(project.shapes()) == 2
    project.close()


WRITING = """
import sys
from pathlib import Path
from keepsight.apps.annotator.project import Fingerprint, Shape, Subject, open_project
project = open_project(Path(sys.argv[1]), Fingerprint(24, 80, 48, 1000), Path("clip.mp4"))
if not project.subjects():
    with project.change("new") as write:
        write.add_subject(Subject(0, "a", "#2696ff", "mask", False))
number = len(project.shapes(stop=10**6))
while True:
    with project.change(f"draw {number}") as write:
        # Two rows that belong together, and a large one, so that a change takes a while.
        write.put_shape(Shape(1, number, "manual", False, tuple(range(3000))))
        write.put_shape(Shape(1, number + 10**6, "manual", False, (float(number),)))
    print(number, flush=True)
    number += 1
"""


@pytest.mark.parametrize("seed", range(4))
def test_killed_in_the_middle_of_writing_nothing_acknowledged_is_lost(file: Path, seed: int) -> None:
    delays = random.Random(seed)
    acknowledged = -1
    for _ in range(3):
        process = subprocess.Popen(
            [sys.executable, "-c", WRITING, str(file)], stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(delays.uniform(0.0, 0.1))
        process.kill()
        said = [int(line) for line in process.stdout.read().split()]
        process.wait()
        process.stdout.close()
        acknowledged = max([acknowledged, *said])
        project = opened(file)
        assert project._link.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        low = [shape.frame for shape in project.shapes(stop=10**6)]
        high = [shape.frame - 10**6 for shape in project.shapes(start=10**6)]
        assert low == high == list(range(len(low)))
        assert acknowledged <= low[-1] <= acknowledged + 1
        assert project.next_names[0] == f"draw {low[-1]}"
        project.undo()
        assert len(project.shapes(stop=10**6)) == len(low) - 1
        project.redo()
        project.close()


def test_what_meta_holds_is_plain(file: Path) -> None:
    saved(file)
    link = sqlite3.connect(file)
    meta = dict(link.execute("SELECT key, value FROM meta"))
    link.close()
    assert json.loads(meta["fingerprint"]) == {"frames": 24, "width": 80, "height": 48, "bytes": 1000}
    assert meta["revision"] == "1"
