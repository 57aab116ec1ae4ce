"""What is sent of a message on a channel, or why nothing is: a table (semantics 4.5 to 4.11)."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from tertulia.server.domain.attachments import parts_text
from tertulia.server.domain.channel_messages import ChannelRecord
from tertulia.server.domain.channel_rules import Case, Decided, Options, Person, Refusal, decide, decide_reply
from tertulia.server.domain.channels import MEDIA_OF_PHONES, Capabilities
from tertulia.server.domain.content import Approval, ApprovalStatus, Content
from tertulia.server.domain.content_types import read_types
from tertulia.server.domain.mail_threads import Earlier
from tertulia.server.domain.media import Media
from tertulia.server.domain.messages import Message

NOW = 1_700_000_000_000_000
HOUR = 3600 * 1_000_000
DAY = timedelta(days=1)
TEXT_ONLY = Capabilities()
PHONES = Capabilities(media_types=MEDIA_OF_PHONES, media_bytes=5 << 20, has_captions=True)
WINDOW = Capabilities(window=DAY, has_templates=True)


def record(kind: str = "sms", *recipients: str, sender: str = "ours") -> ChannelRecord:
    to = recipients or ("theirs",)
    return ChannelRecord(
        sid="SM1",
        account_sid="AC1",
        service_sid="IS1",
        conversation_sid="CH1",
        message_sid="IM1",
        participant_sid="MB1" if len(to) == 1 else None,
        message_index=0,
        kind=kind,
        sender=sender,
        recipients=to,
        gateway_sid="GW1",
        state="waiting",
        segments=None,
        error_code=0,
        created_at=NOW,
        updated_at=NOW,
        sent_at=None,
        valid_until=NOW + HOUR,
    )


def message(body: str | None = "hello", *files: Media, **fields: Any) -> Message:
    made = Message(
        conversation_sid="CH1",
        index=0,
        sid="IM1",
        account_sid="AC1",
        service_sid="IS1",
        author="ana",
        participant_sid=None,
        body=body,
        subject=None,
        attributes="{}",
        created_at=NOW,
        updated_at=NOW,
        last_updated_by=None,
        created_event=0,
        event=0,
        media=parts_text(files),
    )
    return msgspec.structs.replace(made, **fields)


def file(sid: str = "ME1", content_type: str = "image/png", size: int = 100, category: str = "media") -> Media:
    return Media(
        sid=sid,
        account_sid="AC1",
        service_sid="IS1",
        author="ana",
        category=category,
        filename=None,
        content_type=content_type,
        size=size,
        sha256="",
        blob=sid,
        inline=None,
        conversation_sid="CH1",
        message_sid="IM1",
        quarantined_at=None,
        created_at=NOW,
        updated_at=NOW,
    )


def person(n: int = 1, **fields: Any) -> Person:
    return msgspec.structs.replace(Person(participant_sid=f"MB{n}", address="theirs"), **fields)


def template(status: ApprovalStatus = ApprovalStatus.APPROVED, types: dict[str, Any] | None = None) -> Content:
    given = {"twilio/text": {"body": "Hello {{1}}"}, **(types or {})}
    chosen = [*given][-1]
    return Content(
        sid="HX1",
        account_sid="AC1",
        friendly_name="",
        language="pt_BR",
        variables={"1": "you", "2": "here"},
        types=read_types(json.dumps(given).encode()),
        approval=Approval(name="welcome", category="UTILITY", content_type=chosen, status=status),
        created_at=NOW,
        updated_at=NOW,
    )


def url(media: Media) -> str:
    return f"https://chat.test/{media.sid}"


def decided(
    said: Message | None = None,
    capabilities: Capabilities = TEXT_ONLY,
    options: Options = Options(),  # noqa: B008 (it never changes)
    **fields: Any,
) -> Decided | Refusal:
    given = said or message()
    case = Case(record=record(), is_ours=True, people=(person(),), message=given)
    return decide(msgspec.structs.replace(case, **fields), capabilities, options, NOW, url)


def sent(*arguments: Any, **fields: Any) -> Decided:
    outcome = decided(*arguments, **fields)
    assert isinstance(outcome, Decided), outcome
    return outcome


def code(*arguments: Any, **fields: Any) -> int:
    outcome = decided(*arguments, **fields)
    assert isinstance(outcome, Refusal), outcome
    return outcome.code


# --- whether


@pytest.mark.parametrize(
    ("fields", "refused"),
    [
        ({"is_ours": False}, 21212),
        ({"record": record(sender="")}, 21212),
        ({"people": (person(is_member=False),)}, 30008),
        ({"people": (person(is_opted_out=True),)}, 21610),
        ({"record": record("sms", "a", "b")}, 30008),
        ({"message": message("x" * 1601)}, 21617),
        ({"message": message(None)}, 30008),
    ],
    ids=["not ours", "no address", "left", "opted out", "no groups", "too long", "empty"],
)
def test_what_is_refused(fields: dict[str, Any], refused: int) -> None:
    capabilities = msgspec.structs.replace(TEXT_ONLY, has_opt_out=True)
    assert code(None, capabilities, **fields) == refused


def test_a_message_that_is_gone_is_withdrawn() -> None:
    case = Case(record=record(), is_ours=True, people=(person(),))
    outcome = decide(case, TEXT_ONLY, Options(), NOW, url)
    assert isinstance(outcome, Refusal) and outcome.is_withdrawn


def test_who_left_is_withdrawn_and_who_may_not_be_sent_it_is_not() -> None:
    left = decided(people=(person(is_member=False),))
    outside = decided(None, WINDOW)
    assert isinstance(left, Refusal) and isinstance(outside, Refusal)
    assert (left.is_withdrawn, outside.is_withdrawn) == (True, False)


@pytest.mark.parametrize("length", [1, 1600])
def test_as_much_text_as_the_channel_carries(length: int) -> None:
    assert sent(message("é" * length)).text == "é" * length


def test_who_has_opted_out_has_done_so_whoever_reads_the_words() -> None:
    assert code(people=(person(is_opted_out=True),)) == 21610


def test_what_would_go_to_an_address_of_ours_does_not_go() -> None:
    assert code(people=(person(is_ours=True),)) == 21211


def test_a_group_of_one_person_and_numbers_of_ours_is_a_group() -> None:
    group = msgspec.structs.replace(record(), participant_sid=None)
    assert code(record=group) == 30008
    assert sent(None, Capabilities(has_groups=True), record=group).recipients == ("theirs",)


@pytest.mark.parametrize(
    ("heard_at", "is_sent"),
    [(None, False), (NOW - 24 * HOUR, False), (NOW - 24 * HOUR + 1, True), (NOW, True), (NOW + HOUR, True)],
)
def test_the_window(heard_at: int | None, is_sent: bool) -> None:
    outcome = decided(None, WINDOW, people=(person(heard_at=heard_at),))
    assert isinstance(outcome, Decided) == is_sent
    if isinstance(outcome, Refusal):
        assert (outcome.code, outcome.failures) == (63016, (("MB1", 63016),))


def test_of_several_each_has_his_own_reason() -> None:
    capabilities = Capabilities(has_opt_out=True, has_groups=True)
    people = (
        person(1, address="a", is_opted_out=True),
        person(2, address="b"),
        person(3, address="c", is_member=False),
        person(4, address="d"),
    )
    outcome = sent(None, capabilities, people=people, record=record("sms", "a", "b", "c", "d"))
    assert outcome.recipients == ("b", "d")
    assert outcome.failures == (("MB1", 21610), ("MB3", 30008))


# --- templates


def test_an_approved_template_goes_at_any_time_with_what_its_placeholders_stand_for() -> None:
    said = message("Hello Ana", content_sid="HX1", content_variables='{"1":"Ana"}')
    outcome = sent(said, WINDOW, content=template())
    assert outcome.template is not None
    assert (outcome.template.name, outcome.template.language) == ("welcome", "pt_BR")
    assert (outcome.template.type, outcome.template.content) == ("twilio/text", {"body": "Hello {{1}}"})
    assert outcome.template.variables == {"1": "Ana", "2": "here"}
    assert (outcome.text, outcome.is_within_window) == ("Hello Ana", False)


def test_a_template_is_of_the_type_that_was_submitted() -> None:
    rich = template(types={"twilio/quick-reply": {"body": "Well?", "actions": [{"title": "Yes", "id": "y"}]}})
    outcome = sent(message("Hello", content_sid="HX1"), WINDOW, content=rich)
    assert outcome.template is not None
    assert outcome.template.type == "twilio/quick-reply"
    assert outcome.template.content == {"body": "Well?", "actions": [{"title": "Yes", "id": "y"}]}


@pytest.mark.parametrize(
    "content",
    [
        None,
        template(ApprovalStatus.RECEIVED),
        msgspec.structs.replace(template(), approval=None),
    ],
    ids=["gone", "not yet approved", "never submitted"],
)
def test_what_is_no_approved_template_goes_as_words_and_only_within_the_window(content: Content | None) -> None:
    said = message("Hello Ana", content_sid="HX1")
    assert code(said, WINDOW, content=content) == 63016
    outcome = sent(said, WINDOW, content=content, people=(person(heard_at=NOW),))
    assert (outcome.text, outcome.template) == ("Hello Ana", None)


def test_channels_without_templates_are_sent_their_words() -> None:
    outcome = sent(message("Hello Ana", content_sid="HX1"), content=template())
    assert (outcome.text, outcome.template) == ("Hello Ana", None)


# --- files


@pytest.mark.parametrize(
    ("capabilities", "options", "kind", "text"),
    [
        (PHONES, Options(), "sms", "look"),
        (PHONES, Options(media_keep_body=False), "sms", None),
        (PHONES, Options(media_keep_body=False), "whatsapp", None),
        (PHONES, Options(media_keep_body=False), "email", "look"),
        (msgspec.structs.replace(PHONES, has_captions=False), Options(), "sms", None),
    ],
    ids=["caption", "strict", "strict WhatsApp", "strict e-mail", "no captions"],
)
def test_what_becomes_of_words_beside_a_file(
    capabilities: Capabilities, options: Options, kind: str, text: str | None
) -> None:
    picture = file()
    outcome = sent(message("look", picture), capabilities, options, files=(picture,), record=record(kind))
    assert ([one.sid for one in outcome.media], outcome.text) == (["ME1"], text)


@pytest.mark.parametrize(
    ("count", "chosen"),
    [(1, ["ME2"]), (2, ["ME2", "ME4"]), (10, ["ME2", "ME4"])],
)
def test_the_first_files_that_can_go_do(count: int, chosen: list[str]) -> None:
    files = (
        file("ME1", "text/csv"),
        file("ME2", "image/png"),
        file("ME3", "video/mp4", 6 << 20),
        file("ME4", "IMAGE/JPEG; name=x"),
        file("ME5", "image/png", category="body"),
    )
    capabilities = msgspec.structs.replace(PHONES, media_count=count)
    outcome = sent(message(None, *files), capabilities, files=files)
    assert [one.sid for one in outcome.media] == chosen


def test_some_channels_carry_everything() -> None:
    table = file(content_type="text/csv", size=10 << 20)
    everything = Capabilities(media_types=frozenset(("*/*",)), media_bytes=20 << 20)
    assert sent(message(None, table), everything, files=(table,)).media == (table,)


@pytest.mark.parametrize(
    ("body", "media_text", "text"),
    [
        ("the list", "", "the list"),
        ("the list", "See {url}", "the list\nSee https://chat.test/ME1"),
        (None, "See {url}", "See https://chat.test/ME1"),
        (None, "A file", "A file"),
    ],
)
def test_what_is_said_in_place_of_a_file_that_cannot_go(body: str | None, media_text: str, text: str) -> None:
    table = file(content_type="text/csv")
    outcome = sent(message(body, table), PHONES, Options(media_text=media_text), files=(table,))
    assert (outcome.text, outcome.media) == (text, ())


@pytest.mark.parametrize(
    ("files", "capabilities", "refused"),
    [
        ((file(content_type="text/csv"),), PHONES, 50511),
        ((file(size=6 << 20),), PHONES, 50512),
        ((file(content_type="text/csv"), file("ME2", size=6 << 20)), PHONES, 50512),
        ((file(),), TEXT_ONLY, 50511),
        ((), PHONES, 11200),
    ],
    ids=["type", "size", "both", "no files at all", "gone"],
)
def test_why_a_file_alone_cannot_go(files: tuple[Media, ...], capabilities: Capabilities, refused: int) -> None:
    assert code(message(None, *(files or (file(),))), capabilities, files=files) == refused


def test_a_link_to_a_file_that_is_gone_is_none() -> None:
    assert code(message(None, file()), TEXT_ONLY, Options(media_text="See {url}"), files=()) == 11200


def test_what_takes_the_place_of_a_file_counts_as_text() -> None:
    table = file(content_type="text/csv")
    assert code(message("x" * 1600, table), PHONES, Options(media_text="See {url}"), files=(table,)) == 21617


# --- e-mail


def test_an_e_mail_may_have_a_page_alone() -> None:
    page = file(content_type="text/html", category="body")
    outcome = sent(message(None, page), Capabilities(), files=(page,), record=record("email"))
    assert (outcome.html, outcome.text) == (page, None)
    assert code(message(None, page), files=(page,)) == 30008, "no other channel shows it"


def test_copies_alone_are_the_recipients() -> None:
    people = (person(1, address="a@a.test", is_copy=True), person(2, address="b@b.test", is_copy=True))
    outcome = sent(people=people, record=record("email", "a@a.test", "b@b.test"))
    assert outcome.envelope is not None
    assert (outcome.recipients, outcome.envelope.copies) == (("a@a.test", "b@b.test"), ())


@pytest.mark.parametrize(
    ("own", "before", "subject"),
    [
        ("Order 7", ["Other"], "Order 7"),
        (None, ["Order 7"], "Re: Order 7"),
        (None, [None, "RE: Order 7"], "RE: Order 7"),
        (None, [None, None], None),
        (None, [], None),
    ],
)
def test_the_subject_is_its_own_or_the_last_one(own: str | None, before: list[str | None], subject: str | None) -> None:
    earlier = tuple(Earlier(f"IM{n}", text, None) for n, text in enumerate(before))
    outcome = sent(message(subject=own), earlier=earlier, record=record("email"))
    assert outcome.envelope is not None and outcome.envelope.subject == subject


def test_a_thread_names_its_last_messages_oldest_first() -> None:
    earlier = tuple(Earlier(f"IM{n}", None, f"<{n}@a.test>" if n % 2 else None) for n in range(30))
    outcome = sent(earlier=earlier, record=record("email"))
    assert outcome.envelope is not None
    assert outcome.envelope.chain[-2:] == ("<1@a.test>", "IM0")
    assert len(outcome.envelope.chain) == 20


def test_other_channels_have_no_envelope() -> None:
    assert sent(message(subject="Order 7")).envelope is None


# --- answers outside conversations


@pytest.mark.parametrize(
    ("kind", "is_ours", "text", "refused"),
    [
        ("sms", True, "Bye", None),
        ("sms", False, "Bye", 21212),
        ("sms", True, "x" * 1601, 21617),
        ("email", True, "Bye", None),
    ],
)
def test_an_answer_that_was_asked_for(kind: str, is_ours: bool, text: str, refused: int | None) -> None:
    outcome = decide_reply(Case(record=record(kind), is_ours=is_ours), text, TEXT_ONLY)
    if isinstance(outcome, Refusal):
        assert outcome.code == refused
    else:
        assert (refused, outcome.text, outcome.recipients) == (None, text, ("theirs",))
        assert (outcome.envelope is not None and outcome.envelope.is_automatic) == (kind == "email")


def test_nothing_that_is_decided_on_is_printed() -> None:
    case = Case(record=record(), is_ours=True, people=(person(address="do-not-log"),), message=message("do-not-log"))
    outcome = decide(case, TEXT_ONLY, Options(), NOW, url)
    assert "do-not-log" not in repr(case) + repr(outcome) + repr(case.people)
