"""Google's own library sends to devices: run by a test as a process of its own, so that it stays as it is.

``python firebase_sender.py ACCOUNT.json`` reads a JSON list of device tokens, sends a message to each, and writes a
JSON list of what it made of the answers: ``[name of the message or of the error's class, code, HTTP status]``.
"""

from __future__ import annotations

import json
import sys

import firebase_admin
from firebase_admin import credentials, exceptions, messaging


def told(device_token: str, app: firebase_admin.App) -> list[str | int | None]:
    message = messaging.Message(
        token=device_token,
        data={"twi_message_type": "twilio.conversations.new_message", "twi_body": "hello"},
        android=messaging.AndroidConfig(priority="high", ttl=3600),
    )
    try:
        return [messaging.send(message, app=app), None, 200]
    except exceptions.FirebaseError as error:
        status = error.http_response.status_code if error.http_response is not None else None
        return [type(error).__name__, error.code, status]


app = firebase_admin.initialize_app(credentials.Certificate(sys.argv[1]), {"httpTimeout": 10})
json.dump([told(token, app) for token in json.load(sys.stdin)], sys.stdout)
