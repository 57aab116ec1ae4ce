"""The published descriptions of the account API, as judges of answers: stricter than their schemas are.

Every declared property has to be there and no other; SIDs are in lower case, dates in whole seconds of UTC, URLs
absolute; an object of timers or addresses is an object. Where a document is wrong it is corrected here (rest 16).
"""

from __future__ import annotations

import hashlib
import json
import re
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from jsonschema import Draft202012Validator, FormatChecker

_FOLDER = Path(__file__).parent / "openapi"
_SHA256 = {
    "twilio_conversations_v1.json": "34913a501fc216448067292fe6aaa57fa1589d68e422db95bcf52452349e8241",
    "twilio_content_v1.json": "292f522ed7a3c7571d7479e23b9bc485fb9e463832fad52e9317eb012de177dd",
}
CONTENT = "twilio_content_v1.json"
_DATE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
_URL = re.compile(r"https?://[^/]+/v1/.+")
_OBJECTS = frozenset({"timers", "bindings", "conversation_timers", "delivery", "messaging_binding"})
_ALWAYS_OBJECTS = frozenset({"timers", "bindings", "conversation_timers"})
_JSON_TEXTS = frozenset({"attributes", "conversation_attributes"})
_NEVER_NULL = frozenset({"sid", "account_sid", "url", "links", "date_created", "date_updated", "index", "attributes"})

ERROR = {
    "type": "object",
    "required": ["code", "message", "more_info", "status"],
    "additionalProperties": False,
    "properties": {
        "code": {"type": "integer"},
        "message": {"type": "string", "minLength": 1},
        "more_info": {"type": "string", "pattern": r"^https://.+/\d+$"},
        "status": {"type": "integer"},
    },
}

formats = FormatChecker(formats=())


@formats.checks("date-time")
def _is_date(value: object) -> bool:
    return not isinstance(value, str) or _DATE.fullmatch(value) is not None


@formats.checks("uri")
def _is_url(value: object) -> bool:
    return not isinstance(value, str) or _URL.fullmatch(value) is not None


@formats.checks("uri-map")
def _is_map_of_urls(value: object) -> bool:
    return isinstance(value, dict) and len(value) > 0 and all(_URL.fullmatch(str(url)) for url in value.values())


@formats.checks("json-text", raises=ValueError)
def _is_json(value: object) -> bool:
    if isinstance(value, str):
        json.loads(value)
    return True


class Published(NamedTuple):
    """One operation of a document."""

    document: str
    method: str
    path: str
    body: frozenset[str]
    required: frozenset[str]
    query: frozenset[str]
    hooks: bool
    """It obeys ``X-Twilio-Webhook-Enabled``."""
    answers: dict[int, dict[str, Any] | None]

    @property
    def shape(self) -> tuple[str, str]:
        """What it is compared by: the names of path parameters do not matter."""
        return self.method, re.sub(r"\{\w+\}", "{}", self.path)


@cache
def document(name: str) -> dict[str, Any]:
    """The file, unchanged since it was published."""
    content = (_FOLDER / name).read_bytes()
    assert hashlib.sha256(content).hexdigest() == _SHA256[name]
    loaded: dict[str, Any] = json.loads(content)
    return loaded


def resolved(name: str, schema: dict[str, Any]) -> dict[str, Any]:
    """The schema itself, where there is a reference to one of the document's."""
    if "$ref" not in schema:
        return schema
    found: dict[str, Any] = document(name)["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return found


@cache
def operations() -> tuple[Published, ...]:
    """Every operation of the documents."""
    return tuple(operation for name in _SHA256 for operation in _operations(name))


def _operations(name: str) -> list[Published]:
    found = []
    for path, item in document(name)["paths"].items():
        for method, operation in item.items():
            if method not in ("get", "post", "put", "delete"):
                continue
            body: dict[str, Any] = {}
            for content in operation.get("requestBody", {}).get("content", {}).values():
                body = resolved(name, content["schema"])
            found.append(
                Published(
                    document=name,
                    method=method.upper(),
                    path=path,
                    body=frozenset(body.get("properties", {})),
                    required=frozenset(body.get("required", ())),
                    query=frozenset(p["name"] for p in operation.get("parameters", ()) if p["in"] == "query"),
                    hooks=any(p["name"] == "X-Twilio-Webhook-Enabled" for p in operation.get("parameters", ())),
                    answers={
                        int(status): next((c["schema"] for c in answer.get("content", {}).values()), None)
                        for status, answer in operation["responses"].items()
                    },
                )
            )
    return found


def check_answer(method: str, path: str, status: int, body: Any) -> None:
    """The answer is one a document foresees, down to each property. Refusals have the one shape of errors."""
    if status >= 400:
        _complain(Draft202012Validator(ERROR), body, f"{method} {path}")
        assert body["status"] == status
        assert body["more_info"].endswith(f"/{body['code']}")
        return
    published = _find(method, path)
    assert published is not None, f"{method} {path} is not published, and answered {status}"
    assert status in published.answers, f"{method} {path} answered {status}, not one of {sorted(published.answers)}"
    if published.answers[status] is None:
        assert body is None, f"{method} {path} answers without a body"
    else:
        _complain(_validator(published.shape, status), body, f"{method} {path}")


def _find(method: str, path: str) -> Published | None:
    for published in operations():
        if published.method == method and _pattern(published.path).fullmatch(path):
            return published
    return None


@cache
def _pattern(path: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(path)))


@cache
def _validator(shape: tuple[str, str], status: int) -> Draft202012Validator:
    published = next(one for one in operations() if one.shape == shape)
    schema = _strict(published.document, "", published.answers[status] or {})
    return Draft202012Validator(schema, format_checker=formats)


def _complain(validator: Draft202012Validator, body: Any, where: str) -> None:
    faults = [
        f"{'.'.join(map(str, fault.absolute_path)) or 'it'}: {fault.message}" for fault in validator.iter_errors(body)
    ]
    assert not faults, f"{where}: {'; '.join(faults)}"


def _strict(source: str, name: str, schema: dict[str, Any]) -> dict[str, Any]:
    """A schema of the document ``source`` as JSON Schema, with our additions."""
    schema = resolved(source, schema)
    strict: dict[str, Any] = {
        key: schema[key] for key in ("type", "format", "enum", "minLength", "maxLength") if key in schema
    }
    if "pattern" in schema:
        strict["pattern"] = schema["pattern"].replace("0-9a-fA-F", "0-9a-f")
    if "enum" in strict and name in ("conversation_state", "state"):
        strict["enum"] = sorted({*strict["enum"], "initializing"})  # rest 16.2
    if "enum" in strict and "apn" in strict["enum"]:
        strict["enum"] = [*strict["enum"], "webpush"]  # an addition of ours, semantics 7.1
    if strict.get("enum") == ["GET", "POST"]:
        strict = {"enum": ["GET", "POST", None]}  # rest 16.1: null while a service has set none of its own
    if name in ("pre_webhook_url", "post_webhook_url"):
        strict.pop("format", None)  # of a receiver, not one of ours
    if name == "last_read_timestamp":
        strict["format"] = "date-time"
    if name in _JSON_TEXTS:
        strict["format"] = "json-text"
    if name in _OBJECTS and schema.get("type") != "array":  # a list of push bindings has the name, too
        strict["type"] = "object"
    if "properties" in schema:
        strict["properties"] = {key: _strict(source, key, value) for key, value in schema["properties"].items()}
        strict["required"] = list(schema["properties"])
        strict["additionalProperties"] = False
    if "items" in schema:
        strict["items"] = _strict(source, "", schema["items"])
    is_nullable = schema.get("nullable") and name not in _NEVER_NULL | _ALWAYS_OBJECTS
    if is_nullable and "type" in strict:
        strict["type"] = [strict["type"], "null"]
    return strict
