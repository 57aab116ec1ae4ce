"""Headless Chromium, driven by its own DevTools protocol: no driver, no browser of another's making."""

from __future__ import annotations

import base64
import contextlib
import json
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from websockets.sync.client import ClientConnection, connect

FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--no-default-browser-check",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-extensions",
    "--disable-sync",
    "--no-proxy-server",
    # Both pages have somebody in front of them: neither is slowed down as a hidden one would be.
    "--disable-background-timer-throttling",
    "--disable-backgrounding-occluded-windows",
    "--disable-renderer-backgrounding",
    "--remote-debugging-port=0",
)
WITHIN_S = 30.0


class Page:
    """One page in a browser profile of its own."""

    def __init__(self, browser: Browser, session: str) -> None:
        self._browser = browser
        self._session = session

    @property
    def session(self) -> str:
        """Under which the browser tells of it."""
        return self._session

    def ask(self, method: str, **parameters: Any) -> Any:
        return self._browser.ask(method, session=self._session, **parameters)

    def load(self, method: str, **parameters: Any) -> None:
        """Go somewhere (``Page.navigate``, ``Page.reload``) and be there."""
        event = ("Page.loadEventFired", self._session)
        self._browser.told.discard(event)
        self.ask(method, **parameters)
        self._browser.hear(*event)

    def evaluate(self, expression: str) -> Any:
        """What the expression, or the promise it is, comes to in the page."""
        answer = self.ask("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def eventually(self, expression: str) -> Any:
        """Its value as soon as it is true, polled."""
        ends_at = time.monotonic() + WITHIN_S
        while not (value := self.evaluate(expression)):
            shown = self.evaluate("document.body.innerText") or "" if time.monotonic() > ends_at else None
            assert shown is None, f"never came true: {expression}\nthe page shows:\n{shown}\n{self._browser.complaints}"
            time.sleep(0.05)
        return value

    def type(self, text: str) -> None:
        """Keys, as a person presses them, into what has the focus."""
        for character in text:
            self.ask("Input.dispatchKeyEvent", type="char", text=character)

    def press_enter(self) -> None:
        for kind in ("keyDown", "keyUp"):
            self.ask(
                "Input.dispatchKeyEvent", type=kind, key="Enter", code="Enter", windowsVirtualKeyCode=13, text="\r"
            )

    def screenshot(self, path: Path) -> None:
        path.write_bytes(base64.b64decode(self.ask("Page.captureScreenshot", format="png")["data"]))


class Browser:
    """One Chromium; its pages do not know each other."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._last_id = 0
        self.complaints: list[str] = []
        """Exceptions nobody caught, in any page."""
        self.told: set[tuple[str, str]] = set()
        """Which events came, and from which session."""
        self.facts: dict[tuple[str, str], list[dict[str, Any]]] = {}
        """What they said."""

    def ask(self, method: str, *, session: str | None = None, **parameters: Any) -> Any:
        self._last_id += 1
        question = {"id": self._last_id, "method": method, "params": parameters}
        self._socket.send(json.dumps(question | ({"sessionId": session} if session else {})))
        while (answer := self._next()).get("id") != self._last_id:
            pass
        assert "error" not in answer, answer
        return answer["result"]

    def hear(self, event: str, session: str) -> None:
        """Return once a page has told this."""
        while (event, session) not in self.told:
            self._next()

    def _next(self) -> dict[str, Any]:
        told: dict[str, Any] = json.loads(self._socket.recv(timeout=WITHIN_S))
        event = (told.get("method", ""), told.get("sessionId", ""))
        self.told.add(event)
        if "params" in told:
            self.facts.setdefault(event, []).append(told["params"])
        if told.get("method") == "Runtime.exceptionThrown":
            self.complaints.append(json.dumps(told["params"]["exceptionDetails"])[:2000])
        return told

    def open(self, url: str, width: int = 480, height: int = 640) -> Page:
        """A page of this size."""
        context = self.ask("Target.createBrowserContext")["browserContextId"]
        target = self.ask("Target.createTarget", url="about:blank", browserContextId=context)["targetId"]
        page = Page(self, self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"])
        page.ask("Runtime.enable")
        page.ask("Page.enable")
        page.ask("Emulation.setFocusEmulationEnabled", enabled=True)
        page.ask("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        page.load("Page.navigate", url=url)
        return page


@contextlib.contextmanager
def browsing(chromium: str, profile: Path) -> Iterator[Browser]:
    """A browser with a new profile, gone at the end of the block."""
    profile.mkdir()
    with (profile / "chromium.log").open("w") as log:
        process = subprocess.Popen(
            [chromium, *FLAGS, f"--user-data-dir={profile}", "about:blank"], stdout=log, stderr=subprocess.STDOUT
        )
    try:
        with connect(_address(process, profile), proxy=None, max_size=None) as socket:
            browser = Browser(socket)
            yield browser
            browser.ask("Browser.close")
    finally:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(5)
        process.kill()
        process.wait()


def _address(process: subprocess.Popen[bytes], profile: Path) -> str:
    """Where the browser listens to us; it says so in a file."""
    ends_at = time.monotonic() + WITHIN_S
    while time.monotonic() < ends_at:
        with contextlib.suppress(FileNotFoundError, ValueError):
            port, path = (profile / "DevToolsActivePort").read_text().splitlines()
            return f"ws://127.0.0.1:{int(port)}{path}"
        assert process.poll() is None, (profile / "chromium.log").read_text()
        time.sleep(0.05)
    raise AssertionError(f"Chromium did not start: {(profile / 'chromium.log').read_text()}")
