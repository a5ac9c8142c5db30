import pytest

from keepsight.errors import UnknownModelError
from keepsight.nn.sam2 import VARIANTS
from keepsight.weights.catalogue import CATALOGUE, find_checkpoint


def test_every_published_size_is_listed_with_source_and_licence() -> None:
    assert set(CATALOGUE) == {"pocket", *VARIANTS}
    large = CATALOGUE["sam2.1_hiera_base_plus"]
    assert large.repository == "facebook/sam2.1-hiera-base-plus"
    assert large.file == "sam2.1_hiera_base_plus.pt"
    assert large.url == "https://dl.fbaipublicfiles.com/segment_anything_2/092824/sam2.1_hiera_base_plus.pt"
    assert large.config.image_size == 1024
    assert all(checkpoint.licence and checkpoint.source for checkpoint in CATALOGUE.values())
    assert CATALOGUE["pocket"].repository is None


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("facebook/sam2.1-hiera-base-plus", "sam2.1_hiera_base_plus"),
        ("SAM2.1-tiny", "sam2.1_hiera_tiny"),
        ("sam2.1_hiera_b+", "sam2.1_hiera_base_plus"),
        ("sam2_hiera_l", "sam2_hiera_large"),
        ("sam2-small", "sam2_hiera_small"),
        ("Pocket", "pocket"),
    ],
)
def test_other_spellings(written: str, meant: str) -> None:
    assert find_checkpoint(written).name == meant


@pytest.mark.parametrize(("typed", "near"), [("sam2.1_hiera_tny", "sam2.1_hiera_tiny"), ("tiny", "tiny")])
def test_unknown_names_list_near_misses(typed: str, near: str) -> None:
    with pytest.raises(
        UnknownModelError, match=rf"(?s){typed}.*Did you mean .*{near}.*Known are pocket"
    ) as caught:
        find_checkpoint(typed)
    assert isinstance(caught.value, LookupError)


def test_nothing_near() -> None:
    with pytest.raises(UnknownModelError, match=r"'xyzzy'\. Known are"):
        find_checkpoint("xyzzy")
