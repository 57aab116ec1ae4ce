"""Mail becomes messages, reports, or nothing: by tables of what programs and servers write."""

from __future__ import annotations

import base64
from typing import Any, cast

import pytest

from tertulia.server.channels.email.html_text import text_of
from tertulia.server.channels.email.imap import folder_name, quoted
from tertulia.server.channels.email.mailboxes import named
from tertulia.server.channels.email.mime import DEEPEST, MOST_PARTS
from tertulia.server.channels.email.quoting import split
from tertulia.server.channels.email.reading import Ignored
from tertulia.server.channels.email.settings import OnFailure
from tertulia.server.domain.channels import Incoming, Report
from tertulia.server.domain.receipts import ReceiptStatus
from tests.contract.channels import email_cases as cases
from tests.contract.channels.email_cases import HEAD, dsn, mail
from tests.contract.channels.email_stage import ANNA, CH, EM, IM, SUPPORT, email_settings, files_of, heard, incoming

OTHER = "IM" + "8" * 32
REPLY = "reply@shop.example"
BOUNCES = "bounces@shop.example"


def told(found: tuple[Incoming | Report, ...]) -> list[Incoming]:
    return [one for one in found if isinstance(one, Incoming)]


def test_a_plain_mail() -> None:
    one = incoming(mail())
    assert (one.sender, one.recipient, one.text, one.subject) == (ANNA, SUPPORT, "Hello", "Hi")
    assert (one.provider_id, one.profile_name) == (f"<1@home.example> {SUPPORT}", "Anna")
    assert (one.media, one.others, one.answers, one.conversation_sid) == ((), (), (), None)
    assert "anna" not in repr(one)


@pytest.mark.parametrize("name", cases.ANSWERS)
def test_what_is_new_in_an_answer(name: str) -> None:
    text, reply, history = cases.ANSWERS[name]
    whole = text.strip("\n")
    assert split(text) == (whole if reply is None else reply, history)
    one = incoming(mail("Content-Type: text/plain; charset=utf-8\n", text))
    assert one.text == (whole if reply is None else reply)
    kept = [("body", "text/plain", None, whole.encode()), ("history", "text/plain", None, history.encode())]
    assert files_of(one) == (kept if history else [])


@pytest.mark.parametrize(("head", "why"), cases.AUTOMATIC.items())
def test_no_program_is_answered(head: str, why: str | None) -> None:
    found = heard(mail(f"{head}\n"))
    assert (found.why if isinstance(found, Ignored) else None) == why


@pytest.mark.parametrize(
    ("head", "why"),
    [
        (HEAD.replace("anna@home.example", "SUPPORT@shop.example"), "it comes from an address of ours"),
        (HEAD.replace("anna@home.example", REPLY), "it comes from an address of ours"),
        (HEAD.replace("1@home.example", f"{IM}@shop.example"), "it is ours, and came back"),
        (HEAD.replace("1@home.example", f"{EM}@SHOP.example"), "it is ours, and came back"),
        (HEAD.replace("1@home.example", f"{IM}@another.example"), None),
        (HEAD.replace("From:", "X:"), "it names no sender"),
        (HEAD.replace("anna@home.example", "anna"), "it names no sender"),
    ],
)
def test_what_comes_from_ourselves(head: str, why: str | None) -> None:
    found = heard(mail(head=head), reply_mailbox=REPLY)
    assert (found.why if isinstance(found, Ignored) else None) == why


def test_a_mail_that_its_server_says_must_not_be_answered() -> None:
    assert isinstance(heard(mail(), sender="", recipients=(SUPPORT,)), Ignored)
    assert incoming(mail(), sender="anna@home.example", recipients=(SUPPORT,)).text == "Hello"


@pytest.mark.parametrize(("addresses", "recipient", "conversation"), cases.PLACES)
@pytest.mark.parametrize("how", ["header", "envelope"])
def test_whom_a_mail_is_for(
    addresses: tuple[str, ...], recipient: str | None, conversation: str | None, how: str
) -> None:
    to = ", ".join(addresses) if how == "header" else "somebody@else.example"
    found = heard(
        mail(head=HEAD.replace(SUPPORT, to)),
        SUPPORT,
        "sales@shop.example",
        recipients=addresses if how == "envelope" else (),
        reply_mailbox=REPLY,
        bounce_mailbox=BOUNCES,
    )
    if recipient is None:
        assert isinstance(found, Ignored)
    else:
        assert isinstance(found, tuple)
        assert (recipient, conversation) in [(one.recipient, one.conversation_sid) for one in told(found)]


def test_a_blind_copy_is_for_the_only_sender_there_is() -> None:
    hidden = mail(head=HEAD.replace("To: support@shop.example\n", ""))
    assert incoming(hidden).recipient == SUPPORT
    assert isinstance(heard(hidden, SUPPORT, "sales@shop.example"), Ignored)
    told = hidden.replace(b"From", b"Delivered-To: sales@shop.example\r\nFrom")
    assert incoming(told, SUPPORT, "sales@shop.example").recipient == "sales@shop.example"


@pytest.mark.parametrize(
    ("heads", "answers"),
    [
        (f"In-Reply-To: <{IM}@shop.example>\n", (IM,)),
        (f"In-Reply-To: <{IM.upper()}@SHOP.example>\n", (IM,)),
        (f"References: <x@y.example> <{OTHER}@shop.example>\n <{IM}@shop.example>\n", (IM, OTHER)),
        (f"References: <{OTHER}@shop.example>\nIn-Reply-To: <{IM}@shop.example>\n", (IM, OTHER)),
        (f"In-Reply-To: Your message <{IM}@shop.example> of today\n", (IM,)),
        ("In-Reply-To: <x@y.example>\n", ()),
        (f"In-Reply-To: <{EM}@shop.example>\n", ()),
        (f"In-Reply-To: {IM}\n", ()),
    ],
)
def test_what_a_mail_answers(heads: str, answers: tuple[str, ...]) -> None:
    assert incoming(mail(heads)).answers == answers


@pytest.mark.parametrize(
    ("head", "sender", "name"),
    [
        ('"Bo, Anna" <anna@home.example>', ANNA, "Bo, Anna"),
        ("anna@home.example (Anna)", ANNA, None),
        ("anna@home.example", ANNA, None),
        ("<anna@HOME.example>", ANNA, None),
        ("=?utf-8?q?J=C3=B6rg?= =?utf-8?b?IMOE?= <anna@home.example>", ANNA, "Jörg Ä"),
        ("=?unknown?q?J?= <anna@home.example>", ANNA, "J"),
        ("Jörg <jörg@xn--mnchen-3ya.example>", "jörg@münchen.example", "Jörg"),
        ("x <anna@home.example>, y <bo@home.example>", ANNA, "x"),
        ("Group: anna@home.example;", ANNA, None),
        ('"unclosed <anna@home.example>', None, None),
        ("(((((((((((anna@home.example", None, None),
    ],
)
def test_who_has_written(head: str, sender: str | None, name: str | None) -> None:
    found = heard(mail(head=HEAD.replace("Anna <anna@home.example>", head)))
    if sender is None:
        assert isinstance(found, Ignored)
    else:
        assert isinstance(found, tuple)
        assert [(one.sender, one.profile_name) for one in told(found)] == [(sender, name)]


@pytest.mark.parametrize(
    ("charset", "data", "text"),
    [
        ("utf-8", "Grüße".encode(), "Grüße"),
        ("iso-8859-1", "Grüße".encode("latin-1"), "Grüße"),
        ("iso-8859-1", "“5 €”".encode("cp1252"), "“5 €”"),
        ("us-ascii", "Grüße".encode(), "Grüße"),
        ("koi8-r", "Привет".encode("koi8-r"), "Привет"),
        ("gb2312", "㐂好".encode("gb18030"), "㐂好"),
        ("iso-2022-jp", "こんにちは".encode("iso-2022-jp"), "こんにちは"),
        ("no-such-set", "Grüße".encode(), "Grüße"),
        ("no-such-set", "Grüße".encode("latin-1"), "Grüße"),
        ("base64", b"SGk=", "SGk="),
        ("punycode", b"Gre-1ya", "Gre-1ya"),
        ("utf-8", b"a\xffb", "a\ufffdb"),
    ],
)
def test_character_sets(charset: str, data: bytes, text: str) -> None:
    raw = mail(f"Content-Type: text/plain; charset={charset}\nContent-Transfer-Encoding: 8bit\n", "") + data
    assert incoming(raw).text == text


@pytest.mark.parametrize(
    ("raw", "subject"),
    [
        ("=?utf-8?b?R3LDvMOfZQ==?=", "Grüße"),
        ("=?utf-8?b?R3LD?=\n =?utf-8?b?vMOfZQ==?=", "Grüße"),
        ("=?iso-8859-1?q?Gr=FC=DFe_an?= =?utf-8?q?_alle?=", "Grüße an alle"),
        ("a =?utf-8?q?b?= c", "a b c"),
        ("Grüße", "Grüße"),
        ("=?utf-8?b?!!?=", None),
        ("=?utf-8?x?a?=", "=?utf-8?x?a?="),
        ("folded\n over\n\tlines", "folded over lines"),
    ],
)
def test_subjects(raw: str, subject: str | None) -> None:
    assert incoming(mail(head=HEAD.replace("Hi", raw))).subject == subject


def parts(kind: str, *members: str, boundary: str = "b1") -> bytes:
    body = "".join(f"--{boundary}\n{member}\n" for member in members) + f"--{boundary}--\n"
    return mail(f'Content-Type: multipart/{kind}; boundary="{boundary}"\n', body)


PLAIN = "Content-Type: text/plain\n\nHello"
PAGE = "Content-Type: text/html\n\n<p>Hello <b>you</b></p>"
PICTURE = (
    'Content-Type: image/png; name="a.png"\nContent-ID: <p1>\nContent-Transfer-Encoding: base64\n'
    f"Content-Disposition: inline\n\n{base64.b64encode(b'picture').decode()}"
)
KEPT_PAGE = ("body", "text/html", None, b"<p>Hello <b>you</b></p>")


@pytest.mark.parametrize(
    ("raw", "text", "files"),
    [
        (parts("alternative", PLAIN, PAGE), "Hello", [KEPT_PAGE]),
        (mail("Content-Type: text/html\n", "<p>Hello <b>you</b></p>"), "Hello you", [KEPT_PAGE]),
        (parts("mixed", PLAIN, PICTURE), "Hello", [("media", "image/png", "a.png", b"picture")]),
        (parts("related", PAGE, PICTURE), "Hello you", [KEPT_PAGE, ("media", "image/png", "a.png", b"picture")]),
        (
            parts("mixed", PLAIN, "Content-Type: text/plain\nContent-Disposition: attachment; filename=a.txt\n\nfile"),
            "Hello",
            [("media", "text/plain", "a.txt", b"file")],
        ),
        (
            parts("mixed", PLAIN, PICTURE, "\n-- \nAnna"),
            "Hello\n-- \nAnna",
            [("media", "image/png", "a.png", b"picture")],
        ),
        (
            parts("mixed", PLAIN, "Content-Type: message/rfc822\n\nSubject: x\n\nwithin"),
            "Hello",
            [("media", "message/rfc822", "file-1.eml", b"Subject: x\r\n\r\nwithin")],
        ),
        (parts("signed", PLAIN, "Content-Type: application/pgp-signature\n\n-----BEGIN"), "Hello", []),
        (
            parts(
                "mixed",
                "Content-Type: application/pdf\nContent-Disposition: attachment;\n filename*=utf-8''a%C3%A4.pdf\n\nx",
            ),
            None,
            [("media", "application/pdf", "aä.pdf", b"x")],
        ),
        (
            parts("mixed", 'Content-Type: application/pdf;\n name*0="a";\n name*1="b.pdf"\n\nx'),
            None,
            [("media", "application/pdf", "ab.pdf", b"x")],
        ),
        (
            parts(
                "mixed", 'Content-Type: x/y\nContent-Disposition: attachment; filename="..\\\\..\\\\etc/passwd"\n\nx'
            ),
            None,
            [("media", "x/y", "passwd", b"x")],
        ),
        (
            parts("mixed", "Content-Type: x/y\nContent-Transfer-Encoding: base64\n\ncGl*j dHVy\nZQ="),
            None,
            [("media", "x/y", "file-1.y", b"picture"[:6])],
        ),
    ],
)
def test_bodies_and_files(raw: bytes, text: str | None, files: list[Any]) -> None:
    one = incoming(raw)
    assert one.text == text
    if "file-1.y" in str(files):
        assert one.media[0].content is not None
        assert one.media[0].content.startswith(b"picture")
    else:
        assert files_of(one) == files
    assert not one.is_incomplete


def test_a_text_too_long_for_a_message_is_there_as_a_file() -> None:
    one = incoming(mail(body="x" * 40_000))
    assert files_of(one) == [("body", "text/plain", None, b"x" * 40_000)]


@pytest.mark.parametrize(
    "raw",
    [
        parts("mixed", PLAIN).replace(b"--b1--", b""),
        parts("mixed", PLAIN).replace(b"\r\n", b"\n"),
        parts("mixed", PLAIN, boundary="b(1).+*"),
        parts("mixed", PLAIN).replace(b"--b1\r\n", b"--b1 \t\r\n"),
    ],
)
def test_parts_that_end_or_begin_badly(raw: bytes) -> None:
    assert incoming(raw).text == "Hello"


def test_no_deeper_and_no_more_parts_than_are_looked_at() -> None:
    deep = HEAD + "".join(f"Content-Type: multipart/mixed; boundary=b{n}\n\n--b{n}\n" for n in range(5000)) + "\nHello"
    one = incoming(deep.encode())
    assert one.is_incomplete
    assert one.text is not None
    assert f"boundary=b{DEEPEST}" not in (one.text or "").split("\n")[0]
    many = incoming(parts("mixed", PLAIN, *[PICTURE] * 2 * MOST_PARTS))
    assert many.is_incomplete
    assert len(many.media) == MOST_PARTS - 1


def test_a_mail_without_a_name_is_known_by_its_bytes() -> None:
    raw = mail(head=HEAD.replace("Message-ID: <1@home.example>\n", ""))
    names = [incoming(one).provider_id for one in (raw, raw, raw + b"!")]
    assert names[0] == names[1] != names[2]
    assert incoming(mail(head=HEAD.replace("<1@home.example>", "of no form"))).provider_id.startswith("sha256:")


REPORT = Report(status=ReceiptStatus.UNDELIVERED, handle=IM, error_code=63003, recipient=ANNA)
GONE = cases.FAILED.format(status="5.1.1")
BERTA_GROUP = "Final-Recipient: rfc822; berta@home.example\nAction: {action}\nStatus: {status}"


@pytest.mark.parametrize(
    ("raw", "reports"),
    [
        (dsn(GONE), [REPORT]),
        (dsn(GONE, returned=cases.RETURNED_MAIL), [REPORT]),
        (dsn(GONE, returned=cases.NOTHING, to=f"bounces+{IM}@shop.example"), [REPORT]),
        (dsn(GONE, returned=cases.NOTHING, whole=f"Original-Envelope-Id: {IM}"), [REPORT]),
        (dsn(GONE, returned=cases.NOTHING, whole=f"Original-Envelope-Id: {IM.lower()}"), [REPORT]),
        (dsn(GONE, returned=cases.NOTHING, whole=f"Original-Message-ID: <{IM}@shop.example>"), [REPORT]),
        (dsn(GONE, returned=cases.NOTHING), None),
        (dsn(GONE, returned=cases.RETURNED.replace(IM, "x")), None),
        (
            dsn(f"{GONE}\n\n" + BERTA_GROUP.format(action="delivered", status="2.0.0")),
            [REPORT, Report(status=ReceiptStatus.DELIVERED, handle=IM, recipient="berta@home.example")],
        ),
        (
            dsn(BERTA_GROUP.format(action="Relayed (to another)", status="2.1.9")),
            [Report(status=ReceiptStatus.SENT, handle=IM, recipient="berta@home.example")],
        ),
        (dsn(BERTA_GROUP.format(action="delayed", status="4.4.1")), None),
        (dsn(GONE.replace("Action: failed", "Action: unheard-of")), None),
        (cases.MDN.replace("\n", "\r\n").encode() % b"displayed",
         [Report(status=ReceiptStatus.READ, handle=IM, recipient=ANNA)]),
        (cases.MDN.encode() % b"displayed/error", [Report(status=ReceiptStatus.READ, handle=IM, recipient=ANNA)]),
        (cases.MDN.encode() % b"deleted", None),
    ],
)  # fmt: skip
def test_reports(raw: bytes, reports: list[Report] | None) -> None:
    found = heard(raw, sender="", bounce_mailbox=BOUNCES)
    assert (None if isinstance(found, Ignored) else list(found)) == reports


def test_what_a_reported_status_means_can_be_set() -> None:
    [report] = cast(tuple[Report, ...], heard(dsn(GONE), sender="", bounce_mailbox=BOUNCES, codes={"1.1": 30005}))
    assert report.error_code == 30005


@pytest.mark.parametrize(
    ("status", "code"),
    [("5.1.1", 63003), ("5.1.2", 30005), ("5.2.2", 30003), ("5.4.4", 30005), ("4.4.7", 30410), ("5.7.1", 30007),
     ("5.7.509", 30007), ("5.3.4", 50512), ("5.0.0", 30008), ("what", 30008)],
)  # fmt: skip
def test_why_a_mail_came_back(status: str, code: int) -> None:
    found = heard(dsn(cases.FAILED.format(status=status)))
    assert isinstance(found, tuple)
    assert [report.error_code for report in cast(tuple[Report, ...], found)] == [code]


@pytest.mark.parametrize(
    ("page", "text"),
    [
        ("<p>One</p><p>Two</p>", "One\n\nTwo"),
        ("One<br>Two<br/>Three", "One\nTwo\nThree"),
        ("<div>One</div><div>Two</div>", "One\nTwo"),
        ("<ul><li>One<li>Two</ul>", "* One\n* Two"),
        ("One &amp; two&nbsp;&lt;three&gt; &#8364;", "One & two <three> €"),
        ("<style>p { color: red }</style>One<script>two()</script>", "One"),
        ("<head><title>No</title></head><body>One</body>", "One"),
        ("One<!-- two --> three", "One three"),
        ("One<!-- two", "One"),
        ('<a href="https://a.example/x">here</a>', "here <https://a.example/x>"),
        ('<a href="https://a.example">https://a.example/</a>', "https://a.example/"),
        ('<a href="mailto:a@b.example">a</a>', "a"),
        ("<p>Thanks</p><blockquote><p>One</p><p>Two</p></blockquote>", "Thanks\n\n> One\n>\n> Two"),
        ("<pre>a\n  b</pre>", "a\n  b"),
        ("a\n  b\n", "a b"),
        ('<img alt="a picture" src="x">', "a picture"),
        ("1 < 2 and 3 > 2", "1 < 2 and 3 > 2"),
        ("a <", "a <"),
        ("<o:p>a</o:p><![if !x]>b", "ab"),
        ("<table><tr><td>a</td><td>b</td></tr><tr><td>c</td></tr></table>", "a b\nc"),
        ("", ""),
    ],
)
def test_pages_in_plain_words(page: str, text: str) -> None:
    assert text_of(page) == text


def test_answers_of_html_mail_are_split_too() -> None:
    page = (
        "<div>Thanks</div><div><div>On Fri, Jan 15, 2027 at 9:00 AM The shop wrote:<br></div>"
        "<blockquote>Here</blockquote></div>"
    )
    one = incoming(mail("Content-Type: text/html\n", page))
    assert one.text == "Thanks"
    assert [media.category.value for media in one.media] == ["body", "body", "history"]
    assert one.media[2].content == b"On Fri, Jan 15, 2027 at 9:00 AM The shop wrote:\n> Here"


def test_a_mail_names_a_conversation_and_a_message() -> None:
    one = incoming(
        mail(f"In-Reply-To: <{IM}@shop.example>\n", head=HEAD.replace("support@", f"reply+{CH}@")), reply_mailbox=REPLY
    )
    assert (one.conversation_sid, one.answers, one.recipient) == (CH, (IM,), REPLY)


SALES = "sales@shop.example"


About = tuple[str, tuple[str, ...], str | None]


def both(rest: str = "", to: str = f"{SALES}, {SUPPORT}", **known: Any) -> list[About]:
    """What a mail to two mailboxes of ours is to each."""
    found = heard(mail(rest, head=HEAD.replace(SUPPORT, to)), SUPPORT, SALES, reply_mailbox=REPLY, **known)
    assert isinstance(found, tuple)
    return [(one.recipient, one.answers, one.conversation_sid) for one in told(found)]


def test_a_mail_to_two_mailboxes_of_ours_comes_to_both() -> None:
    assert both() == [(SALES, (), None), (SUPPORT, (), None)]
    found = heard(mail(head=HEAD.replace(SUPPORT, f"{SALES}, {SUPPORT}")), SUPPORT, SALES)
    assert isinstance(found, tuple)
    assert [one.provider_id for one in told(found)] == [f"<1@home.example> {SALES}", f"<1@home.example> {SUPPORT}"]


def test_brought_to_one_of_them_it_is_for_that_one() -> None:
    assert both(recipients=(SUPPORT,)) == [(SUPPORT, (), None)]


def test_what_it_answers_is_about_the_mailbox_that_was_sent_from() -> None:
    """In the other one's conversation nobody has sent it: there it would be a second copy."""
    answered = f"In-Reply-To: <{named(IM, SUPPORT)}@shop.example>\nReferences: <{named(OTHER, SALES)}@shop.example>\n"
    assert both(answered) == [(SALES, (OTHER,), None), (SUPPORT, (IM,), None)]
    assert both(f"In-Reply-To: <{IM}@shop.example>\n") == [(SALES, (IM,), None), (SUPPORT, (), None)]


@pytest.mark.parametrize(
    ("to", "places"),
    [
        (f"{SALES}, support+{CH}@shop.example", [(SUPPORT, (), CH), (SALES, (), None)]),
        (f"{SALES}, {SUPPORT}, reply+{CH}@shop.example", [(SALES, (), CH), (SUPPORT, (), None)]),
    ],
)
def test_an_address_that_names_a_conversation_names_it_once(to: str, places: list[About]) -> None:
    assert sorted(both(to=to)) == sorted(places)


@pytest.mark.parametrize(
    ("heads", "belief"),
    [
        ("Authentication-Results: mx.shop.example; dmarc=pass (p=reject) header.from=home.example\n", "pass"),
        ('Authentication-Results: MX.shop.example 1; spf=pass; dmarc=fail reason="x"\n', "fail"),
        ("Authentication-Results: mx.shop.example; spf=fail; dkim=pass\n", "none"),
        ("Authentication-Results: mx.shop.example; dmarc=temperror\n", "none"),
        ("Authentication-Results: mx.shop.example; none\n", "none"),
        ("Authentication-Results: mx.evil.example; dmarc=pass\n", "none"),
        ("Authentication-Results: (mx.shop.example) evil.example; dmarc=pass\n", "none"),
        ("Authentication-Results: mx.shop.example.evil; dmarc=pass\n", "none"),
        ("Authentication-Results: mx.shop.example; dmarc=pass header.from=evil.example\n", "none"),
        ("", "none"),
        (
            "Authentication-Results: mx.shop.example; dmarc=fail\n"
            "Authentication-Results: mx.shop.example; dmarc=pass\n",
            "fail",
        ),
        (
            "Authentication-Results: mx.shop.example; spf=fail\nReceived: by mx.shop.example\n"
            "Authentication-Results: mx.shop.example; dmarc=pass\n",
            "none",
        ),
        (
            "Received: by mx.shop.example\nAuthentication-Results: mx.shop.example; dkim=pass\n"
            "Authentication-Results: mx.shop.example; dmarc=pass\n",
            "pass",
        ),
    ],
)
def test_who_vouches_for_a_sender(heads: str, belief: str) -> None:
    one = incoming(mail(head=heads + HEAD), trusted_server="mx.shop.example")
    assert one.attributes == {"email": {"dmarc": belief}}


def test_what_becomes_of_mail_that_is_not_from_whom_it_says() -> None:
    forged = mail(head="Authentication-Results: mx.shop.example; dmarc=fail\n" + HEAD)
    known: dict[str, Any] = {"trusted_server": "mx.shop.example"}
    assert incoming(forged).attributes == {}
    assert incoming(forged, on_failure=OnFailure.ACCEPT, **known).attributes == {}
    assert incoming(forged, on_failure=OnFailure.MARK, **known).attributes == {"email": {"dmarc": "fail"}}
    refused = heard(forged, on_failure=OnFailure.REFUSE, **known)
    assert isinstance(refused, Ignored) and refused.is_refused


@pytest.mark.parametrize(("hops", "why"), [("5", None), ("6", "it has been passed on too often"), ("many", None)])
def test_servers_that_mirror_each_other_end(hops: str, why: str | None) -> None:
    found = heard(mail(f"X-Tertulia-Hops: {hops}\n"))
    assert (found.why if isinstance(found, Ignored) else None) == why


def test_how_often_a_message_was_passed_on_is_told_to_the_next() -> None:
    assert incoming(mail("X-Tertulia-Hops: 3\n")).attributes == {"email": {"hops": 3}}


def test_a_mail_that_goes_round_ends() -> None:
    found = heard(mail("Received: by a.example\n" * 51))
    assert isinstance(found, Ignored) and found.why == "it has been passed on too often"


def boundaries(*names: str, fill: bytes, times: int) -> bytes:
    nested = "".join(f"Content-Type: multipart/mixed; boundary={name}\n\n--{name}\n" for name in names)
    return (HEAD + nested + "\n").encode() + fill * times


@pytest.mark.parametrize(
    ("names", "fill"),
    [
        ([f"b{number}" for number in range(12)], b"\n--b11x"),
        (["b" * (number + 1) for number in range(12)], b"\n--" + b"b" * 12 + b"x"),
        ([f"b{number}" for number in range(12)], b"\n--"),
    ],
)
def test_boundaries_are_looked_for_within_bounds(names: list[str], fill: bytes) -> None:
    """Of each level again: what is beyond the bounds stays together, and the message says so."""
    one = incoming(boundaries(*names, fill=fill, times=20_000))
    assert one.is_incomplete


def test_a_boundary_is_a_line_of_its_own() -> None:
    raw = parts("mixed", f"{PLAIN}\n--b1x\n --b1\nx--b1\n--b1--x", PICTURE)
    one = incoming(raw)
    assert one.text == "Hello\n--b1x\n --b1\nx--b1\n--b1--x"
    assert [media.filename for media in one.media] == ["a.png"]


@pytest.mark.parametrize("junk", ["<", "</", "<!", "<a href='", "<p>", "<!--", "<x <", "&#x41;", "<blockquote>a<br>"])
def test_a_page_is_looked_through_once(junk: str) -> None:
    """Long ones are cut; what they begin with is there."""
    assert text_of("<p>Hello</p>" + junk * (1 << 20)).startswith("Hello")


def test_of_what_a_mail_says_without_end_the_beginning_is_read() -> None:
    one = incoming(mail(body="x" * (6 << 20)))
    assert one.is_incomplete
    assert len(one.media[0].content or b"") <= 5 << 20
    assert not incoming(mail(body="x" * (1 << 20))).is_incomplete


@pytest.mark.parametrize("charset", ["utf-16", "iso-2022-jp", "gb18030", "utf-7", "cp1252", "hz"])
def test_a_long_text_is_decoded_as_a_short_one_is(charset: str) -> None:
    text = "abc def " * 20_000
    raw = mail(f"Content-Type: text/plain; charset={charset}\nContent-Transfer-Encoding: binary\n", "")
    one = incoming(raw + text.encode(charset))
    assert (one.media[0].content or b"").decode() == text


def test_names_of_folders_as_servers_spell_them() -> None:
    assert folder_name("Entwürfe & Co/台北") == "Entw&APw-rfe &- Co/&U,BTFw-"
    assert quoted('a"b\\c') == '"a\\"b\\\\c"'
    with pytest.raises(ValueError):
        quoted("a\r\nT1 LOGOUT")


@pytest.mark.parametrize("changed", [{"5.1.1": 63003}, {"x": 63003}, {"250": 63003}, {"550": 0}, {"550": 100_000}])
def test_codes_that_make_no_sense_are_refused(changed: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="codes"):
        email_settings(codes=changed)
