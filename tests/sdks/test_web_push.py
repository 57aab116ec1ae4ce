"""The example page of Web Push, with the official SDK in it, in Chromium.

A subscription needs the browser maker's push service, which is not here: one of another push service stands in for
it, and DevTools hands the browser what that service has decrypted. Everything else is real.
"""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import requests
from twilio.jwt.access_token import AccessToken
from twilio.jwt.access_token.grants import ChatGrant

from tertulia.server.clock import SystemClock
from tertulia.server.domain.credentials import CredentialKind, Secrets
from tertulia.server.domain.push_content import PushContent, PushKind
from tertulia.server.outgoing import Outgoing
from tertulia.server.push.service import Batch, OpenCredential, Push, Verdict
from tertulia.server.push.webpush import WebPush
from tertulia.server.settings import OutgoingSettings, PushSettings, Settings
from tests.cli.command import Credentials, printed
from tests.peers.webpush import WebPushPeer

from .chromium import Browser, Page
from .official import library
from .test_browser import HERE, SDKS

EXAMPLE = HERE.parents[1] / "examples/web_push"
BUNDLE = "twilio-conversations.min.js"

pytestmark = [pytest.mark.browser, pytest.mark.node]


class _Files(http.server.SimpleHTTPRequestHandler):
    """The example, and the SDK's bundle beside it."""

    def __init__(self, *arguments: Any, bundle: Path) -> None:
        self._bundle = bundle
        super().__init__(*arguments)

    def translate_path(self, path: str) -> str:
        name = path.partition("?")[0][1:] or "index.html"
        return str((self._bundle if name == BUNDLE else EXAMPLE) / name)

    def log_message(self, *_: object) -> None:
        """Nobody reads it."""


@pytest.fixture(params=SDKS)
def site(request: pytest.FixtureRequest, chromium: str) -> Iterator[str]:
    """Where the example is, with either version of the SDK."""
    bundle = HERE / "node_modules" / SDKS[request.param] / "builds"
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(_Files, bundle=bundle)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


class Prepared:
    """A key pair, the credential made of it, a token that names that, and a conversation."""

    def __init__(self, known: Credentials) -> None:
        pair = json.loads(printed("push", "vapid", "--json"))
        self.secrets = Secrets(**pair, subject="mailto:ops@tertulia.test")
        self.key: str = pair["public_key"]
        form = {"Type": "webpush", "PublicKey": pair["public_key"], "PrivateKey": pair["private_key"]}
        auth = (known.account_sid, known.auth_token)
        answer = requests.post(f"{known.base_url}/v1/Credentials", form, auth=auth, timeout=20)
        assert answer.status_code == 201, answer.text
        self.credential: str = answer.json()["sid"]
        self.identity = f"ana-{self.credential[-6:]}"
        token = AccessToken(known.account_sid, known.api_key, known.api_secret, identity=self.identity)
        token.add_grant(ChatGrant(service_sid=known.service_sid, push_credential_sid=self.credential))
        self.token: str = token.to_jwt()
        self._v1 = library(known).conversations.v1
        self._service = known.service_sid
        made = self._v1.conversations.create(friendly_name="The tavern")
        self.conversation: str = made.sid
        made.participants.create(identity=self.identity)

    def devices(self) -> list[tuple[str, str]]:
        """Type and credential of what the user has registered."""
        listed = self._v1.services(self._service).bindings.list(identity=[self.identity])
        return [(one.binding_type, one.credential_sid) for one in listed]

    async def send(self, subscription: str) -> None:
        """A push as the server sends it."""
        credential = OpenCredential(
            sid=self.credential,
            account_sid="AC" + "0" * 32,
            kind=CredentialKind.WEBPUSH,
            sandbox=False,
            secrets=self.secrets,
            updated_at=1,
        )
        content = PushContent(
            kind=PushKind.NEW_MESSAGE,
            text="The tavern: ben: Evening, Ana!",
            conversation_sid=self.conversation,
            conversation_title="The tavern",
            author="ben",
            message_sid="IM" + "1" * 32,
            message_index=0,
        )
        pushes = [Push(registration_sid="BS" + "1" * 32, address=subscription)]
        clock = SystemClock()
        ends_at_s = clock.now() // 1_000_000 + 3600
        batch = Batch(notice_sid="RU" + "1" * 32, content=content, pushes=pushes, expires_at_s=ends_at_s)
        outgoing = Outgoing(Settings(outgoing=OutgoingSettings(allow_private=True)))
        (outcome,) = await WebPush(outgoing, clock, PushSettings()).send(credential, batch)
        await outgoing.close()
        assert outcome.verdict is Verdict.SENT, outcome


STANDS_IN = """
let subscribed = null;
PushManager.prototype.getSubscription = async () => subscribed;
PushManager.prototype.subscribe = async ({{ userVisibleOnly, applicationServerKey }}) => {{
  if (!userVisibleOnly || applicationServerKey !== {key!r}) throw new Error("a browser would refuse this");
  return (subscribed = {{ toJSON: () => ({subscription}), unsubscribe: async () => (subscribed = null) }});
}};
"""
WATCHES = """
const show = registration.showNotification.bind(registration);
globalThis.shown = [];
registration.showNotification = async (title, options) => {
  await show(title, options);
  shown.push([title, options.body, options.tag]);
};
"""


def visit(browser: Browser, url: str, script: str) -> Page:
    page = browser.open("about:blank")
    page.ask("Page.addScriptToEvaluateOnNewDocument", source=script)
    page.ask("ServiceWorker.enable")
    page.load("Page.navigate", url=url)
    return page


def allow_notifications(browser: Browser, page: Page, site: str) -> None:
    context = page.ask("Target.getTargetInfo")["targetInfo"]["browserContextId"]
    browser.ask("Browser.grantPermissions", origin=site, permissions=["notifications"], browserContextId=context)


class Worker:
    """The service worker of a site, as DevTools knows it."""

    def __init__(self, browser: Browser, page: Page, site: str) -> None:
        page.evaluate("navigator.serviceWorker.ready.then(() => true)")
        told = browser.facts[("ServiceWorker.workerVersionUpdated", page.session)]
        versions = [version for one in told for version in one["versions"] if version["scriptURL"] == f"{site}/sw.js"]
        self._registration: str = versions[-1]["registrationId"]
        target = [version["targetId"] for version in versions if version.get("targetId")][-1]
        self.inside = Page(browser, browser.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"])
        self._page, self._site = page, site

    def push(self, payload: Any) -> None:
        """What a push service has decrypted comes out of the browser's end of it."""
        self._page.ask(
            "ServiceWorker.deliverPushMessage",
            origin=self._site,
            registrationId=self._registration,
            data=json.dumps(payload),
        )


async def test_a_page_registers_shows_what_is_pushed_and_opens_it(
    browser: Browser, site: str, known: Credentials
) -> None:
    async with WebPushPeer() as peer:
        given = Prepared(known)
        subscription = await peer.subscribe(given.key)
        script = STANDS_IN.format(key=given.key, subscription=subscription)
        page = visit(browser, f"{site}/#url={known.base_url}&token={given.token}&key={given.key}", script)
        state = "document.getElementById('state').textContent"
        page.eventually(f"{state} === 'connected'")
        assert given.devices() == []

        allow_notifications(browser, page, site)
        page.evaluate("document.getElementById('start').click()")
        page.eventually(f"{state} === 'notified'")
        assert given.devices() == [("webpush", given.credential)]
        page.load("Page.reload")
        page.eventually(f"{state} === 'notified'")  # at every start, without a question
        assert given.devices() == [("webpush", given.credential)]

        await given.send(subscription)
        (payload,) = await peer.received(subscription)
        worker = Worker(browser, page, site)
        worker.inside.evaluate(WATCHES)
        worker.push(payload)
        expected = ["The tavern", "The tavern: ben: Evening, Ana!", "RU" + "1" * 32]
        assert worker.inside.eventually("shown.length && shown") == [expected]
        told = page.eventually("document.querySelector('#told li')?.textContent")
        assert told == "twilio.conversations.new_message: The tavern: ben: Evening, Ana!"

        # A click cannot be made without a hand; what the worker does then can.
        worker.inside.evaluate(f"open({given.conversation!r}).catch((error) => error.name)")
        page.eventually("document.getElementById('open').textContent === 'The tavern'")

        page.evaluate("document.getElementById('stop').click()")
        page.eventually(f"{state} === 'not notified'")
        assert given.devices() == []
        assert browser.complaints == []


async def test_a_click_opens_the_conversation_when_the_page_was_closed(
    browser: Browser, site: str, known: Credentials
) -> None:
    given = Prepared(known)
    page = visit(browser, f"{site}/#url={known.base_url}&token={given.token}&key={given.key}", "")
    page.eventually("document.getElementById('state').textContent === 'connected'")
    worker = Worker(browser, page, site)
    page.load("Page.navigate", url="about:blank")

    # Without a hand that clicks, the browser opens nothing: so it only says what it was asked to open.
    worker.inside.evaluate("clients.openWindow = async (url) => String(new URL(url, location))")
    opened = worker.inside.evaluate(f"open({given.conversation!r})")
    assert given.token not in opened
    page.load("Page.navigate", url=opened)
    page.eventually("document.getElementById('open').textContent === 'The tavern'")

    page.load("Page.navigate", url="about:blank")
    of_a_test = worker.inside.evaluate("open(undefined)")
    page.load("Page.navigate", url=of_a_test)
    page.eventually("document.getElementById('state').textContent === 'connected'")
    page.evaluate("document.getElementById('stop').click()")
    page.load("Page.reload")
    page.eventually("document.getElementById('state').textContent.startsWith('failed: open it with #url=')")
    assert len(browser.complaints) == 1, "of the last page, which knows nobody any more"
    browser.complaints.clear()


async def test_a_page_says_when_notifications_are_not_allowed(browser: Browser, site: str, known: Credentials) -> None:
    given = Prepared(known)
    page = visit(browser, f"{site}/#url={known.base_url}&token={given.token}&key={given.key}", "")
    state = "document.getElementById('state').textContent"
    page.eventually(f"{state} === 'connected'")
    context = page.ask("Target.getTargetInfo")["targetInfo"]["browserContextId"]
    permission = {"name": "notifications"}
    browser.ask("Browser.setPermission", permission=permission, setting="denied", origin=site, browserContextId=context)
    page.evaluate("document.getElementById('start').click()")
    page.eventually(f"{state}.startsWith('failed: notifications are not allowed: allow them in')")
    assert given.devices() == []
    assert browser.complaints == []


async def test_the_official_sdk_knows_no_web_push(browser: Browser, site: str, known: Credentials) -> None:
    page = visit(browser, f"{site}/", "")
    asked = (
        "Twilio.Conversations.Client.prototype.setPushRegistrationId('webpush', 'x').catch((error) => error.message)"
    )
    assert "fcm" in page.evaluate(asked)
    browser.complaints.clear()  # of the example, which was not told whose it is


async def test_a_page_says_when_a_subscription_is_none(browser: Browser, site: str, known: Credentials) -> None:
    given = Prepared(known)
    script = STANDS_IN.format(key=given.key, subscription='{"endpoint": "https://push.test/", "keys": {}}')
    page = visit(browser, f"{site}/#url={known.base_url}&token={given.token}&key={given.key}", script)
    page.eventually("document.getElementById('state').textContent === 'connected'")
    allow_notifications(browser, page, site)
    page.evaluate("document.getElementById('start').click()")
    page.eventually("document.getElementById('state').textContent.startsWith('failed: ')")
    assert "no subscription of a browser" in page.evaluate("document.getElementById('state').textContent")
    assert given.devices() == []
