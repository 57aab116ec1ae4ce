"""Our own description: complete, consistent, made from the table."""

from __future__ import annotations

import json
from typing import Any

from tertulia.server.client_api import CLIENT_API
from tertulia.server.rest import ACCOUNT_API, ADDITIONS
from tertulia.server.web.openapi import describe

OPERATIONS = (*ACCOUNT_API, *ADDITIONS, *CLIENT_API)
DOCUMENT: dict[str, Any] = json.loads(describe(OPERATIONS))
ENTRIES = {(path, method): entry for path, item in DOCUMENT["paths"].items() for method, entry in item.items()}


def references(value: Any) -> set[str]:
    if isinstance(value, dict):
        own = {value["$ref"]} if isinstance(value.get("$ref"), str) else set()
        return own.union(*(references(each) for each in value.values()))
    if isinstance(value, list):
        return set().union(*(references(each) for each in value))
    return set()


def test_every_operation_is_described_once_under_a_name_of_its_own() -> None:
    assert set(ENTRIES) == {(operation.path, operation.method.lower()) for operation in OPERATIONS}
    names = [entry["operationId"] for entry in ENTRIES.values()]
    assert len(set(names)) == len(names)


def test_every_reference_leads_somewhere() -> None:
    for reference in references(DOCUMENT):
        assert reference.removeprefix("#/components/schemas/") in DOCUMENT["components"]["schemas"]


def test_every_value_of_a_path_is_described() -> None:
    for (path, _), entry in ENTRIES.items():
        described = {one["name"] for one in entry["parameters"] if one["in"] == "path"}
        assert described == {part[1:-1] for part in path.split("/") if part.startswith("{")}


def test_an_operation_has_its_form_its_query_and_its_answers() -> None:
    listed = ENTRIES["/v1/Conversations/{conversation}/Messages", "get"]
    assert {one["name"] for one in listed["parameters"]} == {"conversation", "PageSize", "Page", "PageToken", "Order"}
    made = ENTRIES["/v1/Services/{service}/Conversations/{conversation}/Messages", "post"]
    assert made["summary"].startswith("Add a message")
    assert set(made["responses"]) == {"201", "default"}
    assert set(made["requestBody"]["content"]) == {"application/x-www-form-urlencoded"}
    assert made["security"] == [{"account": []}]
    gone = ENTRIES["/v1/Roles/{role}", "delete"]
    assert "content" not in gone["responses"]["204"]
    form = DOCUMENT["components"]["schemas"]["ConversationForm"]
    assert "Timers.Inactive" in form["properties"]
    assert form["properties"]["State"]["enum"] == ["active", "inactive", "closed"]


def test_web_push_is_named_beside_the_published_kinds() -> None:
    schemas = DOCUMENT["components"]["schemas"]
    assert schemas["CreateCredential"]["properties"]["Type"]["enum"] == ["apn", "gcm", "fcm", "webpush"]
    listed = ENTRIES["/v1/Services/{service}/Bindings", "get"]
    kinds = next(one["schema"] for one in listed["parameters"] if one["name"] == "BindingType")
    assert kinds["items"]["enum"] == ["apn", "gcm", "fcm", "webpush", "twilsock"]
    for body, member in (("RegisterBody", "channel_type"), ("RemoveBody", "binding_type")):
        assert schemas[body]["properties"][member]["enum"] == ["apn", "gcm", "fcm", "webpush"]
