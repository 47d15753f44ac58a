"""What the bench writes about the model and the image, as HTML."""

from __future__ import annotations

from html import escape

import numpy as np

from workbench.models.protocol import ModelCard
from workbench.page import markup
from workbench.panels.specimen import Specimen, degrade

PICTURE = 192
SMALL = 96


def model(card: ModelCard) -> str:
    """The open model in two lines."""
    size = f"{card.parameters / 1e6:.1f} M" if card.parameters < 1e9 else f"{card.parameters / 1e9:.1f} B"
    precision = card.dtype.removeprefix("torch.").replace("float", "fp")
    facts = f"{size} parameters · {precision} · {escape(card.device)}"
    return f'<div class="aft"><b>{escape(card.id)}</b><p class="quiet num">{facts}</p></div>'


def details(card: ModelCard) -> str:
    """The rest of the card: what it can do, what it knows, which weights these are."""
    can = ", ".join(sorted(str(capability) for capability in card.capabilities))
    layers = f"{card.vision_layers} vision and {card.llm_layers} language layers, width {card.width:,}"
    rows = [
        ("can", can),
        ("knows", card.knows),
        ("built as", f"{card.family}, {layers}"),
        ("attention", card.attention),
        ("weights", card.revision),
        ("licence", card.licence),
        *card.choices.items(),
    ]
    body = "".join(f"<dt>{escape(name)}</dt><dd>{escape(words)}</dd>" for name, words in rows if words)
    return f'<dl class="aft facts">{body}</dl>'


def opening(name: str, words: str = "Opening the checkpoint", share: float | None = None) -> str:
    """While a checkpoint is being read: what is being done and, where it can be told, how much of it is."""
    return f'<div class="aft"><b>{escape(name)}</b></div>{markup.status(words, share)}'


def none() -> str:
    """Where no model is open."""
    return (
        '<div class="aft"><b>No model is open</b>'
        '<p class="quiet">Name one below and press Open. Saved runs can be read without one.</p></div>'
    )


def failed(name: str, why: str) -> str:
    """A checkpoint that cannot be opened."""
    return f'<div class="aft"><b>{escape(name)}</b></div>{markup.notice(why)}'


def picture(found: Specimen, corruption: str, intensity: float, seed: int) -> str:
    """The image, and beside it what the model gets of it."""
    pixels = found.picture.pixels
    degraded = degrade(pixels, corruption, intensity, seed)
    note = "unchanged" if np.array_equal(degraded, pixels) else ""
    height, width = pixels.shape[:2]
    notes = " ".join(found.picture.notes)
    about = f"{width} × {height}, {found.name}" + (f". {notes}" if notes else "")
    return (
        f'<div class="aft pair"><figure>{markup.image(pixels, "the image on the bench", PICTURE)}</figure>'
        f"<figure>{markup.image(degraded, 'the image as the model gets it', SMALL)}"
        f'<figcaption>degraded<span class="quiet num">{note}</span></figcaption></figure></div>'
        f'<p class="aft quiet num">{escape(about)}</p>'
    )


def truth(found: Specimen, question: str) -> str:
    """The true answer, where the question is the scene's own."""
    if not found.truth or question.strip() != found.question:
        return ""
    return f'<p class="aft quiet">true answer: {escape(found.truth)}</p>'
