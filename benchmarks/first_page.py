"""How long until the page is usable, and until the first answer.

In every round three processes run one after the other, each fresh: one that imports gradio alone, one that
imports gradio, torch and transformers, and the app. The first is the floor of the usable page, the second
that of the first answer: what no app built on these packages can be faster than. What the app takes above its
floor in the same round is its own share: building the page and starting the server, then opening the
checkpoint, thinking, drawing and answering.

Usable means that the page's HTML is served with the Look button in it (with --browser: that a person sees the
button in Chromium). The first answer is asked for at that moment.

Run it from the repository, on a machine that does nothing else:

    python -m benchmarks.first_page --repeats 5

It prints the median over the rounds of each figure, with its smallest and its largest, and ends with exit
status 1 if the app's own share of the usable page is above 1.5 s (with --browser nothing is judged: the time
that Chromium takes to draw is in it). One thread a process; the files are in memory from a round before.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import statistics
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LIMIT = 1.5
"""Seconds that the app itself may add to the imports before the page is usable."""
ENVIRONMENT = os.environ | {"OMP_NUM_THREADS": "1", "GRADIO_ANALYTICS_ENABLED": "False"}


def importing(modules: str) -> float:
    """Seconds of a fresh process that imports these modules and ends."""
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", f"import {modules}"], check=True, env=ENVIRONMENT, cwd=ROOT)
    return time.perf_counter() - began


@contextmanager
def app() -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """The address and process of an app that is just starting; it ends with the block."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "app.py", "--port", str(port), "--no-browser"],
        cwd=ROOT,
        env=ENVIRONMENT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield f"http://127.0.0.1:{port}", process
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def served(url: str, process: subprocess.Popen[bytes], deadline: float = 120.0) -> None:
    """Wait until the page with its Look button is served."""
    end = time.monotonic() + deadline
    while time.monotonic() < end:
        if process.poll() is not None:
            raise SystemExit(f"the app ended with exit status {process.returncode} before it served a page")
        try:
            with urllib.request.urlopen(url, timeout=5) as page:
                if b"bench-look-states" in page.read():
                    return
        except OSError:
            pass  # nobody listens yet
        time.sleep(0.02)
    raise SystemExit(f"no page at {url} within {deadline:.0f} s")


def seen(url: str, process: subprocess.Popen[bytes], chromium: str) -> None:
    """Wait until a person sees the Look button in a browser that was open before."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page()
        served(url, process)
        page.goto(url)
        page.locator("#bench-look-states").wait_for(timeout=60_000)
        browser.close()


def answered(url: str) -> str:
    """Ask the page's own question of its first example and wait for the answer."""
    asked = urllib.request.Request(
        f"{url}/gradio_api/call/v2/states",
        json.dumps({"image": None}).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(asked, timeout=60) as reply:
        event = json.load(reply)["event_id"]
    with urllib.request.urlopen(f"{url}/gradio_api/call/v2/states/{event}", timeout=300) as stream:
        text = stream.read().decode()
    if "event: complete" not in text:
        raise SystemExit(f"no answer: {text[-300:]}")
    data = json.loads(text.rsplit("data: ", 1)[1])
    return str(data[0]["answers"][-1]["answer"])


def visited(chromium: str | None) -> tuple[float, float]:
    """Seconds from starting the app to the usable page, and to the first answer.

    `chromium`: a browser to see the page in; without one the HTML counts.
    """
    began = time.perf_counter()
    with app() as (url, process):
        if chromium:
            seen(url, process, chromium)
        else:
            served(url, process)
        page = time.perf_counter() - began
        answered(url)
        return page, time.perf_counter() - began


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print medians, and return the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=5, help="rounds [5]")
    parser.add_argument("--browser", action="store_true", help="until a person sees the button in Chromium")
    parser.add_argument("--chromium", default="/usr/bin/chromium", help="where it is [/usr/bin/chromium]")
    options = parser.parse_args(argv)
    if options.repeats < 1:
        parser.error("--repeats must be at least 1")

    importing("gradio, torch, transformers")  # once, so that every round finds the files in memory
    rounds = []
    for _ in range(options.repeats):
        floors = importing("gradio"), importing("gradio, torch, transformers")
        rounds.append((*floors, *visited(options.chromium if options.browser else None)))
    gradio, everything, page, answer = ([round[k] for round in rounds] for k in range(4))
    own = [above - floor for above, floor in zip(page, gradio, strict=True)]
    rows = {
        "import gradio (floor of the page)": gradio,
        "usable page": page,
        "    the app's own share": own,
        "import gradio, torch, transformers (floor of the answer)": everything,
        "first answer": answer,
        "    the app's own share ": [a - b for a, b in zip(answer, everything, strict=True)],
    }
    print(f"medians of {options.repeats} rounds, with the smallest and the largest")
    for name, seconds in rows.items():
        print(f"{name:<58}{statistics.median(seconds):6.2f} s  ({min(seconds):.2f} to {max(seconds):.2f})")
    if options.browser:
        return 0
    share = statistics.median(own)
    verdict = "within" if share <= LIMIT else "ABOVE"
    print(f"the app's own share before the page is usable: {share:.2f} s, {verdict} the limit of {LIMIT} s")
    return int(share > LIMIT)


if __name__ == "__main__":
    sys.exit(main())
