"""The protocol that clients and servers share, without sockets, clocks or randomness: those come in as arguments.

In reading order:

* ``websocket`` — RFC 6455: the messages on a socket.
* ``frames`` — twilsock: what one message carries, read and written.
* ``redaction`` — what logs may show of it.
* ``requests`` — HTTP requests and replies as values, and inside frames.
* ``handshake`` — the life of a connection as a state machine; ``steps`` — what it tells its shell to do.
* ``continuation`` — the note by which a returning client is recognised.
* ``tokens`` — access tokens: judged, minted, encrypted; ``identities`` — which texts may name a user.
* ``sync`` — the shapes of documents, lists, maps and their events.
* ``signatures`` — how webhooks are signed; ``webhook_urls`` — what their URLs say about connecting.
* ``sids`` — identifiers. ``base64url`` — the alphabet of tokens.
"""

from __future__ import annotations
