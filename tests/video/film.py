"""Small films whose every frame shows its own number, for the tests of reading."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
from av.video.stream import VideoStream

Image = npt.NDArray[np.uint8]
BITS = 8


def numbered(number: int, width: int = 96, height: int = 64) -> Image:
    """An image of eight grey bars, black or white: the bits of `number`."""
    image = np.zeros((height, width, 3), np.uint8)
    for bit in range(BITS):
        image[:, bit * width // BITS : (bit + 1) * width // BITS] = 255 * (number >> bit & 1)
    return image


def number_in(image: Image) -> int:
    """The number that `numbered` drew."""
    width = image.shape[1]
    row = image[image.shape[0] // 2].mean(axis=1)
    return sum(int(row[(2 * bit + 1) * width // (2 * BITS)] > 127) << bit for bit in range(BITS))


@dataclass(frozen=True)
class Film:
    """How to make a film.

    Attributes:
        times: presentation time of every frame, in units of 1/rate.
        rotation: degrees counter-clockwise that a player shall turn the picture.
        movflags: the MP4 writer's flags.
        packed: the encoder's own options.
    """

    frames: int = 60
    codec: str = "libx264"
    pixels: str = "yuv420p"
    size: tuple[int, int] = (96, 64)
    rate: Fraction = Fraction(30000, 1001)
    group: int = 12
    times: Sequence[int] | None = None
    rotation: float | None = None
    mirrored: bool = False
    movflags: str = "faststart"
    container: str | None = None
    options: dict[str, str] = field(default_factory=dict)

    def write(self, path: Path) -> Path:
        """Render to `path`."""
        flags = {"movflags": self.movflags} if self.movflags and path.suffix in (".mp4", ".mov") else {}
        with av.open(str(path), "w", format=self.container, options=flags) as container:
            options = (
                {"bf": "2", "sc_threshold": "0", **self.options} if self.codec == "libx264" else self.options
            )
            stream = container.add_stream(self.codec, rate=self.rate, options=options)
            assert isinstance(stream, VideoStream)
            stream.width, stream.height = self.size
            stream.pix_fmt = self.pixels
            stream.codec_context.gop_size = self.group
            if self.rotation is not None:
                stream.set_display_rotation(self.rotation, hflip=self.mirrored)
            for number in range(self.frames):
                frame = av.VideoFrame.from_ndarray(numbered(number, *self.size), format="rgb24")
                frame.pts = self.times[number] if self.times else number
                frame.time_base = 1 / self.rate
                container.mux(stream.encode(frame))
            container.mux(stream.encode())
        return path
