"""How hard to look. ``HYPOTHESIS_PROFILE=deep`` looks longer; in CI the same cases come every time."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

# What is slow here is the database under test, not the drawing of cases.
_PATIENT = [HealthCheck.too_slow, HealthCheck.data_too_large]

settings.register_profile("default", deadline=None, suppress_health_check=_PATIENT)
settings.register_profile("ci", settings.get_profile("default"), derandomize=True, database=None, print_blob=True)
settings.register_profile("deep", settings.get_profile("default"), max_examples=30_000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE") or ("ci" if os.environ.get("CI") else "default"))
