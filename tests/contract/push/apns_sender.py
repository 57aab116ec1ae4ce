"""Another library sends to devices of Apple's: run by a test as a process of its own, so that it stays as it is.

``python apns_sender.py PORT CA_FILE KEY_ID TEAM_ID TOPIC`` reads a JSON list, the key first and then device tokens,
sends a message to each, and writes a JSON list of what it made of the answers: ``[status, reason, timestamp]``.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import sys

from aioapns import APNs, NotificationRequest, PushType
from aioapns.connection import APNsProductionClientProtocol


async def told(port: str, ca_file: str, key_id: str, team_id: str, topic: str) -> list[list[object]]:
    APNsProductionClientProtocol.APNS_SERVER = "localhost"
    APNsProductionClientProtocol.APNS_PORT = int(port)
    context = ssl.create_default_context(cafile=ca_file)
    context.set_alpn_protocols(["h2"])
    key, *devices = json.load(sys.stdin)
    client = APNs(key=key, key_id=key_id, team_id=team_id, topic=topic, ssl_context=context)
    read: list[list[object]] = []
    for device in devices:
        message = {"aps": {"alert": "hello"}, "twi_message_type": "twilio.conversations.new_message"}
        request = NotificationRequest(device, message, time_to_live=3600, push_type=PushType.ALERT)
        result = await client.send_notification(request)
        read.append([result.status, result.description, result.timestamp])
    client.pool.close()
    return read


json.dump(asyncio.run(told(*sys.argv[1:])), sys.stdout)
