"""What every stage computed when it was equal to Meta's network, so that it stays so where that is missing.

Weights, image and prompts are drawn from fixed seeds. After a wanted change, with parity shown again:
`python -m tests.nn.test_goldens` writes the file anew.
"""

import json
from pathlib import Path

import pytest
import torch
from torch import Tensor

from keepsight.nn.io import MemoryBatch, MemoryView, PromptBatch
from keepsight.nn.sam2 import Sam2
from tests.oracle import IMAGE_SIZE, favour_presence, randomise, tiny_config

FILE = Path(__file__).parent / "goldens.json"
PLACES = 12  # values kept of every tensor, evenly spread


def stages() -> dict[str, Tensor]:
    """Runs a tiny SAM 2.1 through a prompted and a tracked frame; the tensors between the boxes."""
    torch.manual_seed(10)
    network = Sam2(tiny_config()).eval().requires_grad_(False)
    randomise(network, seed=11)
    favour_presence(network, by=3.0)
    generator = torch.Generator().manual_seed(12)
    network.prompt_encoder.position.gaussian.copy_(torch.randn(2, 128, generator=generator))
    first, second = torch.randn(2, 1, 3, IMAGE_SIZE, IMAGE_SIZE, generator=generator)
    points = PromptBatch(torch.tensor([[[40.0, 50.0]]]), torch.tensor([[1]], dtype=torch.int32))
    mask = torch.zeros(1, 1, IMAGE_SIZE, IMAGE_SIZE)
    mask[:, :, 30:80, 20:70] = 1
    features = network.encode_image(first)
    asked = network.segment(features, None, points, multimask=True)
    adopted = network.adopt_mask(features, mask)
    memory = network.encode_memory(features, adopted.logits, adopted.presence, prompted=True)
    view = MemoryView((memory[0], memory[0].flip(0)), (0, 1), (adopted.pointers[0, 0],), (2,))
    batch = MemoryBatch.stack([view])
    later = network.encode_image(second)
    tracked = network.segment(later, batch, None, multimask=True)
    return {
        "fine features": features.fine,
        "middle features": features.middle,
        "embedding": features.embedding,
        "prompted logits": asked.logits,
        "prompted ious": asked.ious,
        "prompted pointers": asked.pointers,
        "prompted presence": asked.presence,
        "adopted logits": adopted.logits,
        "adopted pointer": adopted.pointers,
        "memory": memory,
        "conditioned embedding": network._condition(later, batch)[0],
        "tracked logits": tracked.logits,
        "tracked pointers": tracked.pointers,
    }


def summary(tensor: Tensor) -> dict[str, object]:
    flat = tensor.flatten().double()
    spread = flat[torch.linspace(0, len(flat) - 1, min(PLACES, len(flat))).long()]
    return {"shape": list(tensor.shape), "mean": float(flat.mean()), "values": spread.tolist()}


@pytest.fixture(scope="module")
def computed() -> dict[str, Tensor]:
    torch.set_num_threads(1)
    with torch.inference_mode():
        return stages()


@pytest.mark.parametrize("stage", json.loads(FILE.read_text()))
def test_stage(stage: str, computed: dict[str, Tensor]) -> None:
    golden, now = json.loads(FILE.read_text())[stage], summary(computed[stage])
    assert now["shape"] == golden["shape"]
    for part in ("mean", "values"):
        torch.testing.assert_close(torch.tensor(now[part]), torch.tensor(golden[part]), atol=2e-4, rtol=2e-4)


def test_the_file_names_every_stage(computed: dict[str, Tensor]) -> None:
    assert list(json.loads(FILE.read_text())) == list(computed)


if __name__ == "__main__":
    torch.set_num_threads(1)
    with torch.inference_mode():
        written = {name: summary(tensor) for name, tensor in stages().items()}
    FILE.write_text(json.dumps(written, indent=1) + "\n")
