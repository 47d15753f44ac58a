"""The numbers that shape a BAGEL checkpoint, read from the files of its folder.

`llm_config.json` and `vit_config.json` are those of the published checkpoint. What the published code
hard-codes (the autoencoder's shape, the resize rules, table sizes) stands here as defaults; a folder may
change it in `bagel_config.json`, which published folders do not have.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, TypeVar

from workbench.errors import Refusal

T = TypeVar("T")


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


def _pick(kind: type[T], values: dict[str, Any]) -> T:
    names = {f.name for f in fields(kind)}  # type: ignore[arg-type]
    return kind(**{k: tuple(v) if isinstance(v, list) else v for k, v in values.items() if k in names})


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object from `path`; raises Refusal with the reason where it is missing or not JSON."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise Refusal(f"{path.name} is missing from {path.parent}. A BAGEL folder needs it.") from None
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise Refusal(f"{path} cannot be read as JSON ({error}). Fetch the file again.") from None
    if not isinstance(values, dict):
        raise Refusal(f"{path} holds no JSON object. Fetch the file again.")
    return values


def read_config(folder: Path) -> BagelConfig:
    """The configuration of a BAGEL folder; raises Refusal where a file is missing or unusable."""
    language_file = read_json(folder / "llm_config.json")
    if isinstance(rope := language_file.get("rope_parameters"), dict):
        language_file.setdefault("rope_theta", rope.get("rope_theta", 1e6))
    extra = read_json(folder / "bagel_config.json") if (folder / "bagel_config.json").exists() else {}
    try:
        language = _pick(LanguageConfig, language_file)
        vision = _pick(VisionConfig, read_json(folder / "vit_config.json"))
        nested = {
            "language": language,
            "vision": vision,
            "autoencoder": _pick(AutoencoderConfig, extra.pop("autoencoder", {})),
        }
        for name in ("vit_resize", "vae_resize"):
            if name in extra:
                nested[name] = ResizeRule(**extra.pop(name))
        config = BagelConfig(**nested, **extra)
    except TypeError as error:
        raise Refusal(f"The configuration in {folder} has a field this program does not know: {error}.") from None
    if config.language.hidden_size % config.language.num_attention_heads:
        raise Refusal(
            f"llm_config.json in {folder}: hidden_size {config.language.hidden_size} is not a multiple of "
            f"num_attention_heads {config.language.num_attention_heads}."
        )
    return config


def write_config(config: BagelConfig, folder: Path) -> None:
    """Write the three configuration files that `read_config` reads."""
    language = asdict(config.language) | {"model_type": "qwen2", "hidden_act": "silu", "tie_word_embeddings": False}
    vision = asdict(config.vision) | {"model_type": "siglip_vision_model", "hidden_act": "gelu_pytorch_tanh"}
    extra = {k: v for k, v in asdict(config).items() if k not in ("language", "vision")}
    for name, values in (("llm_config", language), ("vit_config", vision), ("bagel_config", extra)):
        (folder / f"{name}.json").write_text(json.dumps(values, indent=1) + "\n", encoding="utf-8")
