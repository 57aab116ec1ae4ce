"""Tests speak to promises, through the surface a user has. The folder tells the price.

* ``unit`` — pure code and small parts; needs nothing.
* ``engine`` — commands: given, when, then; SQLite in memory.
* ``api`` — the whole server over HTTP and the socket; every answer is checked against the OpenAPI document.
* ``contract`` — one suite per seam, run against each implementation.
* ``properties`` — what holds for all inputs.
* ``faults`` — killed, cut, slow, full.
* ``cli`` — the command, as processes.
* ``sdks`` — the official libraries, untouched; needs Node, and Chromium for the browser. The examples, too.
* ``docs`` — the documentation is complete and true.
"""

from __future__ import annotations
