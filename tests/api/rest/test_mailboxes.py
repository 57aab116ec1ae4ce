"""What REST says of mailboxes: their one spelling, whichever was given, and it finds them by any."""

from __future__ import annotations

from urllib.parse import quote

from .client import AccountHolder

ANNA, DESK = "anna@x.org", "desk@example.org"
BY_MAIL = {"MessagingBinding.Address": "Anna@X.org", "MessagingBinding.ProxyAddress": "Desk@Example.ORG"}


async def test_a_participant_is_shown_by_the_one_spelling_of_his_mailbox(api: AccountHolder, room: str) -> None:
    made = await api.made(f"{room}/Participants", BY_MAIL)
    binding = made["messaging_binding"]
    assert (binding["type"], binding["address"], binding["proxy_address"]) == ("email", ANNA, DESK)


async def test_a_pair_in_another_spelling_is_taken(api: AccountHolder, room: str) -> None:
    await api.made(f"{room}/Participants", BY_MAIL)
    again = {"MessagingBinding.Address": ANNA, "MessagingBinding.ProxyAddress": DESK}
    refused = await api.post(f"{room}/Participants", again)
    assert (refused.status, refused.body["code"]) == (409, 50416)


async def test_the_conversations_of_a_mailbox_are_found_by_any_spelling(api: AccountHolder, room: str) -> None:
    made = await api.made(f"{room}/Participants", BY_MAIL)
    for address in (ANNA, "ANNA@X.ORG"):
        [found] = await api.everything("/ParticipantConversations", Address=address)
        assert found["participant_sid"] == made["sid"]


async def test_an_address_configuration_is_found_by_any_spelling(account: AccountHolder) -> None:
    made = await account.made("/Configuration/Addresses", {"Type": "email", "Address": "Desk@Example.ORG"})
    assert made["address"] == DESK
    for address in (DESK, "DESK@example.org"):
        assert (await account.get(f"/Configuration/Addresses/{quote(address)}")).body == made
