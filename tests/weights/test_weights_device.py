from pathlib import Path

import pytest
import torch

from keepsight.errors import UsageError
from keepsight.weights import device
from keepsight.weights.device import FAST_IN_BFLOAT16, _cpu_traits, pick_device, pick_dtype


def test_devices() -> None:
    assert pick_device("cpu") == pick_device(torch.device("cpu")) == torch.device("cpu")
    assert pick_device("auto").type in ("cpu", "cuda", "mps")
    for name in ("gpu", "cuda:99", "", "mps:7"):
        with pytest.raises(UsageError, match=rf"device '{name}' is not available: this machine has cpu"):
            pick_device(name)


def test_types() -> None:
    cpu = torch.device("cpu")
    assert pick_dtype("bfloat16", cpu) == pick_dtype(torch.bfloat16) == torch.bfloat16
    assert pick_dtype("float16", cpu) == torch.float16
    fast = any(needed <= _cpu_traits() for needed in FAST_IN_BFLOAT16)
    assert pick_dtype("auto", cpu) == (torch.bfloat16 if fast else torch.float32)
    assert pick_dtype("auto", torch.device("mps")) == torch.float32
    for name in ("float64", "half", ""):
        with pytest.raises(UsageError, match=rf"dtype '{name}' is unknown: expected auto, float32"):
            pick_dtype(name)


@pytest.mark.parametrize(
    ("vendor", "flags", "expected"),
    [
        ("GenuineIntel", "fpu avx512f avx512_bf16 amx_tile amx_bf16", torch.bfloat16),
        ("GenuineIntel", "fpu avx512f avx512_bf16", torch.float32),
        ("AuthenticAMD", "fpu avx512f avx512_bf16", torch.bfloat16),
        ("AuthenticAMD", "fpu avx2", torch.float32),
    ],
)
def test_bfloat16_is_chosen_where_it_is_faster(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, vendor: str, flags: str, expected: torch.dtype
) -> None:
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text(f"processor\t: 0\nvendor_id\t: {vendor}\nmodel name\t: amx_bf16\nflags\t\t: {flags}\n")
    monkeypatch.setattr(device, "_cpu_traits", lambda: _cpu_traits(cpuinfo))
    assert pick_dtype("auto", torch.device("cpu")) == expected


def test_where_the_kernel_says_nothing_torch_is_asked(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("platform.processor", lambda: "AMD64 Family 25 Model 97 Stepping 2, AuthenticAMD")
    monkeypatch.setattr(
        torch.cpu, "get_capabilities", lambda: {"avx512_bf16": True, "x": False}, raising=False
    )
    assert FAST_IN_BFLOAT16[1] <= _cpu_traits(tmp_path / "none")
    assert "x" not in _cpu_traits(tmp_path / "none")


@pytest.mark.gpu
def test_cuda() -> None:
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    assert pick_device("auto") == pick_device("cuda") == torch.device("cuda:0")
    modern = torch.cuda.get_device_capability() >= (8, 0)
    assert pick_dtype("auto", torch.device("cuda:0")) == (torch.bfloat16 if modern else torch.float32)
