"""The results file: what was measured with, then one line per finished sequence, prompt and policy.

Every line is on the disk before the next sequence begins. A last line that was cut off is dropped.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from keepsight.apps.cli.evaluate.record import Key, Record
from keepsight.errors import OutputError

__all__ = ["NAME", "ResultsFile", "model_digest"]

NAME = "results.jsonl"
HEADER = "keepsight_eval"


class ResultsFile:
    """The records of a run, on the disk and here.

    Args:
        folder: where the file lies or is to lie; made if need be.
        settings: all that figures depend on, prompt and policy apart.
        resume: whether to go on with a file that is there; it is replaced otherwise.

    Attributes:
        path: the file.
        records: what is in it, by what it is about.

    Raises:
        OutputError: the file cannot be read or written, is none of ours, or has other settings.
    """

    def __init__(self, folder: Path, settings: Mapping[str, Any], resume: bool) -> None:
        self.path = folder / NAME
        self.records: dict[Key, Record] = {}
        from keepsight.export.files import new_file, output_errors

        with output_errors(self.path):
            folder.mkdir(parents=True, exist_ok=True)
            if resume and self.path.exists():
                self._read(dict(settings))
                return
            with new_file(self.path) as file:
                file.write((json.dumps({HEADER: dict(settings)}) + "\n").encode())

    def add(self, record: Record) -> None:
        """Appends a record.

        Raises:
            OutputError: it cannot be written.
        """
        from keepsight.export.files import output_errors

        line = record.to_line()
        with output_errors(self.path, "What was finished before is kept."), self.path.open("ab") as file:
            file.write(line.encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
        self.records[record.key] = Record.from_line(line)

    def _read(self, settings: dict[str, Any]) -> None:
        data = self.path.read_bytes()
        whole = data[: data.rfind(b"\n") + 1]
        lines = whole.decode("utf-8", errors="replace").splitlines()
        self._check_settings(lines[0] if lines else "", settings)
        for number, line in enumerate(lines[1:], 2):
            try:
                record = Record.from_line(line)
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                raise OutputError(
                    f"'{self.path}', line {number}: expected a record of keepsight eval, but it is damaged "
                    f"({error}). Remove the line, or start anew with --no-resume."
                ) from error
            self.records[record.key] = record
        if len(whole) < len(data):
            os.truncate(self.path, len(whole))

    def _check_settings(self, line: str, settings: dict[str, Any]) -> None:
        try:
            earlier = json.loads(line)[HEADER]
            differing = [name for name in {**earlier, **settings} if earlier.get(name) != settings.get(name)]
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise OutputError(
                f"Expected '{self.path}' to be a results file of keepsight eval, but it is not. Choose "
                f"another --output-dir, or replace it with --no-resume."
            ) from error
        if differing:
            told = "; ".join(f"{n} was {earlier.get(n)!r} and now is {settings.get(n)!r}" for n in differing)
            raise OutputError(
                f"Expected the settings that '{self.path}' was made with, but {told}. Figures of different "
                f"settings must not mix: choose another --output-dir, or start anew with --no-resume."
            )


def model_digest(model: object) -> str:
    """Tells models apart by their weights: SHA-256 over parameters and tables, shortened.

    Args:
        model: a loaded network; one without weights is told by its type.
    """
    state_dict = getattr(model, "state_dict", None)
    if state_dict is None:
        return type(model).__name__
    import torch

    digest = hashlib.sha256()
    for name, tensor in state_dict().items():
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()[:16]
