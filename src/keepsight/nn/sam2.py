"""SAM 2 and its relatives: one place that wires the boxes of the figure (SAM 2, figure 3).

Variants state only what differs. The same network with another encoder and other numbers is `pocket`.
"""

from dataclasses import dataclass, field, replace

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from keepsight.nn.efficientnet import EfficientNetConfig, EfficientNetEncoder
from keepsight.nn.fine_matching import FineRead
from keepsight.nn.hiera import HieraConfig, HieraEncoder
from keepsight.nn.io import ImageFeatures, InputSpec, MaskCandidates, MemoryBatch, PromptBatch
from keepsight.nn.layers.mlp import Mlp
from keepsight.nn.layers.position import sine_grid, sine_time
from keepsight.nn.mask_decoder import Decoded, MaskDecoder
from keepsight.nn.matching import MatchingConfig, MatchingRead
from keepsight.nn.memory_attention import MemoryAttention, MemoryTokens
from keepsight.nn.memory_encoder import MemoryEncoder
from keepsight.nn.prompt_drawing import BOX_LOGIT, draw_prompts
from keepsight.nn.prompt_encoder import PADDING, PromptEncoder
from keepsight.nn.refiner import Refiner
from keepsight.nn.vit import VitConfig, VitEncoder

__all__ = ["SAM3_CENTRE", "VARIANTS", "Sam2", "Sam2Config"]

ABSENT_LOGIT = -1024.0
# A given mask counts as the answer with these logits (sigmoid(-10) = 4.5e-5).
GIVEN_SCALE = 20.0
GIVEN_SHIFT = -10.0
# SAMURAI's published configurations: 0.15 for the large image encoder, 0.25 for the others.
LARGE_WIDTH, MOTION_WEIGHT_LARGE, MOTION_WEIGHT = 144, 0.15, 0.25
# Channels carried over from memory: two masks of `MatchingRead`, what `FineRead` reads, that there is any.
CARRIED = 2 + FineRead.CHANNELS + 1
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
SAM3_CENTRE = (0.5, 0.5, 0.5)  # both mean and standard deviation


@dataclass(frozen=True)
class Sam2Config:
    """Everything in which two networks of the family may differ.

    Attributes:
        encoder: the image encoder's own numbers.
        image_size: S, the side of the model input in pixels; a multiple of 32, in SAM 3 of 14 x 24.
        mean: of the input's RGB channels, values 0..1.
        std: likewise.
        width: C, channels of the image embedding.
        memory_width: channels of a memory token.
        attention_layers: layers of memory attention.
        attention_ffn: hidden width of their perceptrons.
        self_only: which of these layers, from 0, do not look at the memory; none in SAM 2.
        decoder_mlp: hidden width of the mask decoder's perceptrons.
        memory_frames: rows of the temporal encoding: one for conditioning frames, one per recent frame.
        pointer_reach: distance in frames that the pointers' time encoding is normalised by.
        pointer_time: whether pointers carry their (signed) distance in time; SAM 2.1 does, SAM 2 does not.
        absence_in_memory: whether memory maps of absent objects are marked; SAM 2.1 does, SAM 2 does not.
        matching: an extra read that compares image features directly; None in SAM 2.
        drawn_prompts: whether boxes and clicks are also drawn into the mask prompt; not in SAM 2.
        max_conditioning: how many prompted frames memory attention should be shown, 0 for all; SAM 3 was
            trained with the 4 closest in time.
        recalls_sighting: whether the last frame that showed an object well stays in memory while it is gone;
            not in SAM 2.
    """

    encoder: HieraConfig | EfficientNetConfig | VitConfig = field(default_factory=HieraConfig)
    image_size: int = 1024
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD
    width: int = 256
    memory_width: int = 64
    attention_layers: int = 4
    attention_ffn: int = 2048
    self_only: tuple[int, ...] = ()
    decoder_mlp: int = 2048
    memory_frames: int = 7
    pointer_reach: int = 15
    pointer_time: bool = True
    absence_in_memory: bool = True
    matching: MatchingConfig | None = None
    drawn_prompts: bool = False
    max_conditioning: int = 0
    recalls_sighting: bool = False

    @property
    def grid(self) -> int:
        """The side of the image embedding in cells."""
        return self.image_size // (self.encoder.patch if isinstance(self.encoder, VitConfig) else 16)


def _encoder(config: Sam2Config) -> HieraEncoder | EfficientNetEncoder | VitEncoder:
    if isinstance(config.encoder, EfficientNetConfig):
        return EfficientNetEncoder(config.encoder, config.width)
    if isinstance(config.encoder, VitConfig):
        return VitEncoder(config.encoder, config.width)
    return HieraEncoder(config.encoder, config.width)


class Sam2(nn.Module):
    """The tracker network; implements `keepsight.nn.io.VideoNetwork`.

    Every method is a function of its arguments, so one network serves any number of videos.
    """

    def __init__(self, config: Sam2Config) -> None:
        super().__init__()
        width, memory_width = config.width, config.memory_width
        self.config = config
        self.image_encoder = _encoder(config)
        self.prompt_encoder = PromptEncoder(width, config.image_size)
        self.mask_decoder = MaskDecoder(width, config.decoder_mlp)
        self.memory_encoder = MemoryEncoder(width, memory_width)
        self.memory_attention = MemoryAttention(
            width, memory_width, config.attention_layers, config.attention_ffn, config.self_only
        )
        self.matching = MatchingRead(config.matching, width, memory_width) if config.matching else None
        fine_width = config.matching.fine_width if config.matching else 0
        self.fine_read = FineRead(width, fine_width) if fine_width else None
        self.refiner = Refiner(width, CARRIED + 1) if fine_width else None
        self.mask_to_prompt = nn.Conv2d(1, 1, kernel_size=4, stride=4)
        self.pointer_head = Mlp(width, width, width, width)
        self.no_memory = nn.Parameter(torch.zeros(width))
        self.absent_pointer = nn.Parameter(torch.zeros(width))
        # Row a - 1 for a memory that is a frames old; the last row for conditioning frames.
        self.age_embedding = nn.Parameter(torch.zeros(config.memory_frames, memory_width))
        self.pointer_time = nn.Linear(width, memory_width) if config.pointer_time else None
        self.absent_memory = nn.Parameter(torch.zeros(memory_width)) if config.absence_in_memory else None
        for start in (self.no_memory, self.absent_pointer, self.age_embedding, self.absent_memory):
            if start is not None:
                nn.init.trunc_normal_(start, std=0.02)

    @property
    def input_spec(self) -> InputSpec:
        """How frames are prepared for `encode_image`; networks of our own have no reference to agree with."""
        config = self.config
        return InputSpec(config.image_size, config.mean, config.std, as_reference=config.matching is None)

    @property
    def device(self) -> torch.device:
        """Where the network computes."""
        return self.no_memory.device

    @property
    def dtype(self) -> torch.dtype:
        """The type the network computes in."""
        return self.no_memory.dtype

    @property
    def motion_weight(self) -> float:
        """How much predicted motion should count beside predicted IoU under SAMURAI."""
        encoder = self.config.encoder
        large = isinstance(encoder, HieraConfig) and encoder.width >= LARGE_WIDTH
        return MOTION_WEIGHT_LARGE if large else MOTION_WEIGHT

    @property
    def max_conditioning(self) -> int | None:
        """How many prompted frames memory attention should be shown; None for all."""
        return self.config.max_conditioning or None

    @property
    def recalls_sighting(self) -> bool:
        """Whether memory should keep the last frame that showed an object well for as long as it is gone."""
        return self.config.recalls_sighting

    @property
    def newest_only(self) -> slice | None:
        """Channels of memory maps that are read of prompted frames and the newest frame only: fine keys."""
        matching = self.config.matching
        if matching is None or self.matching is None or not matching.fine_width:
            return None
        start = self.config.memory_width + self.matching.extra_width
        return slice(start, start + 4 * matching.fine_width)

    @property
    def coarse_from(self) -> int | None:
        """The first of the memory maps' channels that are whole 128ths: keys and masks; None for none."""
        return None if self.matching is None else self.config.memory_width

    def encode_image(self, pixels: Tensor) -> ImageFeatures:
        """Encodes normalised frames, (B, 3, S, S), B = 1 in tracking; see `ImageFeatures`."""
        pixels, encoder = pixels.to(self.dtype), self.image_encoder
        to_fine, to_middle = self.mask_decoder.fine_projection, self.mask_decoder.middle_projection
        if isinstance(encoder, EfficientNetEncoder):
            fine, middle, embedding = encoder.project(pixels, to_fine, to_middle)
            features = ImageFeatures(embedding, fine, middle)
        else:
            fine, middle, embedding = encoder(pixels)
            features = ImageFeatures(embedding, to_fine(fine), to_middle(middle))
        return features._replace(
            keys=None if self.matching is None else self.matching.keys(features),
            fine_keys=None if self.fine_read is None else self.fine_read.keys(features),
        )

    def segment(
        self,
        features: ImageFeatures,
        memory: MemoryBatch | None,
        prompts: PromptBatch | None,
        *,
        multimask: bool,
        presence_threshold: float = 0.0,
    ) -> MaskCandidates:
        """Segments B objects on one frame; see `VideoNetwork.segment`."""
        carried = None
        if memory is None:
            embedding = features.embedding + self.no_memory[:, None, None]
        else:
            embedding, carried = self._condition(features, memory)
        if prompts is None:
            prompts = self._no_prompts(len(embedding))
        elif self.config.drawn_prompts:
            height, width = (4 * side for side in embedding.shape[2:])
            prompts = draw_prompts(prompts, (height, width), self.config.image_size)
        features = self._refined(features, embedding, carried, prompts)
        decoded = self._decode(features, embedding, prompts, multimask=multimask)
        present = decoded.presence > presence_threshold
        logits = torch.where(present[..., None, None], decoded.logits, ABSENT_LOGIT)
        pointers = self._gate_pointers(self.pointer_head(decoded.tokens), present)
        return MaskCandidates(logits, decoded.ious, pointers, decoded.presence)

    def adopt_mask(self, features: ImageFeatures, masks: Tensor) -> MaskCandidates:
        """Takes given masks, (B, 1, S, S) of 0 and 1, as the answer (M = 1) and finds their pointers."""
        masks = masks.float()
        given = masks * GIVEN_SCALE + GIVEN_SHIFT
        logits = _resized(given, 4 * self.config.grid)
        shown = _resized(self.mask_to_prompt(masks.to(self.dtype)), 4 * self.config.grid)
        prompts = self._no_prompts(len(masks))._replace(mask_logits=shown)
        decoded = self._decode(features, features.embedding, prompts, multimask=False)
        marked = masks.flatten(1).any(dim=1, keepdim=True)
        # The decoder is asked too: where it sees nothing its token says nothing about the object.
        pointers = self._gate_pointers(self.pointer_head(decoded.tokens), (decoded.presence > 0) & marked)
        presence = marked.float() * GIVEN_SCALE + GIVEN_SHIFT
        return MaskCandidates(logits, torch.ones_like(presence), pointers, presence)

    def encode_memory(
        self, features: ImageFeatures, logits: Tensor, presence: Tensor, *, prompted: bool
    ) -> Tensor:
        """Encodes frame and masks into memory maps (B, n, D); see `VideoNetwork.encode_memory`."""
        size = (self.config.image_size, self.config.image_size)
        sharp = F.interpolate(logits, size=size, mode="bilinear", align_corners=False)
        sharp = _resized(sharp, 16 * self.config.grid)  # another size where a cell is not 16 pixels wide
        probabilities = (sharp > 0).float() if prompted else sharp.sigmoid()
        encoded: Tensor = self.memory_encoder(features.embedding, probabilities)
        maps = encoded.flatten(2).transpose(1, 2)
        if self.absent_memory is not None:
            maps = maps + (presence <= 0)[..., None].to(maps.dtype) * self.absent_memory
        if self.matching is not None:
            maps = torch.cat((maps, self.matching.remember(features, logits)), dim=-1)
        if self.fine_read is not None:
            keys = self.fine_read.remember(features).expand(len(maps), -1, -1)
            maps = torch.cat((maps, keys.to(maps.dtype)), dim=-1)
        return maps

    def _condition(self, features: ImageFeatures, memory: MemoryBatch) -> tuple[Tensor, Tensor | None]:
        """The embedding (B, C, h, w) after looking at each object's memory, and the masks it was shown."""
        embedding, carried = features.embedding, None
        if self.matching is not None:
            plain, extra, keys = self._parts(memory.maps)
            oldest = min(_prompted(memory) + memory.sightings, memory.maps.shape[1] - 1)
            addition, carried = self.matching.read(features, extra, plain, memory.map_scales, earlier=oldest)
            embedding = embedding + addition
            if self.fine_read is not None:
                fine = self.fine_read.read(features, keys, self.matching.evidence(extra))
                carried = torch.cat((carried.float(), fine), dim=1)
            memory = _latest(memory._replace(maps=plain), self.matching.attended)
        out: Tensor = self.memory_attention(embedding, self._tokens(features, memory))
        return out, carried

    def _parts(self, maps: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Splits memory maps (..., D) into what the memory encoder, the matching and the fine read wrote."""
        start = self.config.memory_width
        end = start + (self.matching.extra_width if self.matching is not None else 0)
        return maps[..., :start], maps[..., start:end], maps[..., end:]

    def _refined(
        self, features: ImageFeatures, embedding: Tensor, carried: Tensor | None, prompts: PromptBatch
    ) -> ImageFeatures:
        """The frame's skip features for B objects, from carried masks, whether there are any, and prompts."""
        if self.refiner is None:
            return features
        shape = (len(prompts.points), 1, *features.fine.shape[2:])
        blank = torch.zeros(shape, device=self.device)
        drawn = blank if prompts.mask_logits is None else prompts.mask_logits / BOX_LOGIT
        if carried is None:
            known = blank.expand(-1, CARRIED, -1, -1)
        else:
            known = torch.cat((carried, torch.ones_like(blank)), dim=1)
        refined: ImageFeatures = self.refiner(features, embedding, torch.cat((known, drawn), dim=1))
        return refined

    def _tokens(self, features: ImageFeatures, memory: MemoryBatch) -> MemoryTokens:
        """Lays maps and pointers out as one sequence, with their places in space and time."""
        channels = self.config.memory_width
        height, width = features.embedding.shape[2:]
        place = sine_grid(height, width, channels, self.device, self.dtype).flatten(1).T
        age = self.age_embedding[(memory.ages - 1) % len(self.age_embedding)]
        maps = memory.maps.to(self.dtype)
        keys = _scaled(maps + place + age[:, :, None], memory.map_scales).flatten(1, 2)
        values = maps.flatten(1, 2)
        frames = memory.maps.shape[1]
        if memory.pointers.shape[1] == 0:
            return MemoryTokens(keys, values, frames)
        pointers, times = self._pointer_tokens(memory)
        pieces = pointers.shape[1] // memory.pointers.shape[1]
        placed = (pointers + times).reshape(len(pointers), -1, pieces, channels)
        keys = torch.cat((keys, _scaled(placed, memory.pointer_scales).flatten(1, 2)), dim=1)
        return MemoryTokens(keys, torch.cat((values, pointers), dim=1), frames)

    def _pointer_tokens(self, memory: MemoryBatch) -> tuple[Tensor, Tensor]:
        """Cuts each pointer into tokens of the memory's width: (B, P * C / memory_width, memory_width)."""
        pieces = self.config.width // self.config.memory_width
        batch, count = memory.pointers.shape[:2]
        pointers = memory.pointers.to(self.dtype).reshape(batch, count * pieces, -1)
        if self.pointer_time is None:
            return pointers, torch.zeros_like(pointers)
        sines = sine_time(memory.offsets / self.config.pointer_reach, self.config.width)
        return pointers, self.pointer_time(sines.to(self.dtype)).repeat_interleave(pieces, dim=1)

    def _decode(
        self, features: ImageFeatures, embedding: Tensor, prompts: PromptBatch, *, multimask: bool
    ) -> Decoded:
        sparse, dense = self.prompt_encoder(prompts)
        dense = (embedding + dense).expand(len(sparse), -1, -1, -1)
        height, width = embedding.shape[2:]
        places = self.prompt_encoder.position.grid(height, width).to(self.dtype)
        out: Decoded = self.mask_decoder(
            dense, features.fine, features.middle, sparse, places, multimask=multimask
        )
        return out

    def _gate_pointers(self, pointers: Tensor, present: Tensor) -> Tensor:
        return torch.where(present[..., None], pointers, self.absent_pointer)

    def _no_prompts(self, batch: int) -> PromptBatch:
        points = torch.zeros(batch, 1, 2, device=self.device)
        return PromptBatch(points, torch.full((batch, 1), PADDING, device=self.device))


def _resized(maps: Tensor, side: int) -> Tensor:
    """Maps (B, C, s, s) brought to another side; as they are where they have it."""
    if maps.shape[-1] == side:
        return maps
    size = (side, side)
    resized = F.interpolate(maps.float(), size=size, mode="bilinear", align_corners=False, antialias=True)
    return resized.to(maps.dtype)


def _prompted(memory: MemoryBatch) -> int:
    """How many frames were prompted, as many for all objects; they come first."""
    return int((memory.ages[0] == 0).sum())


def _latest(memory: MemoryBatch, count: int) -> MemoryBatch:
    """The maps of prompted frames and of the latest `count` others; all for 0."""
    frames = memory.maps.shape[1]
    if not count or frames <= count:
        return memory
    prompted = _prompted(memory)
    if frames - prompted <= count:
        return memory
    kept = [*range(prompted), *range(frames - count, frames)]
    scales = memory.map_scales
    return memory._replace(
        maps=memory.maps[:, kept],
        ages=memory.ages[:, kept],
        map_scales=None if scales is None else scales[:, kept],
    )


def _scaled(keys: Tensor, scales: Tensor | None) -> Tensor:
    """Keys (B, things, tokens, D) times their things' factors (B, things)."""
    return keys if scales is None else keys * scales[..., None, None].to(keys.dtype)


_TINY = HieraConfig()
_SMALL = HieraConfig(stages=(1, 2, 11, 2), global_blocks=(7, 10, 13))
_BASE_PLUS = HieraConfig(
    width=112, heads=2, stages=(2, 3, 16, 3), global_blocks=(12, 16, 20), background=(14, 14)
)
_LARGE = HieraConfig(
    width=144, heads=2, stages=(2, 6, 36, 4), global_blocks=(23, 33, 43), windows=(8, 4, 16, 8)
)
_SIZES = {"tiny": _TINY, "small": _SMALL, "base_plus": _BASE_PLUS, "large": _LARGE}

VARIANTS: dict[str, Sam2Config] = {
    f"sam2.1_hiera_{size}": Sam2Config(encoder=encoder) for size, encoder in _SIZES.items()
}
VARIANTS |= {
    name.replace("sam2.1", "sam2"): replace(config, pointer_time=False, absence_in_memory=False)
    for name, config in VARIANTS.items()
}
VARIANTS["sam3"] = Sam2Config(
    encoder=VitConfig(), image_size=1008, mean=SAM3_CENTRE, std=SAM3_CENTRE, max_conditioning=4
)
