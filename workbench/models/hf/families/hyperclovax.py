"""HyperCLOVA X: the tower of Qwen2.5-VL before a language model that multiplies its logits."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor

from workbench.models.hf.families.qwen_windows import QwenWindows


class HyperCLOVAX(QwenWindows):
    """Where Granite divides by the configuration's logits_scaling, this one multiplies."""

    model_types = ("hyperclovax_vision_v2",)
    scales_logits: ClassVar[bool] = False

    def readout(self, states: Tensor) -> Tensor:
        """As by convention, times the scale."""
        scale: float = self.config.get_text_config().logits_scaling
        return super().readout(states) * scale
