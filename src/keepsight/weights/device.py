"""Where and in which number type a network computes."""

import platform
from pathlib import Path

import torch

from keepsight.errors import UsageError

__all__ = ["pick_device", "pick_dtype"]

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
# What a processor must have, any of these. AVX512-BF16 doubles AMD's rate of products; Intel's is float32's,
# and rounding comes on top (measured where a guest is not shown AMX: 0.6 of float32's speed).
FAST_IN_BFLOAT16 = (frozenset({"amx_bf16"}), frozenset({"avx512_bf16", "AuthenticAMD"}))


def _available() -> list[str]:
    names = ["cpu"]
    if torch.cuda.is_available():
        names += [f"cuda:{i}" for i in range(torch.cuda.device_count())]
    if torch.backends.mps.is_available():
        names.append("mps")
    return names


def pick_device(name: str | torch.device = "auto") -> torch.device:
    """The device of a name.

    Args:
        name: "auto" (CUDA, else Apple's MPS, else the CPU), "cpu", "cuda", "cuda:1", "mps", or a device.

    Raises:
        UsageError: the name is unknown or this machine has no such device; the message lists what it has.
    """
    available = _available()
    if name == "auto":
        return torch.device(available[1] if len(available) > 1 else "cpu")
    asked = str(name)
    exact = {"cuda": "cuda:0", "mps:0": "mps", "cpu:0": "cpu"}.get(asked, asked)
    if exact not in available:
        raise UsageError(
            f"device {asked!r} is not available: this machine has {', '.join(available)}. Pass one of these "
            f"or 'auto'; for 'cuda', check that the installed torch ({torch.__version__}) is built for CUDA."
        )
    return torch.device(exact)


def pick_dtype(name: str | torch.dtype = "auto", device: torch.device | None = None) -> torch.dtype:
    """The number type of a name.

    Args:
        name: "auto", "float32", "bfloat16", "float16", or one of these types of torch. Auto is bfloat16
            where that is faster (CUDA of compute capability 8 and above, CPUs with AMX, AMD's with
            AVX512-BF16), else float32.
        device: where the network will compute; the CPU when omitted.

    Raises:
        UsageError: the name is unknown.
    """
    if name == "auto":
        return torch.bfloat16 if _fast_in_bfloat16(device or torch.device("cpu")) else torch.float32
    dtype = DTYPES.get(str(name).removeprefix("torch."))
    if dtype is None:
        raise UsageError(f"dtype {str(name)!r} is unknown: expected auto, {', '.join(DTYPES)}.")
    return dtype


def _fast_in_bfloat16(device: torch.device) -> bool:
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    if device.type != "cpu":
        return False
    traits = _cpu_traits()
    return any(needed <= traits for needed in FAST_IN_BFLOAT16)


def _cpu_traits(cpuinfo: Path = Path("/proc/cpuinfo")) -> frozenset[str]:
    """The processor's maker and instruction sets, by the Linux kernel's names; torch's own list elsewhere."""
    if cpuinfo.exists():
        lines = cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines()
        told = [line for line in lines if line.startswith(("flags", "vendor_id"))]
        return frozenset(word for line in told for word in line.split()[1:])
    # Public since torch 2.10 or so; before that only private functions know.
    capabilities: dict[str, object] = getattr(torch.cpu, "get_capabilities", dict)()
    return frozenset(name for name, present in capabilities.items() if present is True) | frozenset(
        platform.processor().replace(",", " ").split()
    )
