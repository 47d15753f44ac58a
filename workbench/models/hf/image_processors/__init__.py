"""Image processors that transformers has for torchvision only, on PIL and numpy."""

from __future__ import annotations

from functools import cache
from typing import Any

from workbench.errors import Refusal

OURS = ("cohere2_vision", "lfm2_vl", "llama4")
"""The model types they are for."""


@cache
def register() -> None:
    """Make transformers find them, under the names that published folders give."""
    from transformers import AutoImageProcessor, Cohere2VisionConfig, Lfm2VlConfig, Llama4Config
    from transformers.utils import is_torchvision_available

    from workbench.models.hf.image_processors.cohere2_vision import Cohere2VisionImageProcessor
    from workbench.models.hf.image_processors.lfm2_vl import Lfm2VlImageProcessor
    from workbench.models.hf.image_processors.llama4 import Llama4ImageProcessor

    # Where torchvision is missing, transformers would take its placeholder for a class.
    absent = {} if is_torchvision_available() else {"torchvision": None}
    for config, kind in (
        (Cohere2VisionConfig, Cohere2VisionImageProcessor),
        (Lfm2VlConfig, Lfm2VlImageProcessor),
        (Llama4Config, Llama4ImageProcessor),
    ):
        AutoImageProcessor.register(config, image_processor_classes={"pil": kind, **absent}, exist_ok=True)


def demand_backend(config: Any) -> None:
    """Raise Refusal where torchvision alone reads images for models of this type, and it is not there."""
    from transformers.models.auto.image_processing_auto import IMAGE_PROCESSOR_MAPPING_NAMES
    from transformers.utils import is_torchvision_available

    known = IMAGE_PROCESSOR_MAPPING_NAMES.get(config.model_type)
    if not known or "pil" in known or config.model_type in OURS or is_torchvision_available():
        return
    raise Refusal(
        f"transformers reads the images of {config.model_type} models with the package torchvision alone, "
        "which is not installed. Install the build of it that goes with the installed torch."
    )
