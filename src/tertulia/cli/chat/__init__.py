"""``tertulia chat``: conversations in the terminal, on our own client library.

In reading order:

* ``command`` — the command: who logs in, and what is said when it ends.
* ``app`` — the application: the client's events in, the user's wishes out; ``styles.tcss`` — how it looks.
* ``opening`` — which conversation is open at the start; ``emptiness`` — what is said while none is.
* ``timeline`` — the messages of the open conversation; ``message_lines`` — each as lines; ``lines`` — what a line is.
* ``sidebar``, ``history``, ``composer``, ``bars``, ``switcher``, ``help`` — the widgets, one each.
* ``reading`` — moves the read horizon while the user sees the newest message.
* ``commands`` — what can be typed behind a slash; ``deeds`` — what it does.
* ``connection`` — the state of the connection in words.
* ``names``, ``times``, and ``plain`` of the commands — texts that can be shown: the terminal obeys nothing of others.
"""

from __future__ import annotations

from .command import run

__all__ = ["run"]
