"""E-mail: sent by submission over SMTP, read from a mailbox over IMAP or taken by a listener of ours (gateways 8.6).

In reading order: ``settings`` (what is set) and ``mailboxes`` (addresses, and what we hide in them).

Out: ``headers`` (lines that nothing breaks out of), ``composing`` (a message as a mail), ``signing`` (DKIM), ``codes``
(what numbers of servers mean), ``lines`` (a connection, line by line), ``dialogue`` (commands and answers),
``submitting`` (a mail handed to a server), ``links`` (connections kept).

In: ``charsets``, ``mime`` (a mail taken apart within bounds), ``address_lists``, ``html_text``, ``quoting`` (what is
new in an answer), ``notifications`` (what mail servers report), ``reading`` (a mail as a message), ``imap`` (a
mailbox's protocol), ``watching`` (a mailbox read as mail comes), ``receiving`` (a conversation with whoever brings
mail), ``listening`` (our own server).

``checking`` looks whether all of it works, ``channel`` is all of it.
"""

from __future__ import annotations

from .channel import ADAPTER

__all__ = ["ADAPTER"]
