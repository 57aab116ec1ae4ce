"""Operations are a table: a method, a path, a form, and the plain function that answers (architecture 5).

::

    OPERATIONS = Operations("rest", prefix="/v1")

    @OPERATIONS.operation("POST", "/Roles", CreateRole, status=201, scopes=BOTH)
    async def create_role(call: Call, form: CreateRole) -> RoleView: ...
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator
from enum import StrEnum
from typing import Any, Final, Literal, TypeVar, get_type_hints, overload

import msgspec

from tertulia.server.channels.opening import Channels
from tertulia.server.domain.base import Command
from tertulia.server.domain.callers import Caller
from tertulia.server.engine.engine import Engine
from tertulia.server.engine.gateway_directory import GatewayDirectory
from tertulia.server.engine.media_store import MediaStore
from tertulia.server.engine.push_explaining import PushExplaining
from tertulia.server.engine.queries import Queries
from tertulia.server.engine.typing import Typing
from tertulia.server.settings import Settings
from tertulia.wire.requests import Request, segments

from .page_tokens import PageTokens
from .streams import Incoming

R = TypeVar("R")
S = TypeVar("S", bound=msgspec.Struct)
BodyKind = Literal["form", "json", "stream"]
Handler = Callable[..., Awaitable[Any]]


class Scopes(StrEnum):
    """Under how many paths an operation is mounted."""

    ONE = "one"
    BOTH = "both"


ONE: Final = Scopes.ONE
"""Under its path alone."""
BOTH: Final = Scopes.BOTH
"""Under its path, for the account's default service, and under ``/Services/{service}`` before it (rest 1.1)."""

_LONG: Final = "/Services/{service}"


class Operation(msgspec.Struct, frozen=True):
    """One method of one path, as a face declares it."""

    face: str
    method: str
    path: str
    """With ``{names}`` where a segment is a value."""
    name: str
    handler: Handler
    form: type[msgspec.Struct] | None = None
    body: BodyKind = "form"
    query: type[msgspec.Struct] | None = None
    status: int = 200
    answer: Any = None
    """The type of the view; None for an answer without a body."""
    prefix: str = ""
    in_service: bool = False
    """It works in one service: the one its path names, else the account's default."""
    hooks: bool = False
    """An account holder may ask for hooks with ``X-Twilio-Webhook-Enabled`` (rest 1.3)."""
    is_long: bool = False
    """It is the form of the path that names the service."""

    @property
    def parameters(self) -> tuple[str, ...]:
        """The names in the path, in order."""
        return tuple(part[1:-1] for part in self.path.split("/") if part.startswith("{"))


class Operations:
    """The table of one face. Every path in it begins with ``prefix``."""

    def __init__(self, face: str, prefix: str = "") -> None:
        self.face = face
        self.prefix = prefix
        self._operations: list[Operation] = []

    def __iter__(self) -> Iterator[Operation]:
        return iter(self._operations)

    def __len__(self) -> int:
        return len(self._operations)

    def include(self, other: Operations) -> None:
        """Take over what another table of the same face declares."""
        self._operations.extend(other)

    @overload
    def operation(
        self,
        method: str,
        path: str,
        form: type[S],
        *,
        status: int = 200,
        query: type[msgspec.Struct] | None = None,
        scopes: Scopes = ONE,
        hooks: bool = False,
        body: BodyKind = "form",
        name: str | None = None,
    ) -> Callable[[Callable[[Call, S], Awaitable[R]]], Callable[[Call, S], Awaitable[R]]]: ...

    @overload
    def operation(
        self,
        method: str,
        path: str,
        form: None = None,
        *,
        status: int = 200,
        query: type[msgspec.Struct] | None = None,
        scopes: Scopes = ONE,
        hooks: bool = False,
        body: BodyKind = "form",
        name: str | None = None,
    ) -> Callable[[Callable[[Call], Awaitable[R]]], Callable[[Call], Awaitable[R]]]: ...

    def operation(
        self,
        method: str,
        path: str,
        form: type[msgspec.Struct] | None = None,
        *,
        status: int = 200,
        query: type[msgspec.Struct] | None = None,
        scopes: Scopes = ONE,
        hooks: bool = False,
        body: BodyKind = "form",
        name: str | None = None,
    ) -> Callable[[Handler], Handler]:
        """Declare what answers a method on a path; the function stays as it is.

        It gets the ``Call``, and the form if there is one, and answers with a view, None for no body, or a ``Reply``
        that is sent as it is. With ``body="stream"`` it has no form, and reads ``call.incoming`` itself.
        """
        mounts = (("", False), (_LONG, True)) if scopes is BOTH else (("", False),)

        def declare(handler: Handler) -> Handler:
            answer = get_type_hints(handler)["return"]
            for mount, is_long in mounts:
                self._operations.append(
                    Operation(
                        face=self.face,
                        method=method,
                        path=self.prefix + mount + path,
                        name=name or handler.__name__,
                        handler=handler,
                        form=form,
                        body=body,
                        query=query,
                        status=status,
                        answer=None if answer is type(None) else answer,
                        prefix=self.prefix,
                        in_service=scopes is BOTH,
                        hooks=hooks,
                        is_long=is_long,
                    )
                )
            return handler

        return declare


class Services:
    """What handlers work with, made once for all requests."""

    __slots__ = ("channels", "engine", "gateways", "media", "page_tokens", "push", "queries", "settings", "typing")

    def __init__(
        self,
        engine: Engine,
        queries: Queries,
        typing: Typing,
        settings: Settings,
        page_tokens: PageTokens,
        media: MediaStore | None = None,
        push: PushExplaining | None = None,
        channels: Channels | None = None,
        gateways: GatewayDirectory | None = None,
    ) -> None:
        self.engine = engine
        self.queries = queries
        self.typing = typing
        self.settings = settings
        self.page_tokens = page_tokens
        self.media = media
        """For the operations of the media face alone."""
        self.push = push
        """For those that explain pushes alone."""
        self.channels = channels
        """For those about gateways and phones alone."""
        self.gateways = gateways


class Call:
    """One request, as a handler sees it."""

    __slots__ = (
        "base_url",
        "caller",
        "channels",
        "engine",
        "gateways",
        "incoming",
        "media",
        "operation",
        "page_tokens",
        "path",
        "push",
        "queries",
        "query",
        "request",
        "service_sid",
        "settings",
        "status",
        "typing",
    )

    def __init__(
        self,
        operation: Operation,
        path: dict[str, str],
        request: Request,
        caller: Caller,
        base_url: str,
        services: Services,
    ) -> None:
        self.operation = operation
        self.status = operation.status
        """Of the answer; a handler may choose another one that the operation has."""
        self.path = path
        """The values in the path, decoded."""
        self.request = request
        self.caller = caller
        self.base_url = base_url
        """Scheme and authority, without a slash at the end."""
        self.query: Any = None
        """The struct of the operation's query, if it declares one."""
        self.service_sid = caller.service_sid or ""
        """The service the operation works in: of the path, the account's default, or of the token."""
        self.engine = services.engine
        self.queries = services.queries
        self.typing = services.typing
        self.settings = services.settings
        self.page_tokens = services.page_tokens
        self.media = services.media
        self.push = services.push
        self.channels = services.channels
        self.gateways = services.gateways
        self.incoming: Incoming | None = None
        """What is not read yet of the request, of an operation with ``body="stream"``."""

    async def execute(self, command: Command[R]) -> R:
        """Do what the command says, as this request's caller."""
        return await self.engine.execute(self.caller, command)

    @property
    def is_long(self) -> bool:
        """The path names the service (rest 1.1)."""
        return self.operation.is_long

    @property
    def root(self) -> str:
        """What URLs of resources begin with, in the form of the request."""
        prefix = self.base_url + self.operation.prefix
        return f"{prefix}/Services/{self.path['service']}" if self.operation.is_long else prefix


class _Node:
    __slots__ = ("operations", "parameter", "words")

    def __init__(self) -> None:
        self.words: dict[str, _Node] = {}
        self.parameter: _Node | None = None
        self.operations: dict[str, tuple[Operation, tuple[str, ...]]] = {}


class Found(msgspec.Struct, frozen=True):
    """The operation of a request, with the values in its path."""

    operation: Operation
    values: dict[str, str]


class Router:
    """Finds operations by method and path, a step per segment. A word wins over a value at the same place."""

    def __init__(self, operations: Iterable[Operation]) -> None:
        self._root = _Node()
        for operation in operations:
            node = self._root
            for part in segments(operation.path):
                if part.startswith("{"):
                    node.parameter = node.parameter or _Node()
                    node = node.parameter
                else:
                    node = node.words.setdefault(part, _Node())
            if operation.method in node.operations:
                raise ValueError(f"{operation.method} {operation.path} is declared twice")
            node.operations[operation.method] = (operation, operation.parameters)

    def find(self, method: str, path: str) -> Found | frozenset[str]:
        """The operation; or the methods that the path has, none when there is no such path."""
        node, values = self._root, []
        for part in segments(path):
            following = node.words.get(part)
            if following is None:
                following = node.parameter
                if following is None or not part or "\0" in part:
                    return _NOTHING
                values.append(part)
            node = following
        found = node.operations.get(method)
        if found is None:
            return frozenset(node.operations)
        return Found(found[0], dict(zip(found[1], values, strict=True)))


_NOTHING: Final[frozenset[str]] = frozenset()
