"""The realtime edge: sockets, what they follow, and the requests inside them (architecture 6).

Reading order:

* ``socket``, ``send_queue``: a WebSocket connection under uvicorn, and what waits to be written to it
* ``connection``: one client's life: tokens, requests, subscriptions
* ``hub``: which connection of this node follows which object; publications in, bytes out
* ``follow``: how a connection comes to follow an object without a gap
* ``revocations``: ends connections whose key, account or service is gone
* ``deadlines``: when a connection is looked at although nothing came
* ``turns``: how much of one kind of work a tick takes on
* ``node``: what all connections of a node share
"""
