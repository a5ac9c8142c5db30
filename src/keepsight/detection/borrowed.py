"""Ultralytics, brought in for its network alone.

Imported plainly it makes a settings folder in the user's home, looks for a network, reports what it is used
for, installs packages it misses, logs to stdout, unpickles checkpoints as code, and changes the process:
`torch.save`, `PIL.Image.open`, warning filters, print options and thread counts of numpy, OpenCV and PyTorch.
None of that is what a library's user asked for, so it happens here with all of it switched off or put back.

A program that has imported ultralytics itself before keeps the settings it chose; even then nothing is
reported for what is done here, and checkpoints are read as data.
"""

import atexit
import logging
import os
import shutil
import sys
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from typing import Any, NamedTuple

from keepsight.errors import KeepsightError

__all__ = ["Ultralytics", "as_data", "need", "ultralytics", "undisturbed"]

_SWITCHES = {
    "YOLO_OFFLINE": "true",  # neither looks for a network nor reports
    "YOLO_AUTOINSTALL": "false",
    "YOLO_VERBOSE": "false",
    "ULTRALYTICS_SAFE_LOAD": "true",  # checkpoints are read as data, not run as code
}


class Ultralytics(NamedTuple):
    """The two classes that are used: `YOLO` reads models, the predictor runs them."""

    yolo: Any
    predictor: Any


def need(package: str, install: str) -> None:
    """Makes sure that an optional package is there, without importing it.

    Raises:
        KeepsightError: it is not; the message says what to install.
    """
    if package not in sys.modules and find_spec(package) is None:
        raise KeepsightError(
            f"Detection expects the package {package}, which is not installed. Run: pip install '{install}'"
        )


@cache
def ultralytics() -> Ultralytics:
    """Imports ultralytics on first use.

    Raises:
        KeepsightError: it is not installed.
    """
    need("ultralytics", "keepsight[detect]")
    first = "ultralytics" not in sys.modules
    with undisturbed():
        if first:
            # Its settings file goes to a folder of our own, which it may write to as long as we run.
            folder = tempfile.mkdtemp(prefix="keepsight-ultralytics-")
            atexit.register(shutil.rmtree, folder, ignore_errors=True)
            os.environ.update(_SWITCHES, YOLO_CONFIG_DIR=folder)
        borrowed = Ultralytics(
            import_module("ultralytics").YOLO,
            import_module("ultralytics.models.yolo.segment").SegmentationPredictor,
        )
    if first:
        # Like any library's logger: what it says is for whoever configures logging, not for stdout.
        logger = logging.getLogger("ultralytics")
        logger.handlers[:] = [logging.NullHandler()]
        logger.propagate = True
    return borrowed


@contextmanager
def as_data() -> Iterator[None]:
    """Has checkpoints read as data, also where the program has imported ultralytics with other settings."""
    tasks: Any = import_module("ultralytics.nn.tasks")
    setting = tasks.SAFE_LOAD
    tasks.SAFE_LOAD = True
    try:
        yield
    finally:
        tasks.SAFE_LOAD = setting


@contextmanager
def undisturbed() -> Iterator[None]:
    """Puts back what ultralytics changes in the process while it is imported or builds a model."""
    import cv2
    import numpy as np
    import torch
    from PIL import Image

    environment, threads = dict(os.environ), (torch.get_num_threads(), cv2.getNumThreads())
    replaced = [(torch, "save", torch.save), (Image, "open", Image.open)]
    try:
        with warnings.catch_warnings(), np.printoptions():
            yield
    finally:
        for module, name, original in replaced:
            setattr(module, name, original)
        torch.set_num_threads(threads[0])
        cv2.setNumThreads(threads[1])
        for name in os.environ.keys() - environment.keys():
            del os.environ[name]
        os.environ.update(environment)
