"""The numbers that shape a BAGEL checkpoint, read from the files of its folder.

`llm_config.json` and `vit_config.json` are those of the published checkpoint. What the published code
hard-codes (the autoencoder's shape, the resize rules, table sizes) stands here as defaults; a folder may
change it in `bagel_config.json`, which published folders do not have.

Weights without a configuration of their own, opened over a BAGEL folder, are read as CLEAR's are unless a
person says that they are BAGEL's: `CLEAR` says what CLEAR's public code sets otherwise than BAGEL's. A
`bagel_config.json` beside such weights has the last word.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import MISSING, asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

from workbench.errors import Refusal

T = TypeVar("T")

EXTRA = "bagel_config.json"
OWN_LICENCE = "the weights' own; BAGEL's is Apache-2.0"
CLEAR: dict[str, Any] = {
    "vit_resize": {"longest": 518, "shortest": 224, "stride": 14},
    "usable_vocabulary": 151665,
    "licence": OWN_LICENCE,
}
"""Fields of `EXTRA` as CLEAR has them; its latent rule is BAGEL's (1024, 512, 16)."""


@dataclass(frozen=True)
class LanguageConfig:
    """Dimensions of the Qwen2 mixture-of-transformers (defaults: BAGEL-7B-MoT)."""

    hidden_size: int = 3584
    num_hidden_layers: int = 28
    num_attention_heads: int = 28
    num_key_value_heads: int = 4
    intermediate_size: int = 18944
    vocab_size: int = 152064
    rms_norm_eps: float = 1e-6
    rope_theta: float = 1e6

    @property
    def head_dim(self) -> int:
        """Numbers in one attention head."""
        return self.hidden_size // self.num_attention_heads


@dataclass(frozen=True)
class VisionConfig:
    """Dimensions of the SigLIP NaViT tower. The file counts one layer more than BAGEL uses."""

    hidden_size: int = 1152
    num_hidden_layers: int = 27
    num_attention_heads: int = 16
    intermediate_size: int = 4304
    image_size: int = 980
    patch_size: int = 14
    num_channels: int = 3
    layer_norm_eps: float = 1e-6

    @property
    def used_layers(self) -> int:
        """Blocks in BAGEL's tower."""
        return self.num_hidden_layers - 1

    @property
    def side(self) -> int:
        """Patches along one side of the position table."""
        return self.image_size // self.patch_size


@dataclass(frozen=True)
class AutoencoderConfig:
    """Shape of the FLUX autoencoder; latent = scale · (mean − shift)."""

    ch: int = 128
    ch_mult: tuple[int, ...] = (1, 2, 4, 4)
    num_res_blocks: int = 2
    z_channels: int = 16
    norm_groups: int = 32
    scale: float = 0.3611
    shift: float = 0.1159

    @property
    def downsample(self) -> int:
        """Pixels along one side of a latent position."""
        return 2 ** (len(self.ch_mult) - 1)


@dataclass(frozen=True)
class ResizeRule:
    """How an image is sized before patches are cut: bounds of the sides and the stride, in pixels."""

    longest: int
    shortest: int
    stride: int


@dataclass(frozen=True)
class BagelConfig:
    """Everything needed to build a BAGEL network and to prepare its inputs."""

    language: LanguageConfig = field(default_factory=LanguageConfig)
    vision: VisionConfig = field(default_factory=VisionConfig)
    autoencoder: AutoencoderConfig = field(default_factory=AutoencoderConfig)
    latent_patch: int = 2
    latent_side: int = 64
    vit_resize: ResizeRule = ResizeRule(980, 224, 14)
    vae_resize: ResizeRule = ResizeRule(1024, 512, 16)
    usable_vocabulary: int | None = None
    licence: str = "Apache-2.0"
    knows: str = ""
    system_prompt: str = ""

    @property
    def latent_dim(self) -> int:
        """Numbers in one latent token."""
        return self.latent_patch**2 * self.autoencoder.z_channels

    @property
    def pixels_per_latent(self) -> int:
        """Pixels of the image along one side of a latent token."""
        return self.latent_patch * self.autoencoder.downsample


MOST = 10_000_000
"""No dimension in a configuration is larger: a damaged number shall not build a network for hours."""
MOST_LAYERS = 1000
MAY_BE_ANY = ("shift",)
"""Real numbers that need not be positive."""


def _problem(name: str, value: Any, kind: Any) -> str:
    """What is wrong with a value of a configuration field, in words; empty where nothing is."""
    if kind is str:
        return "" if isinstance(value, str) else "should be text"
    if kind is float:
        number = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
        if not number or not (value > 0 or name in MAY_BE_ANY):
            return "should be a number" + ("" if name in MAY_BE_ANY else " above 0")
        return ""
    if kind == tuple[int, ...]:
        parts = value if isinstance(value, list) and value else [None]
        return "should be a list of whole numbers" if any(_problem(name, part, int) for part in parts) else ""
    if value is None and kind == int | None:
        return ""
    most = MOST_LAYERS if name == "num_hidden_layers" else MOST
    whole = isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= most
    return "" if whole else f"should be a whole number from 1 to {most:,}"


def _build(kind: type[T], values: Any, source: str, *, strict: bool, **known: Any) -> T:
    """A configuration object of `kind` from a JSON object, each value of its type and range.

    `known`: fields that are ready; `strict`: a field that `kind` does not have is refused, not passed over.
    """
    if not isinstance(values, dict):
        raise Refusal(f"{source} should be a JSON object. Fetch the file again.")
    kinds = get_type_hints(kind)
    own = {f.name: f for f in fields(kind)}  # type: ignore[arg-type]
    if strict and (strange := sorted(values.keys() - own.keys())):
        raise Refusal(f"{source} has {', '.join(strange)}, which this version does not know. Remove it.")
    given = {name: values[name] for name in own if name in values and name not in known}
    for name, value in given.items():
        if trouble := _problem(name, value, kinds[name]):
            raise Refusal(
                f"{source}: {name} is {json.dumps(value)}, it {trouble}. Mend it or fetch the file again."
            )
    needed = [f.name for f in own.values() if f.default is MISSING and f.default_factory is MISSING]
    if absent := [name for name in needed if name not in given and name not in known]:
        raise Refusal(f"{source} lacks {', '.join(absent)}. Fetch the file again.")
    return kind(**{name: tuple(v) if isinstance(v, list) else v for name, v in given.items()}, **known)


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object from `path`; raises Refusal with the reason where it is missing or not JSON."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise Refusal(
            f"{path.name} is missing from {path.parent}. A BAGEL folder needs it: fetch it."
        ) from None
    except (OSError, ValueError, RecursionError) as error:
        raise Refusal(f"{path} cannot be read as JSON ({error}). Fetch the file again.") from None
    if not isinstance(values, dict):
        raise Refusal(f"{path} holds no JSON object. Fetch the file again.")
    return values


def read_config(folder: Path, weights: Path | None = None, *, as_clear: bool | None = None) -> BagelConfig:
    """The configuration of a BAGEL folder; raises Refusal where a file is missing or unusable.

    `weights`: another folder, of weights that are read with this one's configuration. `as_clear`: whether
    with CLEAR's settings, too; None: where there are such weights.
    """
    clear = CLEAR if (weights is not None if as_clear is None else as_clear) else {}
    language = read_json(folder / "llm_config.json")
    if isinstance(rope := language.get("rope_parameters"), dict) and "rope_theta" in rope:
        language.setdefault("rope_theta", rope["rope_theta"])
    vision = read_json(folder / "vit_config.json")
    own = _extra(weights) if weights is not None else {}
    extra = _extra(folder) | ({"licence": OWN_LICENCE} if weights is not None else {}) | clear | own
    nested: dict[str, Any] = {
        "language": _build(LanguageConfig, language, f"{folder}/llm_config.json", strict=False),
        "vision": _build(VisionConfig, vision, f"{folder}/vit_config.json", strict=False),
    }
    for name, kind in (
        ("autoencoder", AutoencoderConfig),
        ("vit_resize", ResizeRule),
        ("vae_resize", ResizeRule),
    ):
        if name in extra:
            nested[name] = _build(kind, extra.pop(name), f"{folder}/{EXTRA}: {name}", strict=True)
    config = _build(BagelConfig, extra, f"{folder}/{EXTRA}", strict=True, **nested)
    if problems := list(_contradictions(config)):
        set_by_clear = [name for name in clear if name not in own]
        if theirs := [problem for problem in problems if problem.startswith(tuple(set_by_clear))]:
            raise Refusal(
                f"{folder} has not the shape of BAGEL-7B-MoT, over which CLEAR is read: "
                f"CLEAR's settings do not fit it ({'; '.join(theirs)}). Give BAGEL-7B-MoT as base, read the "
                f"weights as BAGEL's, or put settings of their own into {EXTRA} beside them."
            )
        if not (folder / EXTRA).exists():
            raise Refusal(
                f"{EXTRA} is missing from {folder}, and the settings of BAGEL-7B-MoT, which hold without it, "
                f"do not fit: {'; '.join(problems)}. Fetch it: a model of another shape needs it."
            )
        raise Refusal(
            f"The configuration in {folder} contradicts itself: {'; '.join(problems)}. Fetch it again."
        )
    return config


def _extra(folder: Path) -> dict[str, Any]:
    return read_json(folder / EXTRA) if (folder / EXTRA).exists() else {}


def _contradictions(config: BagelConfig) -> Iterator[str]:
    """Numbers that do not fit one another, in words."""
    language, vision, pixels = config.language, config.vision, config.autoencoder

    def divides(part: int, whole: int, words: str) -> Iterator[str]:
        if whole % part:
            yield f"{words}: {whole} is not a multiple of {part}"

    yield from divides(language.num_attention_heads, language.hidden_size, "llm hidden_size over its heads")
    yield from divides(
        language.num_key_value_heads, language.num_attention_heads, "llm heads over key-value heads"
    )
    yield from divides(2, language.head_dim, "llm numbers in a head, for rotary positions")
    yield from divides(4, language.hidden_size, "llm hidden_size, for position tables")
    yield from divides(vision.num_attention_heads, vision.hidden_size, "vit hidden_size over its heads")
    yield from divides(vision.patch_size, vision.image_size, "vit image_size over patch_size")
    yield from divides(vision.patch_size, config.vit_resize.stride, "vit_resize stride over patch_size")
    yield from divides(
        config.pixels_per_latent, config.vae_resize.stride, "vae_resize stride over a latent token"
    )
    for multiple in {1, *pixels.ch_mult}:
        yield from divides(pixels.norm_groups, pixels.ch * multiple, "autoencoder channels over norm_groups")
    for name, rule, side in (
        ("vit_resize", config.vit_resize, vision.image_size),
        ("vae_resize", config.vae_resize, config.latent_side * config.pixels_per_latent),
    ):
        yield from divides(rule.stride, rule.longest, f"{name} longest over its stride")
        if not rule.shortest <= rule.longest <= side:
            bounds = f"{rule.shortest} to {rule.longest}"
            yield f"{name}: sides of {bounds} do not fit its position table of {side} pixels"
    if vision.num_channels != 3:
        yield f"vit num_channels is {vision.num_channels}, images have 3"
    if vision.num_hidden_layers < 2:
        yield "vit num_hidden_layers counts one layer more than is used, so it is at least 2"
    if (config.usable_vocabulary or 0) > language.vocab_size:
        words = f"{config.usable_vocabulary} is above the llm's vocab_size {language.vocab_size}"
        yield f"usable_vocabulary {words}"


def config_files(folder: Path) -> list[Path]:
    """The files that `read_config` reads from a folder, in a fixed order."""
    return [
        path for name in ("llm_config.json", "vit_config.json", EXTRA) if (path := folder / name).is_file()
    ]


def write_config(config: BagelConfig, folder: Path) -> None:
    """Write the three configuration files that `read_config` reads."""
    language = asdict(config.language) | {
        "model_type": "qwen2",
        "hidden_act": "silu",
        "tie_word_embeddings": False,
    }
    vision = asdict(config.vision) | {"model_type": "siglip_vision_model", "hidden_act": "gelu_pytorch_tanh"}
    extra = {k: v for k, v in asdict(config).items() if k not in ("language", "vision")}
    for name, values in (("llm_config.json", language), ("vit_config.json", vision), (EXTRA, extra)):
        (folder / name).write_text(json.dumps(values, indent=1) + "\n", encoding="utf-8")
