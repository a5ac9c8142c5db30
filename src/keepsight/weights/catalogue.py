"""The checkpoints keepsight knows by name."""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from keepsight.errors import UnknownModelError
from keepsight.nn.sam2 import VARIANTS, Sam2Config
from keepsight.weights.config_json import config_from_json
from keepsight.weights.embedded import EMBEDDED_NAME, embedded_file
from keepsight.weights.files import read_tensors

__all__ = ["CATALOGUE", "CONFIG_KEY", "Checkpoint", "find_checkpoint", "known_checkpoint"]

CONFIG_KEY = "keepsight.config"
"""Where our safetensors files keep their configuration among their metadata."""

_META_FOLDERS = {
    "sam2.1": "https://dl.fbaipublicfiles.com/segment_anything_2/092824",
    "sam2": "https://dl.fbaipublicfiles.com/segment_anything_2/072824",
}
# How Meta's YAML files abbreviate the sizes.
_META_SIZES = {"t": "tiny", "s": "small", "b+": "base-plus", "l": "large"}


@dataclass(frozen=True)
class Checkpoint:
    """One published set of weights.

    Attributes:
        name: what users type.
        file: the file's name in the repository, or inside the package.
        licence: SPDX identifier of the weights' licence; "SAM" for Meta's SAM License, which has none.
        architecture: the network's configuration, or None where the file itself carries it.
        repository: Hugging Face repository; None where the file is part of the package.
        url: the same file at Meta's own server, for downloading by hand; None where there is none.
        digest: SHA-256 of the file in hexadecimal, or None where we do not know it.
    """

    name: str
    file: str
    licence: str
    architecture: Sam2Config | None = None
    repository: str | None = None
    url: str | None = None
    digest: str | None = None

    @property
    def config(self) -> Sam2Config:
        """The network's configuration: its input size and normalisation among others.

        Raises:
            WeightsError: it stands in a file that is missing from the package or damaged.
        """
        if self.architecture is not None:
            return self.architecture
        with embedded_file(self.file) as path:
            return config_from_json(read_tensors(path).metadata.get(CONFIG_KEY, ""), str(path))

    @property
    def source(self) -> str:
        """Where the weights come from, in words."""
        return f"huggingface.co/{self.repository}" if self.repository else "part of the package"


def _published(name: str, config: Sam2Config) -> Checkpoint:
    family = name.partition("_")[0]
    return Checkpoint(
        name=name,
        file=f"{name}.pt",
        licence="Apache-2.0",
        architecture=config,
        repository=f"facebook/{name.replace('_', '-')}",
        url=f"{_META_FOLDERS[family]}/{name}.pt",
    )


_SAM3 = Checkpoint(
    name="sam3",
    file="model.safetensors",
    licence="SAM",
    architecture=VARIANTS["sam3"],
    repository="facebook/sam3",
)

CATALOGUE: Mapping[str, Checkpoint] = MappingProxyType(
    {"pocket": Checkpoint("pocket", EMBEDDED_NAME, "Apache-2.0")}
    | {name: _published(name, config) for name, config in VARIANTS.items() if name != "sam3"}
    | {"sam3": _SAM3}
)
"""Every known checkpoint by name; no entry is loaded or downloaded by being listed."""


def _spelling(name: str) -> str:
    """One spelling of a name: facebook/SAM2.1-Hiera-Tiny and sam2.1_hiera_t are sam2.1-tiny."""
    plain = name.strip().lower().removeprefix("facebook/").replace("_", "-").replace("-hiera", "")
    family, dash, size = plain.partition("-")
    return f"{family}{dash}{_META_SIZES.get(size, size)}"


_BY_SPELLING = {_spelling(name): checkpoint for name, checkpoint in CATALOGUE.items()}


def known_checkpoint(name: str) -> Checkpoint | None:
    """The checkpoint of a name or of another way to write it, or None.

    `sam2.1_hiera_tiny`, `sam2.1-hiera-tiny`, `sam2.1-tiny`, `sam2.1_hiera_t` (as Meta calls its YAML files)
    and `facebook/sam2.1-hiera-tiny` are one, in capitals or not.
    """
    return _BY_SPELLING.get(_spelling(name))


def find_checkpoint(name: str) -> Checkpoint:
    """The checkpoint of a name; see `known_checkpoint`.

    Raises:
        UnknownModelError: there is none; the message lists the known and the similar ones.
    """
    found = known_checkpoint(name)
    if found is not None:
        return found
    near = difflib.get_close_matches(_spelling(name), _BY_SPELLING, n=3, cutoff=0.5)
    hint = f" Did you mean {' or '.join(_BY_SPELLING[match].name for match in near)}?" if near else ""
    raise UnknownModelError(
        f"There is no model named {name!r}.{hint} Known are {', '.join(CATALOGUE)}; or pass a Hugging Face "
        f"repository (owner/name) or the path of a .pt or .safetensors file."
    )
