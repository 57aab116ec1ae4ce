"""The settings of channels: what goes out to people on them, what comes in, and how long that is remembered."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from .units import BYTES, DAYS, SECONDS

Words = Annotated[str, Meta(max_length=1000)]
ReplyText = Annotated[str, Meta(max_length=1600)]


class ChannelsSettings(Struct, frozen=True):
    """People who are not in the chat: SMS, WhatsApp, Messenger, e-mail."""

    simulator: Annotated[
        bool,
        Meta(
            description="Account holders can play people on simulated phones, by `/simulator` and `tertulia phone`."
            " Messages of accounts without a sender are simulated in any case."
        ),
    ] = False
    may_listen: Annotated[
        bool,
        Meta(
            description="Account holders may let gateways listen on ports of this machine, as the mail server of the"
            " e-mail adapter does (`listen_port`)."
        ),
    ] = False
    gateways_per_account: Annotated[
        int, Meta(description="Gateways that an account may have; each may hold connections and files.", ge=0)
    ] = 50
    senders_per_account: Annotated[int, Meta(description="Senders that an account may have.", ge=0)] = 1000
    validity_s: Annotated[
        int,
        Meta(
            description="How long a message is tried while its gateway cannot be reached or asks us to wait; then it"
            " has failed.",
            ge=60,
            le=7 * 24 * 3600,
            extra=SECONDS,
        ),
    ] = 4 * 3600
    loop_brake_per_minute: Annotated[
        int,
        Meta(
            description="So many messages of people outside go on, in a minute, from one address of ours to one other"
            " person; more have failed with 30001. Two machines that answer each other would never end. 0: all of them"
            " go on.",
            ge=0,
            le=10_000,
        ),
    ] = 30
    media_keep_body: Annotated[
        bool,
        Meta(
            description="A file that goes to SMS or WhatsApp takes the words of its message along, where the channel"
            " has captions. Off: they are dropped, as on the hosted service."
        ),
    ] = True
    media_text: Annotated[
        str,
        Meta(
            description="Sent with the words of a message in place of files that a channel cannot carry; `{url}` in it"
            " is where the first of them can be fetched. Empty: the words go alone, and without words it has failed.",
            max_length=300,
        ),
    ] = ""
    media_url_s: Annotated[
        int,
        Meta(
            description="How long the URL is good by which gateways, or people, fetch a file.",
            ge=60,
            le=7 * 24 * 3600,
            extra=SECONDS,
        ),
    ] = 4 * 3600
    log_days: Annotated[
        int,
        Meta(
            description="How long it is known what went out, to whom, and what gateways call it: what they report later"
            " is not heard. Delivery receipts stay.",
            ge=1,
            le=365,
            extra=DAYS,
        ),
    ] = 30
    stop_words: Annotated[
        Words,
        Meta(
            description="Words that end messages from a number of ours, when they are all that somebody writes;"
            " separated by commas, in any case. Heeded where neither the channel nor the gateway does it."
        ),
    ] = "STOP, STOPALL, UNSUBSCRIBE, CANCEL, END, QUIT, REVOKE, OPTOUT"
    start_words: Annotated[
        Words,
        Meta(description="Words that let them come again. `YES` counts only from somebody who has ended them."),
    ] = "START, YES, UNSTOP"
    help_words: Annotated[Words, Meta(description="Words that are answered with `channels.help_reply`.")] = "HELP, INFO"
    stop_reply: Annotated[
        ReplyText, Meta(description="What somebody is told who has ended messages; empty: nothing.")
    ] = "You will get no more messages from this number. Reply START to get them again."
    start_reply: Annotated[
        ReplyText, Meta(description="What somebody is told who gets them again; empty: nothing.")
    ] = "You will get messages from this number again. Reply STOP to end them, HELP for help."
    help_reply: Annotated[ReplyText, Meta(description="What somebody is told who asks for help; empty: nothing.")] = (
        "Reply STOP to get no more messages from this number, START to get them again."
    )
    callback_bytes: Annotated[
        int, Meta(description="Largest body of a provider's request.", ge=1024, le=100 << 20, extra=BYTES)
    ] = 4 << 20
    callbacks_at_once: Annotated[
        int,
        Meta(
            description="Requests of one gateway's provider that are read and kept at a time. More of them wait, for"
            " some seconds; who waits longer is answered with 503, and comes again.",
            ge=1,
        ),
    ] = 64
    fetch_attempts: Annotated[
        int,
        Meta(
            description="How often the files of a message are asked for, over some minutes, before it goes on without"
            " them.",
            ge=1,
            le=100,
        ),
    ] = 10


def words(text: str) -> frozenset[str]:
    """The words of a setting, in upper case."""
    return frozenset(word.strip().upper() for word in text.split(",") if word.strip())
