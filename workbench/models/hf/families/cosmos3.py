"""Cosmos 3: its positions need to know which tokens are visual; its processor tells when it is asked."""

from __future__ import annotations

from typing import Any, ClassVar

from workbench.models.hf.family import Family


class Cosmos3(Family):
    """Patches at the image's own resolution."""

    model_types: ClassVar[tuple[str, ...]] = ("cosmos3_edge",)

    def __init__(self, network: Any, processor: Any) -> None:
        super().__init__(network, processor)
        processor.return_mm_token_type_ids = True
