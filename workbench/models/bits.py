"""What 8 and 4 bits and fast kernels need of this machine, and which weights the bits make smaller.

bitsandbytes replaces linear layers. As is customary, heads and embeddings stay as they are, and so do norms
and convolutions, which are no linear layers. transformers replaces those of the vision tower, too; of BAGEL
and CLEAR only the language layers are replaced (`bagel/quantise.py`).
"""

from __future__ import annotations

import re
from importlib.util import find_spec
from typing import TYPE_CHECKING

from workbench.errors import Refusal

if TYPE_CHECKING:
    import torch

LANGUAGE_LAYERS = re.compile(r"language_model\.model\.layers\.\d+\..+_proj(_moe_gen)?\.weight")
"""Weights of the linear layers in BAGEL's language layers."""
KEPT = re.compile(r"embed|lm_head|wte")
"""In names of weights that transformers leaves as they are."""
FLASH = {"flash_attention_2": "flash_attn", "flash_attention_3": "flash_attn_interface"}
"""The package of each kernel."""
NF4 = "nf4"
"""How 4 bits are spread: by the quantiles of a normal distribution (QLoRA, arXiv 2305.14314)."""


def in_bagel(name: str) -> bool:
    """Whether the matrix of that name is quantised in a checkpoint of BAGEL's layout."""
    return LANGUAGE_LAYERS.fullmatch(name) is not None


def in_transformers(name: str) -> bool:
    """Whether the matrix of that name is quantised in a checkpoint of transformers' layout."""
    return name.endswith(".weight") and KEPT.search(name) is None


def devices_of_bits() -> list[str]:
    """The kinds of devices that the installed bitsandbytes computes on; older ones knew CUDA alone."""
    import bitsandbytes

    return sorted(set(getattr(bitsandbytes, "supported_torch_devices", ())) & {"cpu", "cuda", "xpu"}) or [
        "cuda"
    ]


def demand_bits(quantised: str, device: torch.device, packages: tuple[str, ...] = ("bitsandbytes",)) -> None:
    """Raise Refusal where weights cannot be quantised here, with what is lacking."""
    if not quantised:
        return
    lacking = [f"the package {name}" for name in packages if not find_spec(name)]
    if not lacking and device.type not in (served := devices_of_bits()):
        lacking.append(f"a device that bitsandbytes computes on, {' or '.join(served)} (this is {device})")
    if lacking:
        raise Refusal(
            f"{quantised} needs {' and '.join(lacking)}. Open it without quantisation, or provide that."
        )


def demand_kernel(attention: str, device: torch.device, dtype: str = "auto") -> None:
    """Raise Refusal where an attention kernel cannot run here, with what is lacking."""
    if attention not in FLASH:
        return
    if dtype == "float32":
        raise Refusal(f"{attention} computes in 16 bits only. Take bfloat16, or sdpa.")
    if device.type != "cuda":
        raise Refusal(f"{attention} runs on a CUDA device only; this is {device}. Take sdpa.")
    if not find_spec(FLASH[attention]) and not find_spec("kernels"):
        raise Refusal(f"{attention} needs the package {FLASH[attention]}. Install it, or take sdpa.")
