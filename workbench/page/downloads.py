"""The files behind "Download": figures for paper, the numbers and the whole run, each made when asked for."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr

from workbench.page.wiring import QUIET

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from pandas import DataFrame

    from workbench.runs.result import Result

FORMATS = {"png": "PNG", "svg": "SVG", "pdf": "PDF", "html": "HTML", "csv": "CSV", "zip": "Whole run"}
"""What can be downloaded: a file's ending, and what its button says. HTML only where a panel has it."""
# A click on a button of this kind hands over the file that it holds. So it holds none until the click has had
# one written; that is handed over and let go, and the next click asks for what is on the screen by then.
BUSY = "() => { document.getElementById('%s')?.setAttribute('aria-busy', 'true'); }"
HAND_OVER = """(file) => {
  document.getElementById("%(button)s")?.removeAttribute("aria-busy");
  if (file?.url) {
    const link = document.createElement("a");
    link.href = file.url;
    link.download = file.orig_name;
    document.body.append(link);
    link.click();
    link.remove();
  } else {
    document.getElementById("%(status)s")?.scrollIntoView({ block: "nearest" });
  }
  return null;
}"""


class Downloads:
    """A button for each format, asleep until there is something to download."""

    def __init__(self, name: str, *, document: bool = False) -> None:
        self.name = name
        self.buttons = {
            form: gr.DownloadButton(
                label,
                size="sm",
                interactive=False,
                min_width=max(48, 11 * len(label)),
                elem_id=f"{name}-{form}",
            )
            for form, label in FORMATS.items()
            if form != "html" or document
        }

    def awake(self) -> dict[Any, Any]:
        """Updates that wake the buttons."""
        return {button: gr.update(interactive=True) for button in self.buttons.values()}

    def wire(self, asked: Callable[[str], Callable[..., Any]], inputs: Sequence[Any], status: Any) -> None:
        """Connect the buttons: ``asked`` gives the handler for a format.

        The handler answers with the file for the format's button, or, where there is none, with a sentence in
        ``status``, which is then brought into sight.
        """
        for form, button in self.buttons.items():
            button.click(None, None, None, js=BUSY % button.elem_id, api_visibility="private")
            written = button.click(
                asked(form),
                inputs,
                [button, status],
                **(QUIET | {"concurrency_id": "paper", "concurrency_limit": 1}),
            )
            names = {"button": button.elem_id, "status": status.elem_id}
            written.then(None, [button], [button], js=HAND_OVER % names, api_visibility="private")

    def written(
        self,
        form: str,
        root: Path,
        ids: Sequence[str],
        figure: Callable[[], Figure],
        numbers: Callable[[], DataFrame],
        run: Result,
        document: Callable[[], str] | None = None,
    ) -> Path:
        """The file in one of ``FORMATS``, written under ``root`` unless what ``ids`` name was written before.

        The whole run and the document are of ``run`` alone; the others may show pinned results, too.

        Raises Refusal where the disk is full or may not be written.
        """
        from workbench.runs.archive import pack
        from workbench.runs.export import save_figure, save_numbers, save_text

        folder = root / hashlib.sha256("/".join([self.name, *ids]).encode()).hexdigest()[:16]
        stem = folder / f"afterimage-{self.name}"
        path = stem.with_suffix(f".{form}")
        if not path.exists():
            if form == "csv":
                save_numbers(numbers(), path)
            elif form == "zip":
                pack(run, path)
            elif form == "html" and document is not None:
                save_text(document(), path)
            else:
                save_figure(figure(), stem, (form,))
        return path
