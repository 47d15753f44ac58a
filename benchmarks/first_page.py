"""Seconds from ``python app.py`` to a usable page and to the first answer, against the floor of the imports.

The floor of the page is a process that imports gradio; the floor of the answer one that imports gradio, torch
and transformers. What lies above is the app's own share: building the page, starting the server, opening the
checkpoint, thinking, drawing, answering. Usable means: the page's HTML is served and the Look button is in it
(with --browser: a person sees it in Chromium). The first answer is asked for at that moment.

    python benchmarks/first_page.py --repeats 3
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
from collections.abc import Iterator
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
def app() -> Iterator[str]:
    """The address of an app that is just starting; it ends with the block."""
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
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(30)


def served(url: str, deadline: float = 120.0) -> None:
    """Wait until the page with its Look button is served."""
    end = time.monotonic() + deadline
    while time.monotonic() < end:
        try:
            with urllib.request.urlopen(url, timeout=5) as page:
                if b"bench-look-states" in page.read():
                    return
        except OSError:
            time.sleep(0.02)
    raise SystemExit(f"no page at {url} within {deadline:.0f} s")


def seen(url: str, chromium: str) -> None:
    """Wait until a person sees the Look button in a browser that was open before."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page()
        served(url)
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


def main() -> None:
    """Measure, alternating floors and app, and print medians."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--browser", action="store_true", help="until a person sees the button in Chromium")
    parser.add_argument("--chromium", default="/usr/bin/chromium")
    options = parser.parse_args()

    importing("gradio, torch, transformers")  # once, so that every run below finds the files in memory
    times: dict[str, list[float]] = {"gradio": [], "all": [], "page": [], "answer": []}
    for _ in range(options.repeats):
        times["gradio"].append(importing("gradio"))
        times["all"].append(importing("gradio, torch, transformers"))
        began = time.perf_counter()
        with app() as url:
            if options.browser:
                seen(url, options.chromium)
            else:
                served(url)
            times["page"].append(time.perf_counter() - began)
            answered(url)
            times["answer"].append(time.perf_counter() - began)
    middle = {name: statistics.median(values) for name, values in times.items()}
    share = middle["page"] - middle["gradio"]
    rows = [
        ("import gradio (floor of the page)", middle["gradio"]),
        ("usable page", middle["page"]),
        ("    the app's own share", share),
        ("import gradio, torch, transformers (floor of the answer)", middle["all"]),
        ("first answer", middle["answer"]),
        ("    the app's own share", middle["answer"] - middle["all"]),
    ]
    for name, seconds in rows:
        print(f"{name:<58}{seconds:6.2f} s")
    if not options.browser and share > LIMIT:
        sys.exit(f"the app's own share before the page is usable is above {LIMIT} s")


if __name__ == "__main__":
    main()
