"""What is sent as an e-mail is read as what was sent; and there is no mail that cannot be read."""

from __future__ import annotations

import re

from hypothesis import given, settings
from hypothesis import strategies as st

from tertulia.server.channels.email import headers, mailboxes
from tertulia.server.channels.email.html_text import text_of
from tertulia.server.channels.email.mime import parameters_of, read
from tertulia.server.channels.email.quoting import split
from tertulia.server.domain.channels import Report
from tests.contract.channels.email_stage import ANNA, CH, IM, SUPPORT, envelope, file, heard, incoming, mail_of, message

HEX = st.text("0123456789abcdef", min_size=32, max_size=32)
TEXT = st.text(max_size=300)
LINE = st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"]), max_size=120)
FRAGMENTS = st.sampled_from(
    [
        b"\r\n",
        b"\n",
        b"\r\n\r\n",
        b"--b",
        b"--b--",
        b"Content-Type: multipart/mixed; boundary=b\r\n",
        b"From: a@b.example\r\n",
        b"To: support@shop.example\r\n",
        b"Content-Type: message/rfc822\r\n",
        b"Content-Transfer-Encoding: base64\r\n",
        b"=?utf-8?b?4?=",
        b"Content-Type: multipart/report; boundary=b\r\n",
        b"Content-Type: message/delivery-status\r\n\r\n",
        b"Action: failed\r\n",
        b"Content-Type: text/html; charset=utf-16\r\n",
        b"<",
        b"<!--",
        b"\x00",
        b"\xff\xfe",
        b">",
        b"On 1 wrote:\n",
        b'"',
        b"(",
    ]
)


def one_line(text: str) -> str:
    return " ".join(text.split())


@given(LINE, LINE, LINE, HEX, HEX, HEX)
async def test_words_of_a_head_arrive_as_they_were_said(
    subject: str, name: str, filename: str, answered: str, chained: str, sid: str
) -> None:
    there = envelope(
        subject=subject,
        from_name=name,
        answers=f"IM{answered}",
        chain=("<of.another@example.net>", f"IM{chained}", f"IM{answered}"),
        message_sid=f"IM{sid}",
    )
    data = await mail_of(message("Hello", envelope=there, media=(file(filename=filename),)))
    mail = read(data)
    assert not [line for line in data.split(b"\r\n\r\n")[0].split(b"\r\n") if len(line) > 998]
    # Read by somebody to whom it was sent.
    there_now = incoming(data, ANNA)
    assert there_now.sender == SUPPORT
    assert there_now.recipient == ANNA
    assert there_now.subject == (headers.clean(subject) or "(no subject)")
    assert there_now.profile_name == (headers.clean(name) or None)
    assert there_now.provider_id == f"<{mailboxes.named(f'IM{sid}', SUPPORT)}@shop.example> {ANNA}"
    assert there_now.answers == tuple(dict.fromkeys((f"IM{answered}", f"IM{chained}")))
    assert mailboxes.message_ids(mail.header("references"), 10)[0] == "<of.another@example.net>"


@given(TEXT)
async def test_a_text_arrives_as_it_was_written(text: str) -> None:
    read_again = read(await mail_of(message(text)))
    assert read_again.text(10_000).rstrip("\n") == re.sub(r"\r\n?", "\n", text).rstrip("\n")


@given(TEXT, TEXT, st.binary(max_size=5000))
async def test_text_page_and_file_arrive_together(text: str, page: str, content: bytes) -> None:
    sent = message(text, envelope=envelope(html=page), media=(file(content, "application/x-odd"),))
    leaves = list(read(await mail_of(sent)).leaves())
    assert [leaf.type for leaf in leaves] == ["text/plain", "text/html", "application/x-odd"]
    assert leaves[0].text(10_000).rstrip("\n") == re.sub(r"\r\n?", "\n", text).rstrip("\n")
    assert leaves[1].text(10_000).rstrip("\n") == re.sub(r"\r\n?", "\n", page).rstrip("\n")
    assert leaves[2].data == content


@given(st.text(max_size=200), st.text(max_size=200), st.text(max_size=200))
async def test_nothing_breaks_out_of_its_line(subject: str, name: str, filename: str) -> None:
    plain = await mail_of(message("Hello", media=(file(),)))
    odd = await mail_of(
        message("Hello", envelope=envelope(subject=subject, from_name=name), media=(file(filename=filename),))
    )

    def names(data: bytes) -> list[str]:
        mail = read(data)
        return [known for known, _ in mail.headers] + [known for leaf in mail.leaves() for known, _ in leaf.headers]

    assert names(odd) == names(plain)


@given(
    st.dictionaries(
        st.sampled_from(("filename", "name", "x")), LINE.filter(lambda text: text.strip() != ""), max_size=3
    )
)
def test_parameters_are_read_as_they_are_written(parameters: dict[str, str]) -> None:
    header = "attachment" + "".join(headers.parameter(name, value) for name, value in parameters.items())
    assert parameters_of(header.replace("\r\n", "")) == {
        name: headers.clean(value) for name, value in parameters.items()
    }


@settings(max_examples=300)
@given(st.lists(st.one_of(FRAGMENTS, st.binary(max_size=30)), max_size=40).map(b"".join))
def test_there_is_no_mail_that_cannot_be_read(data: bytes) -> None:
    found = heard(b"From: a@b.example\r\nTo: support@shop.example\r\n" + data, bounce_mailbox="bounces@shop.example")
    for one in found if isinstance(found, tuple) else ():
        assert isinstance(one, Report) or one.recipient == SUPPORT


@given(
    st.lists(
        st.sampled_from(
            [
                "<",
                ">",
                "<p>",
                "</p>",
                "<a href='http://x.example'>",
                "</a>",
                "<!--",
                "-->",
                '"',
                "'",
                "<blockquote>",
                "</blockquote>",
                "<script>",
                "</script>",
                "<pre>",
                "a",
                " ",
                "\n",
                "&amp;",
                "&#0;",
                "<img alt='b'>",
            ]
        ),
        max_size=60,
    ).map("".join)
)
def test_there_is_no_page_that_cannot_be_read(page: str) -> None:
    assert len(text_of(page)) <= 60 * 200


@given(
    st.lists(
        st.sampled_from(
            [
                "> a",
                "a",
                "",
                "On 1 May Bo wrote:",
                "Bo wrote:",
                "--",
                "From: a",
                "To: b",
                "Date: c",
                "-- Original Message --",
            ]
        ),
        max_size=30,
    ).map("\n".join)
)
def test_nothing_is_lost_where_a_quotation_is_split_off(text: str) -> None:
    reply, history = split(text)
    assert "".join((reply + history).split()) == "".join(text.split())
    assert reply or not history


def test_what_a_mail_names_is_ours_in_every_spelling() -> None:
    assert mailboxes.name_of(f"<{IM.upper()}@shop.example>") == IM
    name = mailboxes.named(IM, SUPPORT)
    assert mailboxes.name_of(f"<{name.upper()}@SHOP.example>") == name == mailboxes.named(IM, SUPPORT.upper())
    assert mailboxes.without_plus(f"bounces+{name.lower()}@shop.example") == ("bounces@shop.example", name)
    assert mailboxes.without_plus(f"Reply+{CH.lower()}@shop.example") == ("Reply@shop.example", CH)
