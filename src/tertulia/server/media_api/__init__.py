"""The media service: files to and from, for account holders and users alike (rest 13.1, client-commands 4.10).

Reading order:

* ``face``: who asks, by Basic credentials, an access token, or a signed URL
* ``uploads``, ``multipart``: bytes that come, as they are or as the file of a form
* ``records``: what a file looks like, one or a set of them; removing one
* ``content``, ``headers``: bytes that go, whole or a part, so that no browser takes them for anything but a file
"""

from __future__ import annotations

from tertulia.server.web.operations import Operations

from . import content, records, uploads
from .views import FACE, PREFIX

MEDIA_API = Operations(FACE, PREFIX)
"""Everything this face answers."""

for _part in (uploads, records, content):
    MEDIA_API.include(_part.OPERATIONS)
