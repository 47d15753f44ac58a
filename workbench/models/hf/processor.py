"""The processor of a transformers folder: images only, on PIL, so that it needs no torchvision."""

from __future__ import annotations

import importlib
import json
import sys
from functools import cache
from pathlib import Path
from typing import Any

from workbench.errors import Refusal
from workbench.models.hf.errors import tokenizer_lacks, told
from workbench.models.hf.image_processors import register


def read_processor(folder: Path, *, trusted: bool = False) -> Any:
    """The folder's processor. Raises Refusal where it cannot be read.

    Where it would also handle videos, that part is left out: it has no version without torchvision. trusted:
    code of its own may be run.
    """
    from transformers import AutoProcessor

    register()
    try:
        kind = _processor_class(folder)
        reader = AutoProcessor if kind is None else kind
        return reader.from_pretrained(folder, backend="pil", local_files_only=True, trust_remote_code=trusted)
    except Exception as error:
        # Missing files, unknown names and half-read JSON all end here, in as many kinds.
        if "trust_remote_code" in str(error):
            raise Refusal(
                f"The processor of {folder.name} needs Python code of its own, which comes with the weights "
                "and is not run. Take a version that transformers knows itself, or, if you trust it, start "
                "the workbench with --trust-remote-code."
            ) from None
        why = tokenizer_lacks(folder) or told(error)
        raise Refusal(f"The processor in {folder} cannot be read: {why}") from None


def _processor_class(folder: Path) -> Any:
    """The class that the folder names, where transformers would not read it without torchvision."""
    import inspect

    import transformers

    for name in ("processor_config.json", "preprocessor_config.json", "tokenizer_config.json"):
        path = folder / name
        if not path.is_file():
            continue
        named = json.loads(path.read_text(encoding="utf-8")).get("processor_class")
        if named == "PixtralProcessor":
            return pixtral_processor()
        kind = getattr(transformers, named, None) if named else None
        if kind is not None:
            takes = inspect.signature(kind.__init__).parameters
            return image_only(kind) if "video_processor" in takes else None
    return None


def image_only(kind: Any) -> Any:
    """The class without a video processor, which transformers then does not look for; all else as it was."""
    from transformers import ProcessorMixin

    module: Any = sys.modules[kind.__module__]
    if getattr(module, "num2words", kind) is None:
        # SmolVLM's asks for the package num2words, with which it would count the frames of a video.
        module.num2words = str

    class Named(ProcessorMixin):
        def __init__(self, *parts: Any, **more: Any) -> None:
            # Where the class hands on its parts in order, the missing one would take another's place.
            more.pop("video_processor", None)
            super().__init__(*(part for part in parts if part is not None), **more)

    class ImageOnly(kind, Named):
        # Some classes read settings off it that their image processor has as well.
        video_processor = property(lambda self: self.image_processor)

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


@cache
def pixtral_processor() -> Any:
    """The class PixtralProcessor.

    Its file takes one function from that of the image processor for torchvision; the one for PIL has it too.
    """
    folder = "transformers.models.pixtral"
    on_torchvision = f"{folder}.image_processing_pixtral"
    pil = importlib.import_module(f"{folder}.image_processing_pil_pixtral")
    before = sys.modules.get(on_torchvision)
    sys.modules[on_torchvision] = before or pil
    try:
        return importlib.import_module(f"{folder}.processing_pixtral").PixtralProcessor
    finally:
        if before is None:
            del sys.modules[on_torchvision]


def once_begun(processor: Any, text: str) -> dict[str, bool]:
    """What to tell the processor so that the text gets one first token: a template may have written it."""
    begins = processor.tokenizer.bos_token
    return {"add_special_tokens": False} if begins and text.startswith(begins) else {}
