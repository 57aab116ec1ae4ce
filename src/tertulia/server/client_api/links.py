"""The URLs this face hands out. Clients take them from here and build none themselves (client-commands 1.1).

Every one is absolute, and every value in it is encoded: identities hold whatever an e-mail address holds, and more.
"""

from __future__ import annotations

from urllib.parse import quote

COMMANDS = "/Client/v2"
TYPING = "/v1/typing"


def conversation_url(base_url: str, sid: str) -> str:
    return f"{base_url}{COMMANDS}/Conversations/{sid}"


def user_url(base_url: str, identity: str) -> str:
    return f"{base_url}{COMMANDS}/Users/{quote(identity, safe='')}"


def my_conversations_url(base_url: str, identity: str) -> str:
    return f"{user_url(base_url, identity)}/Conversations"


def receipts_url(base_url: str, conversation: str, message: str) -> str:
    return f"{conversation_url(base_url, conversation)}/Messages/{message}/Receipts"
