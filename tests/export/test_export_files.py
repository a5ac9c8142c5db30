import errno
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from keepsight.errors import OutputError
from keepsight.export.files import LineFile, new_file, output_errors

FullDisk = Callable[[int], AbstractContextManager[None]]


def test_an_os_error_becomes_one_that_names_file_reason_and_next_act(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"out\.json.*No space left.*free some space.*Kept\."):
        with output_errors(tmp_path / "out.json", "Kept."):
            raise OSError(errno.ENOSPC, "No space left on device")


def test_an_unforeseen_os_error_still_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="Check the disk"), output_errors(tmp_path):
        raise OSError(errno.EIO, "Input/output error")


def test_a_new_file_replaces_the_old_one_only_when_complete(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")

    def fail_half_way() -> None:
        with new_file(path) as file:
            file.write(b"half")
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        fail_half_way()
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]
    with new_file(path) as file:
        file.write(b"whole")
    assert path.read_text() == "whole"


def test_lines_are_on_disk_before_closing_and_positions_are_true(tmp_path: Path) -> None:
    lines = LineFile(tmp_path / "a.txt")
    assert [lines.append(b"one\n"), lines.append(b"two\n")] == [0, 4]
    assert (tmp_path / "a.txt").read_bytes() == b"one\ntwo\n"
    lines.close()
    with pytest.raises(ValueError, match="closed"):
        lines.append(b"three\n")


def test_an_append_that_fails_leaves_no_broken_line(tmp_path: Path, full_disk: FullDisk) -> None:
    lines = LineFile(tmp_path / "a.txt")
    lines.append(b"one\n")
    with full_disk(1024), pytest.raises(OSError, match="large"):
        lines.append(b"x" * 4000 + b"\n")
    assert (tmp_path / "a.txt").read_bytes() == b"one\n"
    assert lines.append(b"two\n") == 4
    lines.close()
    assert (tmp_path / "a.txt").read_bytes() == b"one\ntwo\n"
