"""Images as a source: folders, globs and lists, one image per frame."""

from __future__ import annotations

import os
import re
import struct
import zlib
from collections import Counter
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps
from PIL.TiffImagePlugin import TiffImageFile

from keepsight.errors import SourceError
from keepsight.types import Frame, ImageArray
from keepsight.video.prefetch import ReadAhead
from keepsight.video.source import SourceInfo, chosen_range, require_index

__all__ = ["ImageSource", "as_rgb", "is_image", "natural_key", "open_folder", "open_glob"]

Entry: TypeAlias = "str | os.PathLike[str] | npt.NDArray[Any] | Image.Image"

_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp"})
_VIDEO_SUFFIXES = frozenset({".mp4", ".mov", ".mkv", ".webm", ".avi", ".m4v", ".mpg", ".ts", ".gif"})
_ORIENTATION_TAG, _TIFF_WIDTH, _TIFF_HEIGHT = 0x0112, 256, 257
_SIDEWAYS = frozenset({5, 6, 7, 8})
_DIGITS = re.compile(r"([0-9]+)")
_UNREADABLE = (
    OSError,
    SyntaxError,
    KeyError,
    ValueError,
    EOFError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
)
"""What Pillow raises on damaged files, by format."""


def is_image(path: Path) -> bool:
    """Whether the name is that of an image file (JPEG, PNG, WebP, TIFF, BMP)."""
    return path.suffix.lower() in _SUFFIXES


def natural_key(name: str) -> tuple[list[str | int], str]:
    """A sort key that takes runs of digits as numbers: 1.jpg, 2.jpg, 10.jpg."""
    parts = _DIGITS.split(name.lower())
    return [int(part) if number % 2 else part for number, part in enumerate(parts)], name


def open_folder(folder: Path, *, prefetch: int) -> ImageSource:
    """The images lying in `folder`, in numeric order; hidden files and other files are passed over.

    Raises:
        SourceError: the folder cannot be read or holds no images, or two of its images differ only in
            their extension.
    """
    try:
        files = [entry for entry in folder.iterdir() if not entry.name.startswith(".") and entry.is_file()]
    except OSError as error:
        raise SourceError(f"The folder {folder} cannot be read: {error.strerror}. Check it.") from error
    found = sorted(filter(is_image, files), key=lambda path: natural_key(path.name))
    if not found:
        raise SourceError(_no_images(folder, files))
    for stem, number in Counter(path.stem for path in found).items():
        if number > 1:
            twins = [path.name for path in found if path.stem == stem]
            raise SourceError(
                f"Expected one image per frame in {folder}, but it holds {' and '.join(twins)}. "
                f"Say which are the frames with a glob, such as {folder / ('*' + found[0].suffix)}."
            )
    return ImageSource(found, name=folder.resolve().name or str(folder), prefetch=prefetch)


def _no_images(folder: Path, files: Sequence[Path]) -> str:
    came = f"{len(files)} other file{'s' * (len(files) != 1)}" if files else "no files"
    videos = sorted(path.name for path in files if path.suffix.lower() in _VIDEO_SUFFIXES)
    next_act = f"Name the video itself: {folder / videos[0]}." if videos else "Check the path."
    return (
        f"Expected images (JPEG, PNG, WebP, TIFF, BMP) in the folder {folder}, but found {came}. {next_act}"
    )


def open_glob(pattern: str, *, prefetch: int) -> ImageSource:
    """The images that match `pattern`, in numeric order.

    Raises:
        SourceError: none matches.
    """
    path = Path(pattern)
    try:
        matches = list(Path(path.anchor).glob(str(path.relative_to(path.anchor))))
    except (ValueError, OSError) as error:
        raise SourceError(f"The glob {pattern} cannot be followed: {error}. Correct it.") from error
    shown = [match for match in matches if is_image(match) and not match.name.startswith(".")]
    found = sorted(filter(Path.is_file, shown), key=lambda match: natural_key(str(match)))
    if not found:
        came = f"the {len(matches)} it matches are none" if matches else "it matches nothing"
        raise SourceError(f"Expected images behind the glob {pattern}, but {came}. Check the pattern.")
    return ImageSource(found, name=pattern, prefetch=prefetch)


class ImageSource:
    """A sequence of images as frames; one image is held at a time, beyond those decoded ahead.

    Image files are turned upright by their EXIF orientation. Images given as PIL objects are taken as
    they are, since their caller counts pixels in them as they are.

    Args:
        entries: paths, uint8 arrays or PIL images.
        name: what messages call the whole.
        prefetch: images decoded ahead.

    Raises:
        SourceError: an image is missing, unreadable or of another size than the first. Of files only the
            header is read.
    """

    def __init__(self, entries: Sequence[Entry], *, name: str, prefetch: int = 8) -> None:
        self._entries = entries
        self._ahead = ReadAhead(prefetch)
        width, height = self._size = _size(entries[0], self._label(0))
        for number in range(1, len(entries)):
            self._require_size(number, _size(entries[number], self._label(number)))
        self._info = SourceInfo(
            width, height, len(entries), rate=None, name=name, file_names=_file_names(entries)
        )

    @property
    def info(self) -> SourceInfo:
        """Size, count and names; images have no rate and their frames no time."""
        return self._info

    def __enter__(self) -> ImageSource:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __iter__(self) -> Iterator[Frame]:
        return self.frames()

    def frames(
        self, start: int = 0, stop: int | None = None, step: int = 1, *, reverse: bool = False
    ) -> Iterator[Frame]:
        """See `FrameSource.frames`."""
        self._ahead.require_open()
        chosen = chosen_range(start, stop, step)
        chosen = range(chosen.start, min(chosen.stop, len(self._entries)), step)
        if start:
            require_index(start, len(self._entries), self._info.name)
        return self._ahead.over(self._load_all(chosen[::-1] if reverse else chosen))

    def read(self, index: int) -> Frame:
        """See `FrameSource.read`."""
        self._ahead.require_open()
        return self._load(require_index(index, len(self._entries), self._info.name))

    def count(self) -> int:
        """The number of images."""
        self._ahead.require_open()
        return len(self._entries)

    def close(self) -> None:
        """See `FrameSource.close`."""
        self._ahead.close()

    def _load_all(self, numbers: range) -> Generator[Frame, None, None]:
        for number in numbers:
            yield self._load(number)

    def _load(self, number: int) -> Frame:
        label = self._label(number)
        entry = self._entries[number]
        image = _load_file(entry, label) if isinstance(entry, str | os.PathLike) else as_rgb(entry, label)
        self._require_size(number, (image.shape[1], image.shape[0]))
        return Frame(number, None, image)

    def _require_size(self, number: int, size: tuple[int, int]) -> None:
        if size != self._size:
            raise SourceError(
                f"Expected images of one size, but {self._label(0)} has {self._size[0]}x{self._size[1]} "
                f"pixels and {self._label(number)} has {size[0]}x{size[1]}. Scale them to one size first."
            )

    def _label(self, number: int) -> str:
        entry = self._entries[number]
        return os.fspath(entry) if isinstance(entry, str | os.PathLike) else f"image {number} of the list"


def as_rgb(image: npt.NDArray[Any] | Image.Image, label: str = "the image") -> ImageArray:
    """An image as the (H, W, 3) uint8 RGB array that keepsight works on.

    Args:
        image: a uint8 array of shape (H, W, 3) or (H, W, 4), RGB, or (H, W) or (H, W, 1), grey; or a PIL
            image of any mode. 16-bit grey is scaled to 8 bits, transparency is dropped.
        label: what an error calls it.

    Returns:
        The array itself where nothing is to be converted.

    Raises:
        SourceError: it is neither, is empty, or has values that are not pictures'.
    """
    if isinstance(image, Image.Image):
        try:
            return _rgb_of_pil(image, label)
        except _UNREADABLE as error:
            raise _unreadable(label, error) from error
    if not isinstance(image, np.ndarray):
        raise SourceError(
            f"Expected {label} to be a path, a uint8 array or a PIL image, but got {type(image).__name__}. "
            f"Convert it with numpy.asarray."
        )
    _array_size(image, label)
    grey = image[..., None] if image.ndim == 2 else image
    colours = np.repeat(grey, 3, axis=2) if grey.shape[2] == 1 else grey[..., :3]
    return np.ascontiguousarray(colours)


def _array_size(image: npt.NDArray[Any], label: str) -> tuple[int, int]:
    if image.dtype != np.uint8:
        raise SourceError(
            f"Expected {label} to be a uint8 array with values 0 to 255, but its type is {image.dtype}. "
            f"Scale it and convert it with .astype(numpy.uint8)."
        )
    shape = image.shape
    if len(shape) not in (2, 3) or (len(shape) == 3 and shape[2] not in (1, 3, 4)) or 0 in shape:
        raise SourceError(
            f"Expected {label} to be an array of shape (H, W, 3), (H, W, 4) or (H, W), but its shape is "
            f"{shape}. Put the colours last and give one array per frame."
        )
    return shape[1], shape[0]


def _size(entry: Entry, label: str) -> tuple[int, int]:
    """Upright width and height, from the header alone where the entry is a file."""
    if isinstance(entry, Image.Image):
        return entry.size
    if isinstance(entry, np.ndarray):
        return _array_size(entry, label)
    if not isinstance(entry, str | os.PathLike):
        width_height = as_rgb(entry, label).shape
        return width_height[1], width_height[0]
    path = Path(entry)
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "does not exist"
        raise SourceError(f"Expected an image file, but {label} {what}. Check the list of images.")
    try:
        with _opened(path) as image:
            width, height = image.size
            return (height, width) if _lies_sideways(image) else (width, height)
    except _UNREADABLE as error:
        raise _unreadable(label, error) from error


def _opened(path: str | os.PathLike[str]) -> Image.Image:
    image = Image.open(path)
    if isinstance(image, TiffImageFile):
        # Pillow 13 decodes uncompressed TIFFs that lie sideways into the upright size, which garbles them.
        image._size = (image.tag_v2[_TIFF_WIDTH], image.tag_v2[_TIFF_HEIGHT])
    return image


def _lies_sideways(image: Image.Image) -> bool:
    # Pillow decodes a whole PNG in search of EXIF behind its pixels; a header check must not.
    if image.format == "PNG" and not {"exif", "Raw profile type exif"} & image.info.keys():
        return False
    return image.getexif().get(_ORIENTATION_TAG) in _SIDEWAYS


def _load_file(path: str | os.PathLike[str], label: str) -> ImageArray:
    try:
        with _opened(path) as image:
            pages = getattr(image, "n_frames", 1)
            if pages > 1 and image.format in ("TIFF", "WEBP"):
                raise SourceError(
                    f"Expected one image in {label}, but it holds {pages}. Save each as a file of its own."
                )
            return _rgb_of_pil(ImageOps.exif_transpose(image), label)
    except _UNREADABLE as error:
        raise _unreadable(label, error) from error


def _rgb_of_pil(image: Image.Image, label: str) -> ImageArray:
    if image.mode.startswith("I"):
        return _rgb_of_16_bit(np.asarray(image), label)
    if image.mode == "F":
        raise SourceError(
            f"Expected {label} to hold colours or grey values, but it holds floating-point numbers. "
            f"Scale them to 0 to 255 and save it with 8 bits."
        )
    return np.asarray(image.convert("RGB"), dtype=np.uint8)


def _rgb_of_16_bit(values: npt.NDArray[Any], label: str) -> ImageArray:
    if values.size and (values.min() < 0 or values.max() > 65535):
        raise SourceError(
            f"Expected {label} to hold grey values of 8 or 16 bits, but its values go from {values.min()} to "
            f"{values.max()}. Scale them to 0 to 65535."
        )
    grey = ((values.astype(np.uint32) + 128) // 257).astype(np.uint8)
    return np.repeat(grey[..., None], 3, axis=2)


def _unreadable(label: str, error: BaseException) -> SourceError:
    return SourceError(
        f"Expected an image (JPEG, PNG, WebP, TIFF, BMP), but {label} cannot be read: {error}. "
        f"Replace the file or leave it out."
    )


def _file_names(entries: Sequence[Entry]) -> tuple[str, ...] | None:
    paths = [Path(entry) for entry in entries if isinstance(entry, str | os.PathLike)]
    if len(paths) != len(entries):
        return None
    names = tuple(path.name for path in paths)
    if len(set(names)) == len(names):
        return names
    shared = os.path.commonpath([path.absolute().parent for path in paths])
    return tuple(path.absolute().relative_to(shared).as_posix() for path in paths)
