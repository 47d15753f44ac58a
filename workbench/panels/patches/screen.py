"""What the page says of one patch in words: the lens and attention at every language stage, as HTML."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

from workbench.panels.patches.ladder import Rung, visible
from workbench.panels.patches.quantities import chance

UNKNOWN = "–"


def rungs(found: Sequence[Rung], now: str, word: str) -> str:
    """A table with a row for each language stage, the stage `now` standing out.

    A token's ground is the darker, the likelier the token. Columns that no stage has anything for are left
    out; so is all of it where there is nothing.
    """
    if not found:
        return ""
    read, attended = any(rung.read for rung in found), any(math.isfinite(rung.received) for rung in found)
    heads = [("", "stage", "")]
    if read:
        heads += [("", "the lens reads", ""), ("num", "entropy", "nats")]
        heads += [("num", f"p({word})", "")] if word else []
    heads += [("num", "attention", "received")] if attended else []
    heads += [("num", "read as", "words")] if read else []
    lines = []
    for rung in found:
        cells = []
        if read:
            cells += [("words", _tokens(rung)), ("num", _number(rung.entropy, 1))]
            cells += (
                [("num", escape(chance(rung.word)) if math.isfinite(rung.word) else UNKNOWN)] if word else []
            )
        cells += [("num", received(rung))] if attended else []
        cells += [("num", _percent(rung.share_of_words))] if read else []
        mark = ' class="now" aria-current="true"' if rung.stage == now else ""
        row = "".join(f'<td class="{kind}">{content}</td>' for kind, content in cells)
        lines.append(f'<tr{mark}><th scope="row">{escape(rung.stage)}</th>{row}</tr>')
    head = "".join(
        f'<th scope="col" class="{kind}">{escape(name)}{_below(more)}</th>' for kind, name, more in heads
    )
    return (
        f'<div class="aft rungs"><table><thead><tr>{head}</tr></thead>'
        f"<tbody>{''.join(lines)}</tbody></table></div>"
    )


def received(rung: Rung) -> str:
    """The patch's share of a query's attention; below it how many times the average patch's it is."""
    if not math.isfinite(rung.received):
        return UNKNOWN
    share = f"{100 * rung.received:.2g} %" if rung.received < 0.1 else f"{100 * rung.received:.0f} %"
    share = escape(share if rung.received >= 1e-5 else "< 0.001 %")
    return share + (_below(f"{rung.received / rung.average:.1f} ×") if rung.average > 0 else "")


def _below(text: str) -> str:
    return f'<span class="quiet">{escape(text)}</span>' if text else ""


def _tokens(rung: Rung) -> str:
    return " ".join(
        f'<span class="token" style="--p:{p:.3f}">{escape(visible(text))} '
        f'<span class="quiet">{escape(chance(p))}</span></span>'
        for text, p in rung.read
    )


def _number(value: float, digits: int) -> str:
    return f"{value:.{digits}f}" if math.isfinite(value) else UNKNOWN


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %" if math.isfinite(share) else UNKNOWN
