"""Calls to the Graph API: JSON there and back, and what its errors come to for a channel."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from typing import Any, Final, NoReturn, TypeVar
from urllib.parse import quote, urlencode, urlsplit

import msgspec

from tertulia.server.outgoing import Answer, Call, CallFailed, FailureKind

from ..base import Ask, NotNow, Refused, Unsure
from .codes import MEDIA_FETCH, Codes

T = TypeVar("T")
JSON = dict[str, Any]
"""What is sent, on its way to be encoded."""

CALL_S: Final = 6.0
UPLOAD_S: Final = 12.0
"""A channel has half a minute: a file, its message, and words that go by themselves."""
ANSWER_BYTES: Final = 256 << 10
LONGEST_WAIT_S: Final = 3600.0

_TOO_MANY: Final = 429
_SERVER_ERROR: Final = 500
_UNAUTHENTICATED: Final = 401
_NO_SUCH_THING: Final = 100


class GraphError(msgspec.Struct, frozen=True):
    """The numbers of an error; its words may hold what was sent, and are not read."""

    code: int = 0
    error_subcode: int | None = None
    is_transient: bool = False


class _Errors(msgspec.Struct, frozen=True):
    error: GraphError


_error: Final = msgspec.json.Decoder(_Errors, strict=False)


class Access(msgspec.Struct, frozen=True, kw_only=True):
    """Where the API is, and what proves who we are. Printed without that."""

    base_url: str
    version: str
    token: str
    app_secret: str
    is_proving: bool = False
    """Calls carry a proof that their caller has the application's secret."""

    def __repr__(self) -> str:
        return f"Access({self.base_url}, {self.version}, ***)"

    @property
    def proof(self) -> str:
        return hmac.new(self.app_secret.encode(), self.token.encode(), hashlib.sha256).hexdigest()


class Graph:
    """The API of one token. Raises what channels raise: ``Refused``, ``NotNow``, ``Unsure``."""

    def __init__(self, ask: Ask, access: Access, codes: Codes, name: str) -> None:
        self._ask = ask
        self._access = access
        self._codes = codes
        self._name = name
        """Who refuses, in sentences: ``WhatsApp``, ``Messenger``."""

    async def send(self, path: tuple[str, ...], body: JSON, read: type[T]) -> T | None:
        """Post a message; None: it was taken, and what it is called was lost.

        ``Unsure`` where it may have been taken: the request went out, and no answer came.
        """
        try:
            answer = await self._call("POST", path, body)
        except CallFailed as failed:
            if failed.status is not None and failed.status < 300:
                return None
            if failed.kind.nothing_sent:
                raise self._unreached(failed) from None
            raise Unsure(f"{self._name} did not answer: {failed.detail}") from None
        return self._read(answer, read)

    async def post(self, path: tuple[str, ...], body: JSON) -> None:
        """Post what may be posted again."""
        try:
            answer = await self._call("POST", path, body)
        except CallFailed as failed:
            raise self._unreached(failed) from None
        self._read(answer, msgspec.Raw)

    async def get(
        self,
        path: tuple[str, ...],
        read: type[T],
        query: Mapping[str, str] | None = None,
        *,
        is_proving: bool = False,
        missing: int | None = None,
    ) -> T:
        """Read an object. Raises ``NotNow`` also for one that cannot be read.

        ``missing``: what one that is not there is refused with; else somebody has named it wrongly, and has to mend it.
        """
        try:
            answer = await self._call("GET", path, query=query, is_proving=is_proving)
        except CallFailed as failed:
            raise self._unreached(failed) from None
        if missing is not None and _is_missing(answer):
            raise Refused(missing, f"{self._name} does not have it")
        found = self._read(answer, read)
        if found is None:
            raise NotNow(f"{self._name} answers what nobody can read")
        return found

    async def upload(self, path: tuple[str, ...], body: bytes, content_type: str, read: type[T]) -> T:
        """Post a form with a file."""
        call = Call(
            method="POST",
            url=self._url(path, None, self._access.is_proving),
            headers=(self.bearer, ("Content-Type", content_type)),
            body=body,
            read_s=UPLOAD_S,
            total_s=UPLOAD_S,
            answer_limit_bytes=ANSWER_BYTES,
        )
        try:
            answer = await self._ask(call)
        except CallFailed as failed:
            raise self._unreached(failed) from None
        found = self._read(answer, read)
        if found is None:
            raise NotNow(f"{self._name} has taken a file, and did not say what it calls it")
        return found

    async def download(self, url: str, limit_bytes: int, total_s: float, *, has_token: bool) -> Answer:
        """What is at a URL that Meta has named, whatever its status.

        The token goes along only where nobody on the way can read it. Raises ``Refused`` and ``NotNow``.
        """
        if not self.may_fetch(url):
            raise Refused(MEDIA_FETCH, f"{self._name} names a URL that is not https")
        call = Call(
            method="GET",
            url=url,
            headers=(self.bearer,) if has_token else (),
            read_s=CALL_S,
            total_s=total_s,
            answer_limit_bytes=limit_bytes,
        )
        try:
            return await self._ask(call)
        except CallFailed as failed:
            if failed.kind in (FailureKind.BAD_REQUEST, FailureKind.REFUSED_ADDRESS):
                raise Refused(MEDIA_FETCH, f"{self._name} names a URL that is never called") from None
            raise self._unreached(failed) from None

    def may_fetch(self, url: str) -> bool:
        """It is https; or plain http as the API itself is, in a laboratory."""
        try:
            scheme = urlsplit(url).scheme.lower()
        except ValueError:
            return False
        return scheme == "https" or (scheme == "http" and self._access.base_url.startswith("http:"))

    @property
    def bearer(self) -> tuple[str, str]:
        return ("Authorization", f"Bearer {self._access.token}")

    async def _call(
        self,
        method: str,
        path: tuple[str, ...],
        body: JSON | None = None,
        query: Mapping[str, str] | None = None,
        *,
        is_proving: bool = False,
    ) -> Answer:
        return await self._ask(
            Call(
                method=method,
                url=self._url(path, query, is_proving or self._access.is_proving),
                headers=(self.bearer,) if body is None else (self.bearer, ("Content-Type", "application/json")),
                body=b"" if body is None else msgspec.json.encode(body),
                read_s=CALL_S,
                total_s=CALL_S,
                answer_limit_bytes=ANSWER_BYTES,
            )
        )

    def _url(self, path: tuple[str, ...], query: Mapping[str, str] | None, is_proving: bool) -> str:
        fields = {**(query or {}), **({"appsecret_proof": self._access.proof} if is_proving else {})}
        place = "/".join(quote(part, safe="") for part in (self._access.version, *path))
        return f"{self._access.base_url.rstrip('/')}/{place}" + (f"?{urlencode(fields)}" if fields else "")

    def _read(self, answer: Answer, read: type[T]) -> T | None:
        if not 200 <= answer.status < 300:
            self.refuse(answer)
        try:
            return msgspec.json.decode(answer.body, type=read)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return None

    def refuse(self, answer: Answer) -> NoReturn:
        """What an answer comes to that is no success. Raises ``Refused`` or ``NotNow``."""
        after_s = _retry_after(answer)
        error = _error_of(answer)
        if error is None:
            if answer.status == _TOO_MANY or answer.status >= _SERVER_ERROR:
                raise NotNow(f"{self._name} answers {answer.status}", after_s, is_broken=answer.status >= _SERVER_ERROR)
            if answer.status == _UNAUTHENTICATED:
                raise NotNow(f"{self._name} answers {answer.status}", after_s, is_alarming=True)
            raise Refused(self._codes.meaning(-1).code, f"{self._name} answers {answer.status}")
        named = str(error.code) if error.error_subcode is None else f"{error.code}/{error.error_subcode}"
        meaning = self._codes.meaning(error.code, error.error_subcode)
        why = f"{self._name} answers {answer.status} with error {named}"
        # What says that it passes, passes; a code that is known says more.
        passes = error.is_transient or answer.status == _TOO_MANY or answer.status >= _SERVER_ERROR
        is_unknown = meaning == self._codes.meaning(-1)
        if meaning.is_later or (passes and is_unknown):
            raise NotNow(
                why,
                after_s or meaning.after_s,
                is_alarming=meaning.is_alarming,
                is_broken=answer.status >= _SERVER_ERROR,
            )
        raise Refused(meaning.code, why)

    def _unreached(self, failed: CallFailed) -> NotNow:
        return NotNow(f"{self._name} cannot be reached: {failed.detail}")


def _is_missing(answer: Answer) -> bool:
    error = _error_of(answer)
    return answer.status in (400, 404) and error is not None and error.code == _NO_SUCH_THING


def _error_of(answer: Answer) -> GraphError | None:
    try:
        return _error.decode(answer.body).error
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None


def _retry_after(answer: Answer) -> float | None:
    text = answer.header("retry-after") or ""
    return min(float(text), LONGEST_WAIT_S) if text.isascii() and text.isdecimal() and len(text) < 10 else None
