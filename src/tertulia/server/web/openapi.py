"""Our own description of the API, OpenAPI 3.1, made from the tables of operations.

What is mounted is what is described: there is no second list to keep true.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from importlib.metadata import version
from typing import Any, Final

import msgspec

from tertulia.wire.requests import Reply, phrase

from .operations import Operation

_FORM: Final = "application/x-www-form-urlencoded"
_JSON: Final = "application/json"
_BYTES: Final = "application/octet-stream"
_SECURITY: Final = {"rest": ("account",), "client": ("accessToken",), "media": ("account", "accessToken")}
"""The schemes of each face; one of them is enough."""
_SCHEMES: Final = {
    "account": {
        "type": "http",
        "scheme": "basic",
        "description": "The account SID with its auth token, or the SID of an API key with its secret.",
    },
    "accessToken": {
        "type": "apiKey",
        "in": "header",
        "name": "X-Twilio-Token",
        "description": "A user's access token.",
    },
}


class Error(msgspec.Struct, frozen=True):
    """What every refusal looks like."""

    code: int
    message: str
    more_info: str
    status: int


def describe(operations: Iterable[Operation]) -> bytes:
    """The document of these operations, as JSON."""
    operations = tuple(operations)
    types: list[Any] = [Error]
    for operation in operations:
        for shape in (operation.form, operation.query, operation.answer):
            if shape is not None and shape not in types and _is_describable(shape):
                types.append(shape)
    schemas, components = msgspec.json.schema_components(types, ref_template="#/components/schemas/{name}")
    schema_of = {id(type_): schema for type_, schema in zip(types, schemas, strict=True)}
    paths: dict[str, dict[str, Any]] = {}
    for operation in operations:
        entry = _entry(operation, schema_of, components)
        paths.setdefault(operation.path, {})[operation.method.lower()] = entry
    document = msgspec.json.encode(
        {
            "openapi": "3.1.0",
            "info": {
                "title": "Tertulia",
                "version": version("tertulia"),
                "description": "Conversations: the account API, and the API that client libraries use.",
                "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
            },
            "paths": paths,
            "components": {"schemas": components, "securitySchemes": _SCHEMES},
        }
    )
    # Shapes of one name in several files are told apart by their module.
    return document.replace(b"tertulia.server.", b"")


def _is_describable(shape: Any) -> bool:
    """Not so: bare JSON, and views of which some member is one of several untagged structs."""
    if shape is Reply:
        return False
    try:
        msgspec.inspect.type_info(shape)
    except TypeError:
        return False
    return True


def _entry(operation: Operation, schema_of: Mapping[int, Any], components: Mapping[str, Any]) -> dict[str, Any]:
    summary, _, rest = (inspect.getdoc(operation.handler) or operation.name).partition("\n")
    entry: dict[str, Any] = {
        "operationId": _identifier(operation),
        "summary": summary,
        "tags": [operation.face],
        "security": [{scheme: []} for scheme in _SECURITY.get(operation.face, ())],
        "parameters": [
            {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
            for name in operation.parameters
        ],
        "responses": {str(operation.status): _answer(operation, schema_of), "default": _failure(schema_of)},
    }
    if rest.strip():
        entry["description"] = rest.strip()
    if operation.query is not None:
        entry["parameters"].extend(_query(schema_of[id(operation.query)], components))
    if operation.body == "stream":
        entry["requestBody"] = {"content": {_BYTES: {"schema": {"type": "string", "format": "binary"}}}}
    if operation.form is not None:
        kind = _FORM if operation.body == "form" else _JSON
        entry["requestBody"] = {"content": {kind: {"schema": schema_of[id(operation.form)]}}}
    return entry


def _identifier(operation: Operation) -> str:
    """Unique: the name alone where it is mounted once, else with the words of the path that make the difference."""
    if operation.is_long:
        return f"{operation.name}_of_service"
    if operation.face == "rest":
        return operation.name
    words = [part.strip("{}") for part in operation.path.split("/") if part]
    return "_".join((operation.face, operation.method.lower(), *words))


def _query(reference: dict[str, str], components: Mapping[str, Any]) -> Iterable[dict[str, Any]]:
    schema = components[reference["$ref"].rpartition("/")[2]]
    required = schema.get("required", ())
    for name, shape in schema["properties"].items():
        yield {"name": name, "in": "query", "required": name in required, "schema": shape}


def _answer(operation: Operation, schema_of: Mapping[int, Any]) -> dict[str, Any]:
    answer: dict[str, Any] = {"description": phrase(operation.status)}
    if operation.answer is not None:
        answer["content"] = {_JSON: {"schema": schema_of.get(id(operation.answer), {})}}
    return answer


def _failure(schema_of: Mapping[int, Any]) -> dict[str, Any]:
    return {"description": "Refused", "content": {_JSON: {"schema": schema_of[id(Error)]}}}
