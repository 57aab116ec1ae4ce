"""HTTP machinery that the faces share; none of it knows a resource (architecture 5).

Reading order:

* ``operations``: the table of a face, what a handler gets, finding the operation of a path
* ``dispatch``: one request, from the table to the reply
* ``faces``: how the two audiences differ: who asks, and how errors are spelled
* ``auth``: Basic credentials and access tokens
* ``forms``: bodies and queries into structs
* ``paging``: page sizes, page tokens, the ``meta`` block
* ``errors``: failures as replies
* ``cors``: what browsers want to know first
* ``asgi``: the callable that uvicorn serves
* ``openapi``: our own description, made from the tables
"""

from __future__ import annotations
