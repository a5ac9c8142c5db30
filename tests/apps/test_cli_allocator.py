"""The command keeps the memory of a frame for the next one."""

import subprocess
import sys

import pytest

from keepsight.apps.cli.allocator import SETTINGS, keep_freed_memory

# 24 MiB are asked for and freed, again and again, as the maps of a network are.
PROGRAM = """
import resource
import sys
import numpy as np
from keepsight.apps.cli.allocator import keep_freed_memory
if sys.argv[1] == "kept":
    assert keep_freed_memory()
def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
def use():
    np.full(3 * 2**20, 1.0)
use()
before = faults()
for _ in range(20):
    use()
print(faults() - before)
"""


def faults(how: str) -> int:
    done = subprocess.run([sys.executable, "-c", PROGRAM, how], capture_output=True, text=True, check=True)
    return int(done.stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no mallopt")
def test_freed_memory_serves_again() -> None:
    assert faults("kept") < 40  # in 20 rounds, less than two per round
    assert faults("given back") > 120  # huge pages, where there are any, of 2 MiB


@pytest.mark.parametrize("name", SETTINGS)
def test_whoever_has_set_something_is_left_alone(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "1")
    assert not keep_freed_memory()


def test_other_systems_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    assert not keep_freed_memory()
