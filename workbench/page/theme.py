"""The look of the page: neutral ground, one accent, one size of text, nothing fetched from elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import gradio as gr

ACCENT = "#0072B2"
ACCENT_ON_DARK = "#56B4E9"
STYLE = Path(__file__).with_name("style.css")

# Gradio keeps media rules of the style sheet inside the page, so the margins around it are set here.
# On a phone an open sidebar covers the page: begin with the panel there, and fold the bench at Look.
# What a look says stands at the head of its panel, so Look brings that into sight.
HEAD = """
<style>@media (max-width: 480px) { .main.fillable { padding: 14px 12px !important; } }</style>
<script>
(() => {
  const narrow = () => window.matchMedia("(max-width: 768px)").matches;
  const fold = () => {
    const bar = document.querySelector(".sidebar.open");
    if (bar && narrow()) bar.querySelector(".toggle-button")?.click();
  };
  const began = new MutationObserver(() => {
    const toggle = document.querySelector(".sidebar .toggle-button");
    if (!toggle) return;
    toggle.setAttribute("aria-label", "Fold or unfold the bench");
    began.disconnect();
    setTimeout(fold, 400);
  });
  began.observe(document.documentElement, { childList: true, subtree: true });
  document.addEventListener("click", (event) => {
    if (!event.target.closest?.(".bench-look")) return;
    setTimeout(fold, 150);
    setTimeout(() => {
      const lines = [...document.querySelectorAll('[id$="-status"]')];
      lines.find((line) => line.offsetParent !== null)?.scrollIntoView({ block: "nearest" });
    }, 200);
  });
})();
</script>
"""


def theme() -> gr.themes.Base:
    """The theme. Its sans has the two weights that Gradio ships whole: the semi-bold file lacks letters."""
    import gradio as gr

    sans = gr.themes.LocalFont("Source Sans Pro", weights=(400, 700))
    blue = gr.themes.Color(
        name="accent",
        c50="#eef6fb", c100="#d6eaf5", c200="#aed5eb", c300="#7fbce0", c400="#56B4E9", c500=ACCENT,
        c600="#00659e", c700="#005585", c800="#00456c", c900="#003653", c950="#00263b",
    )  # fmt: skip
    return gr.themes.Default(
        primary_hue=blue,
        secondary_hue=blue,
        neutral_hue=gr.themes.colors.zinc,
        radius_size=gr.themes.sizes.radius_sm,
        spacing_size=gr.themes.sizes.spacing_md,
        text_size=gr.themes.sizes.text_md,
        font=[sans, "ui-sans-serif", "sans-serif"],
    ).set(
        body_background_fill="white",
        body_background_fill_dark="#141416",
        background_fill_secondary="#f7f7f8",
        background_fill_secondary_dark="#1b1b1e",
        block_shadow="none",
        block_shadow_dark="none",
        button_primary_shadow="none",
        button_secondary_shadow="none",
        button_primary_background_fill=ACCENT,
        button_primary_background_fill_hover="#005585",
        button_primary_background_fill_dark=ACCENT,
        button_primary_background_fill_hover_dark="#00659e",
        button_primary_text_color="white",
        block_label_text_weight="400",
        block_title_text_weight="400",
        block_info_text_color="*neutral_500",
        block_info_text_color_dark="*neutral_400",
        slider_color=ACCENT,
        slider_color_dark=ACCENT_ON_DARK,
        link_text_color=ACCENT,
        link_text_color_dark=ACCENT_ON_DARK,
    )
