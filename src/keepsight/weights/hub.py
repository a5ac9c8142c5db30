"""Fetching checkpoints from the Hugging Face hub, or from its cache where there is no network."""

import errno
from dataclasses import dataclass
from pathlib import Path

from huggingface_hub import snapshot_download, try_to_load_from_cache
from huggingface_hub.errors import (
    EntryNotFoundError,
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
)

from keepsight.errors import WeightsError

__all__ = ["Hub"]

_LIGHT = ["config.json", "*.yaml", "*.safetensors"]
_PICKLED = ["*.yaml", "*.pt"]
# Which HTTP client the library uses has changed with its versions; its errors stand among the bases.
_FAILURES: tuple[type[BaseException], ...] = (
    HFValidationError,
    EntryNotFoundError,
    HfHubHTTPError.__bases__[0],
    OSError,
)


@dataclass(frozen=True)
class Hub:
    """Where repositories are fetched from.

    Attributes:
        endpoint: address of the server; None for the environment's HF_ENDPOINT, else huggingface.co.
        cache: folder of the cache; None for the library's own.
    """

    endpoint: str | None = None
    cache: Path | None = None

    def file(self, repository: str, name: str, *, otherwise: str = "") -> Path:
        """One file of a repository, downloaded unless the cache has it: published files do not change.

        Args:
            repository: "owner/name".
            name: the file's name in it.
            otherwise: another source to name in messages.

        Raises:
            WeightsError: no such repository or file, no permission, or neither network nor cached copy.
        """
        cached = try_to_load_from_cache(repository, name, cache_dir=self.cache)
        if isinstance(cached, str):
            return Path(cached)
        # Not hf_hub_download: without a network that retries for half a minute.
        path = self._snapshot(repository, [name], otherwise) / name
        if not path.exists():
            missing = EntryNotFoundError(f"{repository} has no {name}")
            raise WeightsError(_message(repository, name, missing, otherwise))
        return path

    def folder(self, repository: str) -> Path:
        """The configurations and weights of a repository; pickled ones only where there are no others.

        Raises:
            WeightsError: no such repository, no permission, no weights in it, or neither network nor cached
                copy.
        """
        for patterns in (_LIGHT, _PICKLED):
            folder = self._snapshot(repository, patterns)
            if any(folder.glob(patterns[-1])):
                return folder
        raise WeightsError(
            f"The Hugging Face repository {repository!r} was expected to hold weights, .safetensors or .pt, "
            f"at its top level, but holds none. Name a repository such as facebook/sam2.1-hiera-tiny."
        )

    def _snapshot(self, repository: str, patterns: list[str], otherwise: str = "") -> Path:
        try:
            return Path(
                snapshot_download(
                    repository, allow_patterns=patterns, endpoint=self.endpoint, cache_dir=self.cache
                )
            )
        except _FAILURES as error:
            raise WeightsError(_message(repository, patterns[-1], error, otherwise)) from error


def _message(repository: str, name: str, error: BaseException, otherwise: str) -> str:
    """What went wrong and what to do; the library's own texts run over many lines."""
    wanted = f"Loading {name} from the Hugging Face repository {repository!r} failed"
    also = f" Or download {otherwise} by hand and pass its path." if otherwise else ""
    if isinstance(error, GatedRepoError):
        return (
            f"{wanted}: its owner grants access to registered users only. Accept the conditions at "
            f"https://huggingface.co/{repository}, then run `hf auth login` or set HF_TOKEN.{also}"
        )
    if isinstance(error, HFValidationError | RepositoryNotFoundError):
        return (
            f"{wanted}: there is no such repository, or it is private (and no such folder here). Check the "
            f"spelling; for a private one run `hf auth login` or set HF_TOKEN.{also}"
        )
    if isinstance(error, EntryNotFoundError) and not isinstance(error, LocalEntryNotFoundError):
        return (
            f"{wanted}: the repository has no such file, or cannot be reached now. Check the network and its "
            f"list of files.{also}"
        )
    detail = " ".join(str(error.__cause__ or error).split())[:200]
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EACCES, errno.EROFS):
        return (
            f"{wanted}: the cache cannot be written ({detail}). Make room, or set HF_HOME to another folder."
        )
    return (
        f"{wanted}: the server cannot be reached and no complete copy is in the cache ({detail}). Check the "
        f"network and HF_ENDPOINT, or use the model 'pocket', which needs no download.{also}"
    )
