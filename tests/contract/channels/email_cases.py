"""Mail as programs and servers really write it: shortened, with addresses that are nobody's."""

from __future__ import annotations

from typing import Final

from tests.contract.channels.email_stage import CH, EM, IM

HEAD: Final = "From: Anna <anna@home.example>\nTo: support@shop.example\nMessage-ID: <1@home.example>\nSubject: Hi\n"


def mail(rest: str = "", body: str = "Hello", head: str = HEAD) -> bytes:
    return f"{head}{rest}\n{body}".replace("\n", "\r\n").encode()


# What a program writes, what of it is new, and what it quotes.
ANSWERS: Final = {
    "gmail": (
        "Thanks!\n\nOn Fri, Jan 15, 2027 at 9:00 AM The shop <support@shop.example>\nwrote:\n\n> Your order\n"
        "> is here\n",
        "Thanks!",
        "On Fri, Jan 15, 2027 at 9:00 AM The shop <support@shop.example>\nwrote:\n\n> Your order\n> is here",
    ),
    "apple": (
        "Thanks!\n\nSent from my phone\n\n> On 15 Jan 2027, at 09:00, The shop <support@shop.example> wrote:\n"
        "> \n> Here\n",
        "Thanks!\n\nSent from my phone",
        "> On 15 Jan 2027, at 09:00, The shop <support@shop.example> wrote:\n> \n> Here",
    ),
    "outlook": (
        "Thanks!\n\n________________________________\nFrom: The shop <support@shop.example>\n"
        "Sent: Friday, January 15, 2027\nTo: Anna <anna@home.example>\nSubject: Your order\n\nHere it is\n",
        "Thanks!",
        "________________________________\nFrom: The shop <support@shop.example>\nSent: Friday, January 15, 2027\n"
        "To: Anna <anna@home.example>\nSubject: Your order\n\nHere it is",
    ),
    "outlook, German": (
        "Danke!\n\nVon: Der Laden <support@shop.example>\nGesendet: Freitag, 15. Januar 2027\nAn: Anna\n"
        "Betreff: Ware\n\nHier\n",
        "Danke!",
        "Von: Der Laden <support@shop.example>\nGesendet: Freitag, 15. Januar 2027\nAn: Anna\nBetreff: Ware\n\nHier",
    ),
    "thunderbird, German": (
        "Danke!\n\nAm 15.01.27 um 09:00 schrieb Der Laden:\n> Hier\n> ist sie\n",
        "Danke!",
        "Am 15.01.27 um 09:00 schrieb Der Laden:\n> Hier\n> ist sie",
    ),
    "roundcube, French": (
        "Merci !\n\nLe 15/01/2027 à 09:00, Le magasin a écrit :\n> Voici\n",
        "Merci !",
        "Le 15/01/2027 à 09:00, Le magasin a écrit :\n> Voici",
    ),
    "an old rule": (
        "Thanks\n\n-----Original Message-----\nFrom: Shop\n\nHere\n",
        "Thanks",
        "-----Original Message-----\nFrom: Shop\n\nHere",
    ),
    "a date and no marks": (
        "Thanks\n\nOn 15 Jan 2027 the shop wrote:\nHere\nit is\n",
        "Thanks",
        "On 15 Jan 2027 the shop wrote:\nHere\nit is",
    ),
    "a signature below": (
        "Thanks\n\nOn 15 Jan 2027 the shop wrote:\n> Here\n\n-- \nAnna\n",
        "Thanks",
        "On 15 Jan 2027 the shop wrote:\n> Here\n\n-- \nAnna",
    ),
    "a bare quotation": ("Thanks\n\n> Here\n> it is\n", "Thanks", "> Here\n> it is"),
    "an answer below": ("On 15 Jan 2027 the shop wrote:\n> Is it?\n\nIt is.\n", None, ""),
    "answers in between": ("> Is it?\nIt is.\n> And that?\nAlso.\n", None, ""),
    "a forwarded mail alone": ("-----Original Message-----\nFrom: Shop\n\nHere\n", None, ""),
    "words like an introduction": ("As Bo wrote:\nit is so\n", None, ""),
    "words like a head": ("From: now on I come at 8\n", None, ""),
    "nothing quoted": ("Hello\n\nAnna\n", None, ""),
}

# A head beside ours, why nothing comes of it; None: it is a person's.
AUTOMATIC: Final = {
    "Auto-Submitted: auto-replied": "a program has sent it",
    "Auto-Submitted: AUTO-GENERATED; x=y": "a program has sent it",
    "Auto-Submitted: no": None,
    "Auto-Submitted: no (it is me)": None,
    "Precedence: bulk": "it was sent to many",
    "Precedence: Junk": "it was sent to many",
    "Precedence: list": "it was sent to many",
    "Precedence: first-class": None,
    "X-Autoreply: yes": "a program has answered",
    "X-Autorespond: out of office": "a program has answered",
    "X-Autoreply: no": None,
    "Return-Path: <>": "it must not be answered",
    "Return-Path: <anna@home.example>": None,
    "X-Loop: Support@shop.example": "it is ours, and came back",
    "X-Loop: somebody@else.example": None,
    "List-Id: <CH.other.example>": None,
}

DSN: Final = """\
Return-Path: <>
From: MAILER-DAEMON@mx.example
To: {to}
Subject: Undelivered Mail Returned to Sender
Auto-Submitted: auto-replied
Message-ID: <2@mx.example>
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status;
 boundary="b1"

This is a MIME-encapsulated message.

--b1
Content-Description: Notification
Content-Type: text/plain; charset=us-ascii

I'm sorry to have to inform you.

--b1
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.example
{whole}
Arrival-Date: Fri, 15 Jan 2027 08:00:00 +0000

{groups}

--b1
{returned}

--b1--
"""

RETURNED: Final = f"""\
Content-Type: text/rfc822-headers

From: support@shop.example
Message-ID: <{IM}@shop.example>
Subject: Hi"""
RETURNED_MAIL: Final = RETURNED.replace("text/rfc822-headers", "message/rfc822") + "\n\nHello"
NOTHING: Final = "Content-Type: text/plain\n"

FAILED: Final = """\
Final-Recipient: rfc822; anna@home.example
Original-Recipient: rfc822;anna@home.example
Action: failed
Status: {status}
Diagnostic-Code: smtp; 550 {status} no such user"""

MDN: Final = f"""\
From: anna@home.example
To: support@shop.example
Subject: Read: Hi
Message-ID: <3@home.example>
Content-Type: multipart/report; report-type=disposition-notification; boundary=b1

--b1
Content-Type: text/plain

It was shown.
--b1
Content-Type: message/disposition-notification

Reporting-UA: home; Mailer
Final-Recipient: rfc822;anna@home.example
Original-Message-ID: <{IM}@shop.example>
Disposition: manual-action/MDN-sent-manually; %s
--b1--
"""


def dsn(
    groups: str,
    *,
    whole: str = "X-Queue-ID: 4F",
    returned: str = RETURNED,
    to: str = "support@shop.example",
) -> bytes:
    return DSN.format(to=to, whole=whole, groups=groups, returned=returned).replace("\n", "\r\n").encode()


# Addresses that a mail came to, the mailbox and the conversation it is for; None: nobody of ours.
PLACES: Final = [
    (("support@shop.example",), "support@shop.example", None),
    (("Support@SHOP.example",), "support@shop.example", None),
    (("other@else.example", "sales@shop.example", "support@shop.example"), "sales@shop.example", None),
    ((f"support+{CH}@shop.example",), "support@shop.example", CH),
    ((f"SUPPORT+{CH.lower()}@shop.example",), "support@shop.example", CH),
    (("support@shop.example", f"reply+{CH}@shop.example"), "support@shop.example", CH),
    ((f"reply+{CH}@shop.example",), "reply@shop.example", CH),
    (("support+tag@shop.example",), None, None),
    (("reply@shop.example",), None, None),
    ((f"elsewhere+{CH}@shop.example",), None, None),
    ((f"bounces+{EM}@shop.example",), None, None),
    (("somebody@else.example",), None, None),
]
