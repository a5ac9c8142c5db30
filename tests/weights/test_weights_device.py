from pathlib import Path

import pytest
import torch

from keepsight.errors import UsageError
from keepsight.weights.device import CPU_FLAGS, _cpu_flags, pick_device, pick_dtype


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
    native = bool(_cpu_flags() & CPU_FLAGS)
    assert pick_dtype("auto", cpu) == (torch.bfloat16 if native else torch.float32)
    assert pick_dtype("auto", torch.device("mps")) == torch.float32
    for name in ("float64", "half", ""):
        with pytest.raises(UsageError, match=rf"dtype '{name}' is unknown: expected auto, float32"):
            pick_dtype(name)


def test_processor_flags_come_from_the_kernel(tmp_path: Path) -> None:
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text("processor\t: 0\nflags\t\t: fpu avx512f avx512_bf16\nmodel name\t: amx_bf16\n")
    assert _cpu_flags(cpuinfo) & CPU_FLAGS == {"avx512_bf16"}
    assert not any(isinstance(name, bytes) for name in _cpu_flags(tmp_path / "none"))


@pytest.mark.gpu
def test_cuda() -> None:
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    assert pick_device("auto") == pick_device("cuda") == torch.device("cuda:0")
    modern = torch.cuda.get_device_capability() >= (8, 0)
    assert pick_dtype("auto", torch.device("cuda:0")) == (torch.bfloat16 if modern else torch.float32)
