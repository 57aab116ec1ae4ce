"""What a client asks first (client-commands 3, realtime 10.1)."""

from __future__ import annotations

import pytest

from tertulia.server.domain.services import ConfigureService
from tests.engine.world import BASE_URL, World

from .sdk import Face, Sdk

CONFIGURATION = "/Client/v2/Configuration"


@pytest.mark.owner_demand(20)
async def test_everything_a_client_needs_to_start_is_there(ana: Sdk, world: World) -> None:
    answer = await ana.get(CONFIGURATION)
    service = world.service
    assert answer.json == {
        "url": f"{BASE_URL}/Client/v2/Configuration",
        "identity": "ana",
        "service_sid": service,
        "options": {
            "consumption_report_interval": "PT5S",
            "user_infos_to_subscribe": 100,
            "reachability_enabled": False,
            "http_cache_interval": "PT5S",
            "my_conversations_page_size": 100,
            "media_attachments_count_limit": 10,
            "media_attachment_size_limit_in_mb": 150,
            "media_attachments_total_size_limit_in_mb": 150,
            "email_histories_allowed_mime_types": ["text/plain", "text/html"],
            "email_bodies_allowed_mime_types": ["text/plain", "text/html"],
            "mutation_replay_interval": "PT600S",
        },
        "sync_objects": {"my_conversations": f"{service}.ana.conversations", "my_user_info": f"{service}.ana.info"},
        "links": {
            "my_conversations": f"{BASE_URL}/Client/v2/Users/ana/Conversations",
            "conversations": f"{BASE_URL}/Client/v2/Conversations",
            "users": f"{BASE_URL}/Client/v2/Users",
            "current_user": f"{BASE_URL}/Client/v2/Users/ana",
            "typing": f"{BASE_URL}/v1/typing",
            "media_service": f"{BASE_URL}/v1/Services/{service}/Media",
            "media_set_service": f"{BASE_URL}/v1/Services/{service}/MediaSet",
            "messages_receipts": f"{BASE_URL}/Client/v2/Conversations/%s/Messages/%s/Receipts",
        },
    }


async def test_the_links_work_for_any_identity(face: Face) -> None:
    odd = await face.sdk("a b/é+50%@x.y")
    links = (await odd.get(CONFIGURATION))["links"]
    assert (await odd.get(links["my_conversations"]))["conversations"] == []
    assert (await odd.get(links["current_user"]))["identity"] == odd.identity
    assert (await odd.get(f"{links['users']}/a%20b%2F%C3%A9%2B50%25%40x.y"))["identity"] == odd.identity


async def test_the_sync_objects_named_can_be_opened(ana: Sdk) -> None:
    names = (await ana.get(CONFIGURATION))["sync_objects"]
    for name in names.values():
        assert (await ana.get(f"/v3/Maps/{name}"))["unique_name"] == name


async def test_reachability_is_as_the_service_has_it(ana: Sdk, world: World) -> None:
    await world.engine.execute(world.account, ConfigureService(service=world.service, reachability_enabled=True))
    assert (await ana.get(CONFIGURATION))["options"]["reachability_enabled"] is True
