"""What Meta answers and what it comes to, as tables (gateways 8.4, 8.5)."""

from __future__ import annotations

from typing import Final

from tests.peers.graph import (
    BAD_PROOF,
    BAD_TOKEN,
    LOCKED,
    NO_SUCH_OBJECT,
    NO_WINDOW,
    OUTSIDE,
    PAIR_THROTTLED,
    THROTTLED,
    UNDELIVERABLE,
    Reply,
    error,
)

REFUSED: Final = [
    (NO_WINDOW, 63016),
    (OUTSIDE, 63016),
    (UNDELIVERABLE, 63024),
    (error(131053), 63019),
    (error(131030), 63015),
    (error(131021), 63031),
    (error(131009), 63005),
    (error(131051), 63005),
    (error(131049), 63049),
    (error(132000), 63028),
    (error(132001, status=404), 63027),
    (error(132012), 63028),
    (error(132015), 63041),
    (error(132016), 63042),
    (error(135000), 63021),
    (error(100), 63005),
    (error(100, subcode=2018001), 63003),
    (error(100, subcode=2018047), 63019),
    (error(551), 63024),
    (BAD_PROOF, 63005),
    (error(987654321), 30008),
    (Reply(400, "<html>no</html>"), 30008),
    (Reply(404, ""), 30008),
    (Reply(400, '{"error":"odd"}'), 30008),
    (Reply(302, "", {"Location": "https://elsewhere.example"}), 30008),
]
"""Refused for good, with which code of ours."""

LATER: Final = [
    (THROTTLED, None),
    (PAIR_THROTTLED, 6.0),
    (error(4), 60.0),
    (error(613), 60.0),
    (error(80007), 60.0),
    (error(131048), 60.0),
    (error(130429, status=429, headers={"Retry-After": "17"}), 17.0),
    (Reply(429, "slow down", {"Retry-After": "3"}), 3.0),
    (Reply(429, "", {"Retry-After": "soon"}), None),
    (Reply(429, "", {"Retry-After": "9" * 9}), 3600.0),
    (error(1, status=500), None),
    (error(2, status=500), None),
    (error(131000, status=500), None),
    (error(131016, status=500), None),
    (error(987654321, status=500), None),
    (Reply(503, ""), None),
    (Reply(500, "oops"), None),
    (Reply(502, "<html>"), None),
]
"""To be tried again, and after how many seconds at the earliest."""

ALARMING: Final = [
    BAD_TOKEN,
    LOCKED,
    NO_SUCH_OBJECT,
    Reply(401, ""),
    error(0, status=401),
    error(10, status=403),
    error(200, status=403),
    error(299, status=403),
    error(368),
    error(131005, status=403),
    error(131037),
    error(131042),
    error(131045, status=500),
    error(133010),
]
"""Nothing goes until somebody has mended something."""
