"""Records: what one sequence came to under one prompt and policy, as a line of JSON and back."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

from keepsight.evaluation import BoxScore, Confidence, MaskScore

__all__ = ["Key", "Record"]

DIGITS = 6  # of every value; keeps the file small, and a resumed run equal to one that was not stopped


class Key(NamedTuple):
    """What a record is about."""

    sequence: str
    prompt: str
    policy: str


@dataclass(frozen=True)
class Record:
    """What one sequence came to.

    Attributes:
        key: sequence, prompt and policy.
        frames: of the sequence.
        seconds: the session took for them.
        scores: by object id.
    """

    key: Key
    frames: int
    seconds: float
    scores: Mapping[int, MaskScore] | Mapping[int, BoxScore]

    @property
    def speed(self) -> float:
        """Frames per second."""
        return self.frames / self.seconds if self.seconds else float("nan")

    def to_line(self) -> str:
        """One line of JSON, without its end."""
        objects = {str(i): _rounded(asdict(score)) for i, score in self.scores.items()}
        return json.dumps(
            {**self.key._asdict(), "frames": self.frames, "seconds": self.seconds, "objects": objects}
        )

    @classmethod
    def from_line(cls, line: str) -> "Record":
        """Reads what `to_line` wrote.

        Raises:
            ValueError: it is no JSON.
            KeyError: something is missing.
            TypeError: something is of another kind.
        """
        fields = json.loads(line)
        key = Key(fields["sequence"], fields["prompt"], fields["policy"])
        scores = {int(i): _score(entry) for i, entry in fields["objects"].items()}
        return cls(key, fields["frames"], fields["seconds"], scores)


def _score(entry: dict[str, Any]) -> Any:
    kind = MaskScore if "region" in entry else BoxScore
    return kind(**{**entry, "confidence": Confidence(**entry["confidence"])})


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _rounded(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(part) for part in value]
    return round(value, DIGITS) if isinstance(value, float) else value
