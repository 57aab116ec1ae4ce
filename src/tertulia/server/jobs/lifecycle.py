"""Who performs the jobs that conversations, services and users cause by their own coming and going."""

from __future__ import annotations

from tertulia.server.domain.conversation_with_participants import SetUpConversation
from tertulia.server.domain.conversations import MoveOnConversation
from tertulia.server.engine.engine import Engine

from .setting_up import SetUpPerformer
from .sweeping import PAUSE_S, sweepers
from .timers import TimerPerformer
from .worker import Performers


def lifecycle_performers(engine: Engine, sweep_pause_s: float = PAUSE_S) -> Performers:
    """By the kind of the job."""
    return {
        MoveOnConversation: TimerPerformer(engine),
        SetUpConversation: SetUpPerformer(engine),
        **sweepers(engine, sweep_pause_s),
    }
