"""Tokens: an image as a model's tokeniser writes it, what that reads back, and which codes it takes."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.errors import Refusal, go_on
from workbench.images import fidelity
from workbench.models.drawing import Tokenised
from workbench.models.protocol import Capability, Model, never
from workbench.panels.needs import missing
from workbench.panels.specimen import CLEAN, degrade, known
from workbench.panels.tokens.config import TokensConfig

if TYPE_CHECKING:
    from workbench.images.read import Picture
    from workbench.runs.result import Result

STUDY = "tokens"
NEEDS = frozenset({Capability.TOKENISES})


def prepared(config: TokensConfig, picture: Picture | None = None) -> Picture:
    """The picture of a look; what needs no model is refused here. Raises Refusal."""
    known(config.corruption)
    if picture is None:
        from workbench.panels.specimen import find

        picture = find(config.image).picture
    return picture


def run(
    config: TokensConfig,
    model: Model,
    *,
    picture: Picture | None = None,
    progress: Callable[[float, str], None] = lambda fraction, text: None,
    stop: Callable[[], bool] = never,
) -> Result:
    """The tokens of the image as the model gets it; of a degraded one also what the damage changed.

    The result holds the tables "summary" (measure, value, unit) and "codes" (code, count, the most used
    first), the arrays "tokens" and, of a degraded image, "undamaged", int64 (rows, cols), "inside", bool of
    that shape: which tokens are not all padding; and the images "seen" and, where the model has a decoder,
    "decoded".

    Raises Refusal on bad input and Cancelled once ``stop`` says so.
    """
    if reason := missing(model.card, NEEDS):
        raise Refusal(reason)
    import pandas as pd

    from workbench.runs.manifest import manifest
    from workbench.runs.result import Result

    started = time.time()
    picture = prepared(config, picture)
    progress(0.0, "writing the image as tokens")
    go_on(stop)
    written = model.tokenised(degrade(picture.pixels, config.corruption, config.intensity, config.seed))
    undamaged = None
    if config.corruption != CLEAN:
        go_on(stop)
        progress(0.5, "and the undamaged one")
        undamaged = model.tokenised(picture.pixels)
    go_on(stop)
    inside = not_padding(written)
    numbers, counts = measures(written, undamaged, inside), counted(written.tokens[inside])
    arrays: dict[str, np.ndarray] = {"tokens": written.tokens, "inside": inside}
    images = {"seen": written.seen}
    if undamaged is not None:
        arrays["undamaged"] = undamaged.tokens
    if written.decoded is not None:
        images["decoded"] = written.decoded
    progress(1.0, "done")
    values: dict[str, Any] = config.model_dump(mode="json")
    return Result(
        study=STUDY,
        config=values,
        manifest=manifest(model.card, values, config.seed, {"original": picture}, started),
        tables={
            "summary": pd.DataFrame(numbers, columns=["measure", "value", "unit"]),
            "codes": pd.DataFrame({"code": counts[0], "count": counts[1]}),
        },
        arrays=arrays,
        images=images,
    )


def not_padding(written: Tokenised) -> np.ndarray:
    """Which tokens' cells have their middle inside the image: bool (rows, cols)."""
    rows, cols = written.tokens.shape
    height, width = written.seen.shape[:2]
    top, left, bottom, right = written.inside
    y = (np.arange(rows) + 0.5) * height / rows
    x = (np.arange(cols) + 0.5) * width / cols
    down, across = (y >= top) & (y < bottom), (x >= left) & (x < right)
    found: np.ndarray = down[:, None] & across[None, :]
    return found


def counted(tokens: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The codes among the tokens and how often each stands there, the most used first."""
    codes, counts = np.unique(tokens, return_counts=True)
    order = np.argsort(-counts, kind="stable")
    return codes[order], counts[order]


def perplexity(counts: np.ndarray) -> float:
    """The exponential of the entropy of how codes are used: so many equally used ones are as even."""
    share = counts / counts.sum()
    return float(math.exp(-(share * np.log(share)).sum()))


def measures(
    written: Tokenised, undamaged: Tokenised | None, inside: np.ndarray
) -> list[tuple[str, float, str]]:
    """Name, value and unit of what is said of all tokens together; padding is left out."""
    counts = counted(written.tokens[inside])[1]
    found: list[tuple[str, float, str]] = [
        ("tokens", float(inside.sum()), ""),
        ("codes in the codebook", float(written.codes), ""),
        ("different codes used", float(len(counts)), ""),
        ("share of the codebook used", 100 * len(counts) / written.codes, "%"),
        ("perplexity of code use", perplexity(counts), "codes"),
        ("bits for the image", float(inside.sum()) * math.log2(written.codes), "bit"),
    ]
    if written.decoded is not None:
        top, left, bottom, right = written.inside
        seen, decoded = (image[top:bottom, left:right] for image in (written.seen, written.decoded))
        found.insert(0, ("PSNR of what is read back", float(fidelity.psnr(decoded, seen)), "dB"))
    if undamaged is not None:
        changed = 100 * float((written.tokens != undamaged.tokens)[inside].mean())
        found.append(("tokens changed by the damage", changed, "%"))
    return found
