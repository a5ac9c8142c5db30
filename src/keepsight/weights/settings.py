"""Reading somebody's configuration: every value is understood, known not to matter, or refused."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from keepsight.errors import WeightsError

__all__ = ["REQUIRED", "Settings", "demand_all", "read_text"]

REQUIRED = object()
"""Stands for the default of a setting that has none."""

NEXT_ACT = (
    "Use the configuration that was published with the checkpoint; supported are the video networks of "
    "SAM 2 and SAM 2.1, with a Hiera image encoder, and of SAM 3."
)


def read_text(path: Path) -> str:
    """The text of a configuration file.

    Raises:
        WeightsError: it is missing or is not text.
    """
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise WeightsError(
            f"The configuration {path} does not exist. Check the path; for a checkpoint of Meta's it may be "
            f"left out, or name a model of the catalogue such as config='sam2.1_hiera_tiny'."
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise WeightsError(
            f"The configuration {path} cannot be read as text ({error}). Pass a .yaml or .json file."
        ) from error


def _flat(values: Mapping[str, object], prefix: str = "") -> dict[str, object]:
    flat: dict[str, object] = {}
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def _plain(value: object) -> object:
    """Lists as tuples, (7, 7) as 7, and numbers that YAML 1.1 takes for text ("1e-6") as numbers."""
    if isinstance(value, list | tuple):
        items = tuple(_plain(item) for item in value)
        return items[0] if len(items) == 2 and items[0] == items[1] else items
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            return value
    return value


class Settings:
    """The values of a nested configuration by dotted path, taken out one after another.

    Args:
        source: what messages call the configuration, usually its path.
        values: the nested mapping.
    """

    def __init__(self, source: str, values: Mapping[str, object]) -> None:
        self.source = source
        self._left = _flat(values)

    def number(self, path: str, default: object = REQUIRED) -> int:
        """Takes a positive whole number."""
        value = self._take(path, default)
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise self.refusal(path, value, "a whole number above 0")
        return value

    def numbers(self, path: str, count: int | None = None, default: object = REQUIRED) -> tuple[int, ...]:
        """Takes a list of whole numbers from 0, of the given length if one is given."""
        value = self._take(path, default)
        whole = isinstance(value, list | tuple) and all(
            isinstance(item, int) and not isinstance(item, bool) and item >= 0 for item in value
        )
        if not isinstance(value, list | tuple) or not whole or count not in (None, len(value)):
            raise self.refusal(path, value, f"a list of {count or 'some'} whole numbers")
        return tuple(value)

    def two(self, path: str, default: object = REQUIRED) -> tuple[int, int]:
        """Takes a list of two whole numbers."""
        a, b = self.numbers(path, 2, default)
        return a, b

    def four(self, path: str, default: object = REQUIRED) -> tuple[int, int, int, int]:
        """Takes a list of four whole numbers."""
        a, b, c, d = self.numbers(path, 4, default)
        return a, b, c, d

    def side(self, path: str, default: object = REQUIRED) -> int:
        """Takes the side of a square input, a number or a pair of equal ones, a multiple of 32 pixels."""
        value = self._take(path, default)
        side = value[0] if isinstance(value, list | tuple) and len(set(value)) == 1 else value
        if not isinstance(side, int) or isinstance(side, bool) or side < 32 or side % 32:
            raise self.refusal(path, value, "a multiple of 32 (pixels of a square input)")
        return side

    def text(self, path: str) -> str:
        """Takes a text."""
        value = self._take(path, REQUIRED)
        if not isinstance(value, str):
            raise self.refusal(path, value, "a text")
        return value

    def flag(self, path: str, default: object = REQUIRED) -> bool:
        """Takes true or false."""
        value = self._take(path, default)
        if not isinstance(value, bool):
            raise self.refusal(path, value, "true or false")
        return value

    def demand(self, path: str, supported: object, default: object = REQUIRED) -> None:
        """Takes a value that may only be the one that is supported."""
        omitted = path not in self._left
        value = self._take(path, default)
        if _plain(value) != _plain(supported):
            raise self.refusal(path, value, repr(supported), omitted=omitted)

    def finish(self, harmless: Iterable[str]) -> None:
        """Refuses what nobody took, except settings whose last name is known not to matter.

        Raises:
            WeightsError: a setting is left over.
        """
        names = frozenset(harmless)
        left = [path for path in self._left if path.rpartition(".")[2] not in names]
        if left:
            raise WeightsError(
                f"{self.source} sets {left[0]} = {self._left[left[0]]!r}, which keepsight does not know "
                f"({len(left)} unknown setting(s): {', '.join(left[:5])}). {NEXT_ACT}"
            )

    def refusal(self, path: str, value: object, supported: str, *, omitted: bool = False) -> WeightsError:
        """The error for a value that is not supported."""
        came = f"leaves out {path}, which then is" if omitted else f"sets {path} ="
        return WeightsError(f"{self.source} {came} {value!r}; supported is {supported}. {NEXT_ACT}")

    def _take(self, path: str, default: object) -> object:
        value = self._left.pop(path, default)
        if value is REQUIRED:
            raise WeightsError(f"{self.source} lacks the setting {path}. {NEXT_ACT}")
        return value


def demand_all(settings: Settings, demands: Sequence[tuple[str, object, object]]) -> None:
    """Makes many demands: rows of path, supported value, and what leaving it out would mean."""
    for path, supported, default in demands:
        settings.demand(path, supported, default)
