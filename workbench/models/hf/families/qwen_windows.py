"""Qwen2.5-VL and those with its tower: it sorts patches into windows of attention."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor

from workbench.models.hf.family import Family, Inputs, Size
from workbench.models.protocol import Prompt, Stage, Tap, View


class QwenWindows(Family):
    """Blocks and merger see patches in the order of the windows; the language model gets them sorted."""

    model_types: ClassVar[tuple[str, ...]] = ("qwen2_5_vl", "exaone4_5", "qwen2_5_omni_thinker")

    def _windows(self, inputs: Inputs) -> Tensor:
        """For each merged token of the first image, in the tower's order, its place row by row."""
        from transformers.models.qwen2_5_vl.modeling_qwen2_5_vl import get_vision_window_index

        tower: Any = self.parts.tower
        index, _ = get_vision_window_index(
            inputs["image_grid_thw"][:1],
            spatial_merge_size=tower.spatial_merge_size,
            window_size=tower.window_size,
            patch_size=tower.patch_size,
            kwargs={},
        )
        return torch.as_tensor(index).cpu()

    def tower_view(self, inputs: Inputs, sizes: Sequence[Size]) -> View | None:
        """As by convention, in the order of the windows."""
        view = super().tower_view(inputs, sizes)
        if view is None:
            return None
        group = self.merged**2
        moved = torch.argsort(self._windows(inputs))
        return View(view.grid, moved[view.positions // group] * group + view.positions % group)

    def projected(self, stage: Stage, prompt: Prompt) -> Tap:
        """The merger's tokens, sorted back."""
        places = torch.argsort(self._windows(prompt.inputs))[: len(prompt.visual)]
        assert self.parts.projector is not None
        return Tap(stage, self.parts.projector, places, grid=prompt.grid)
