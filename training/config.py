"""The network that is trained here."""

from keepsight.nn.efficientnet import EfficientNetConfig
from keepsight.nn.matching import MatchingConfig
from keepsight.nn.sam2 import Sam2Config

POCKET = Sam2Config(
    encoder=EfficientNetConfig(),
    image_size=320,
    mean=(127 / 255,) * 3,
    std=(128 / 255,) * 3,
    width=128,
    memory_width=64,
    attention_layers=3,
    attention_ffn=256,
    self_only=(1,),
    decoder_mlp=256,
    pointer_time=False,
    matching=MatchingConfig(fine_width=32, attended=1, familiarity=64),
    drawn_prompts=True,
    recalls_sighting=True,
)
