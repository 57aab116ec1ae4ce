"""HTTP whose URLs stay out of logs: a temporary URL is a secret, and the name of a file is nobody's business."""

from __future__ import annotations

import httpx


class DiscreetTransport(httpx.AsyncHTTPTransport):
    """Forgets where in a server a request went, once it is answered: httpx then logs the URL."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        answer = await super().handle_async_request(request)
        request.url = request.url.copy_with(raw_path=b"/", fragment=None, userinfo=b"")
        return answer
