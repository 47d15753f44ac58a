"""The hub's data sets, played by a server on this machine: what it sends is counted."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from urllib.parse import unquote

from workbench.datasets import shards

COMMIT = "c0ffee" * 6 + "abcd"


class Hub:
    """One data set, somebody/birds, whose parquet copy lies in a folder.

    sent: bytes of files. reachable: whether it answers. refuses: status and code of what it says instead.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.sent = 0
        self.reachable = True
        self.refuses: tuple[int, str] | None = None
        hub = self

        class Answers(BaseHTTPRequestHandler):
            def log_message(self, *about: object) -> None:
                """Keep quiet."""

            def do_HEAD(self) -> None:
                self._file(body=False)

            def do_GET(self) -> None:
                if not hub.reachable:
                    self.connection.close()
                elif hub.refuses:
                    status, code = hub.refuses
                    self._say(status, b"{}", {"X-Error-Code": code})
                elif "/tree/" in self.path:
                    folder = unquote(self.path).partition("/tree/")[2].partition("?")[0].partition("/")[2]
                    found = [
                        {
                            "type": "file",
                            "path": name,
                            "size": (hub.folder / name).stat().st_size,
                            "oid": "0" * 40,
                        }
                        for name in hub.names
                        if name.startswith(folder)
                    ]
                    self._say(200, json.dumps(found).encode())
                elif self.path.startswith("/api/"):
                    siblings = [{"rfilename": name} for name in hub.names]
                    about = {"id": "somebody/birds", "sha": COMMIT, "siblings": siblings}
                    self._say(200, json.dumps(about).encode())
                else:
                    self._file(body=True)

            def _file(self, *, body: bool) -> None:
                data = (
                    hub.folder / unquote(self.path).partition("/resolve/")[2].partition("/")[2]
                ).read_bytes()
                begin, _, end = self.headers.get("range", f"bytes=0-{len(data) - 1}")[6:].partition("-")
                piece = data[int(begin) : int(end) + 1]
                hub.sent += len(piece) if body else 0
                self._say(206, piece if body else b"", {"Content-Length": str(len(piece))})

            def _say(self, status: int, body: bytes, also: dict[str, str] | None = None) -> None:
                self.send_response(status)
                for name, value in ({"Content-Length": str(len(body))} | (also or {})).items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
        self.address = f"http://127.0.0.1:{self._server.server_port}"
        self.template = self.address + "/{repo_id}/resolve/{revision}/{filename}"

    @property
    def names(self) -> list[str]:
        """The files of the data set."""
        return sorted(p.relative_to(self.folder).as_posix() for p in self.folder.rglob("*.parquet"))

    def forget(self) -> None:
        """What this process still knows of earlier reads."""
        from huggingface_hub import HfFileSystem

        HfFileSystem.clear_instance_cache()
        shards._kept_footer.cache_clear()
        shards._group.cache_clear()

    def __enter__(self) -> Hub:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
