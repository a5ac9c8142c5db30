"""An architecture small enough to be written, damaged and read again many times."""

from keepsight.nn.hiera import HieraConfig
from keepsight.nn.sam2 import Sam2Config

__all__ = ["TINY"]

TINY = Sam2Config(
    encoder=HieraConfig(width=16, heads=1, stages=(1, 1, 2, 1), global_blocks=(3,), background=(4, 4)),
    image_size=64,
    width=32,
    memory_width=16,
    attention_layers=2,
    attention_ffn=32,
    decoder_mlp=32,
)
