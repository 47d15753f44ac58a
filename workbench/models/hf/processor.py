"""The processor of a transformers folder: images only, on PIL, so that it needs no torchvision."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from workbench.errors import Refusal
from workbench.models.hf.image_processors import register


def read_processor(folder: Path) -> Any:
    """The folder's processor. Raises Refusal where it cannot be read.

    Where it would also handle videos, that part is left out: it has no version without torchvision.
    """
    from transformers import AutoProcessor

    register()
    try:
        kind = _processor_class(folder)
        reader = AutoProcessor if kind is None else image_only(kind)
        return reader.from_pretrained(folder, backend="pil", local_files_only=True, trust_remote_code=False)
    except Exception as error:
        # Missing files, unknown names and half-read JSON all end here, in as many kinds.
        raise Refusal(
            f"The processor in {folder} cannot be read: {str(error).strip().partition(chr(10))[0]}"
        ) from None


def _processor_class(folder: Path) -> Any:
    """The class that the folder names, where it takes a video processor; None where it takes none."""
    import inspect

    import transformers

    for name in ("processor_config.json", "preprocessor_config.json", "tokenizer_config.json"):
        path = folder / name
        if not path.is_file():
            continue
        named = json.loads(path.read_text(encoding="utf-8")).get("processor_class")
        kind = getattr(transformers, named, None) if named else None
        if kind is not None:
            takes = inspect.signature(kind.__init__).parameters
            return kind if "video_processor" in takes else None
    return None


def image_only(kind: Any) -> Any:
    """The class without a video processor, which transformers then does not look for; all else as it was."""
    module: Any = sys.modules[kind.__module__]
    if getattr(module, "num2words", kind) is None:
        # SmolVLM's asks for the package num2words, with which it would count the frames of a video.
        module.num2words = str

    class ImageOnly(kind):
        @classmethod
        def get_attributes(cls) -> list[str]:
            return [name for name in super().get_attributes() if name != "video_processor"]

        @classmethod
        def from_args_and_dict(cls, args: Any, processor_dict: dict[str, Any], **more: Any) -> Any:
            # By name, since without the video processor the parts no longer stand in the signature's order.
            parts = dict(zip(cls.get_attributes(), args, strict=True)) | {"video_processor": None}
            return super().from_args_and_dict([], processor_dict, **more, **parts)

    ImageOnly.__name__ = kind.__name__
    return ImageOnly
