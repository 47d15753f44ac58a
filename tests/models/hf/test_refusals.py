"""What is not known is said, never guessed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from tests.models.hf.builders import saved
from workbench.errors import Refusal
from workbench.models.hf.load import load


def test_crops_of_an_unknown_kind_are_refused_though_they_would_make_a_grid(tmp_path: Path) -> None:
    path = saved("gemma3", tmp_path)
    model = load(path, name="gemma3", device=torch.device("cpu"), dtype=torch.float32)
    model.processor.images_kwargs = {
        "do_pan_and_scan": True,
        "pan_and_scan_min_crop_size": 16,
        "pan_and_scan_max_num_crops": 3,
        "pan_and_scan_min_ratio_to_activate": 1.2,
    }
    with pytest.raises(Refusal, match="makes 4 pictures of 1"):
        model.prepare([np.zeros((64, 200, 3), np.uint8)], "what?")
