"""The files behind "Download": figures for paper and the numbers, made once for each result."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from pandas import DataFrame

FORMATS = ("png", "svg", "pdf", "csv")


class Downloads:
    """Four buttons, asleep until there is something to download."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.buttons = {
            form: gr.DownloadButton(
                form.upper(), size="sm", interactive=False, min_width=64, elem_id=f"{name}-{form}"
            )
            for form in FORMATS
        }

    def asleep(self) -> dict[Any, Any]:
        """Updates that put the buttons to sleep."""
        return {button: gr.update(interactive=False) for button in self.buttons.values()}

    def ready(
        self,
        root: Path,
        ids: Sequence[str],
        figure: Callable[[], Figure],
        numbers: Callable[[], DataFrame],
    ) -> dict[Any, Any]:
        """Write the files under ``root`` unless what ``ids`` name was written before; wake the buttons.

        Raises Refusal where the disk is full.
        """
        from workbench.runs.export import save_figure
        from workbench.runs.store import told

        folder = root / hashlib.sha256("/".join([self.name, *ids]).encode()).hexdigest()[:16]
        stem = folder / f"afterimage-{self.name}"
        paths = {form: stem.with_suffix(f".{form}") for form in FORMATS}
        if not all(path.exists() for path in paths.values()):
            save_figure(figure(), stem)
            with told(paths["csv"]):
                numbers().to_csv(paths["csv"], index=False)
        return {
            button: gr.update(value=str(paths[form]), interactive=True)
            for form, button in self.buttons.items()
        }
