"""``python -m bench [--quick] [NAME ...]``: runs scenarios, prints one JSON line for each."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import traceback
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from . import (
    channels,
    deletion,
    fanout,
    floor,
    history,
    idle,
    machine,
    pairs,
    push,
    sdk,
    server,
    slow,
    start,
    storm,
)
from .measure import Mark, Run, Scenario

LIMIT_S = 60.0
"""No scenario takes longer."""

_READ = Mark("deliveries_per_cpu_s", at_least=250_000)
_ACKNOWLEDGE = Mark("deliveries_per_cpu_s", at_least=150_000)
_PACED = Mark("deliveries_per_cpu_s", at_least=50_000)
_SMALL = Mark("kib_per_connection", at_most=12)
_LOGIN = Mark("login_cpu_ms", at_most=1.5)
_NONE_LOST = Mark("lost", at_most=0)
_ONCE = (_NONE_LOST, Mark("twice", at_most=0))
_IN_ORDER = Mark("out_of_order", at_most=0)

SCENARIOS = (
    Scenario("fanout_100-read", partial(fanout.saturated, members=100, acknowledges=False), (_READ,)),
    Scenario("fanout_100-ack", partial(fanout.saturated, members=100, acknowledges=True), (_ACKNOWLEDGE,)),
    Scenario("fanout_1000-read", partial(fanout.saturated, members=1000, acknowledges=False), (_READ,)),
    Scenario("fanout_1000-ack", partial(fanout.saturated, members=1000, acknowledges=True), (_ACKNOWLEDGE,)),
    Scenario(
        "paced_100",
        partial(fanout.paced, members=100),
        (_PACED, Mark("p50_ms", at_most=3), Mark("p99_ms", at_most=10)),
    ),
    Scenario("paced_1000", partial(fanout.paced, members=1000), (_PACED,)),
    Scenario("floor_100", partial(floor.paced, members=100)),
    Scenario("floor_1000", partial(floor.paced, members=1000)),
    Scenario("pairs_250", partial(pairs.pairs, rooms=250), (Mark("messages_per_cpu_s", at_least=3000), _NONE_LOST)),
    Scenario("history", history.history, (Mark("pages_per_cpu_s", at_least=2500),)),
    Scenario("idle_1000", partial(idle.idle, connections=1000), (_SMALL, _LOGIN, _NONE_LOST)),
    Scenario("idle_5000", partial(idle.idle, connections=5000), (_SMALL, _LOGIN, _NONE_LOST)),
    Scenario("cold_start", start.cold_start, (Mark("readyz_s", at_most=0.7), Mark("printed_s", at_most=0.7))),
    Scenario(
        "reconnect_storm",
        partial(storm.reconnect_storm, clients=1000),
        (Mark("without_what_they_missed", at_most=0),),
    ),
    Scenario("sdk_receive", sdk.receive, (Mark("messages_per_cpu_s", at_least=2000),)),
    Scenario("sdk_start_1000", partial(sdk.start_with_many, conversations=1000), (Mark("rss_mib", at_most=40),)),
    Scenario("slow_reader", slow.slow_reader, (_NONE_LOST,)),
    Scenario("push-100", partial(push.push, rooms=1, members=100), (Mark("pushes_per_cpu_s", at_least=1500), *_ONCE)),
    Scenario("push-5", partial(push.push, rooms=20, members=5), _ONCE),
    Scenario(
        "channels-out",
        partial(channels.out, receipts=False),
        (Mark("submits_per_s", at_least=500), *_ONCE),
    ),
    Scenario("channels-out_receipts", partial(channels.out, receipts=True), _ONCE),
    Scenario("channels-in_http", channels.in_by_http, (Mark("kept_per_s", at_least=1000), *_ONCE, _IN_ORDER)),
    Scenario("channels-in_smpp", channels.in_by_smpp, (Mark("kept_per_s", at_least=1000), *_ONCE, _IN_ORDER)),
    Scenario(
        "deletion",
        deletion.deletion,
        (
            Mark("answered_ms", at_most=50),
            Mark("during_send_p99_ms", at_most=50),
            Mark("during_read_p99_ms", at_most=50),
            Mark("growth_kib", at_most=32_768),
        ),
    ),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what is asked for; 1 when a scenario could not be run, whatever the marks say."""
    options = _parser().parse_args(arguments)
    if options.machine:
        print(machine.table())
        return 0
    chosen = [each for each in SCENARIOS if not options.names or any(_is(each, name) for name in options.names)]
    unknown = [name for name in options.names if not any(_is(each, name) for each in SCENARIOS)]
    if unknown:
        print(
            f"no scenario {', '.join(unknown)}; there are {' '.join(each.name for each in SCENARIOS)}", file=sys.stderr
        )
        return 2
    server.raise_file_limit()
    versions = [None, options.against] if options.against else [None]
    failed = False
    for scenario in chosen:
        for source in versions * options.rounds:
            python = tuple(options.under.split()) if options.under else (sys.executable,)
            run = Run(
                options=server.Options(
                    source=source, folder=options.folder, python=python, settings=tuple(options.settings)
                ),
                quick=options.quick,
                ack=options.ack,
            )
            failed |= not _run(scenario, run, named=bool(options.against))
    return int(failed)


def _run(scenario: Scenario, run: Run, *, named: bool) -> bool:
    """Print the scenario's line; whether it could be measured."""
    try:
        facts = _in_loop(scenario, run)
        if named:
            facts["source"] = str(run.options.source or "here")
        if run.options.settings:
            facts["settings"] = dict(run.options.settings)
        print(scenario.line(facts), flush=True)
    except Exception as trouble:
        traceback.print_exc()
        print(json.dumps({"scenario": scenario.name, "failed": f"{type(trouble).__name__}: {trouble}"}), flush=True)
        return False
    return True


def _in_loop(scenario: Scenario, run: Run) -> dict[str, object]:
    async def bounded() -> dict[str, object]:
        async with asyncio.timeout(LIMIT_S):
            return await scenario.measure(run)

    try:
        import uvloop
    except ImportError:
        return asyncio.run(bounded())
    return uvloop.run(bounded())


def _is(scenario: Scenario, name: str) -> bool:
    return scenario.name == name or scenario.name.startswith(f"{name}-")


def _setting(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError(f"expected NAME=VALUE, got {text!r}")
    return "TERTULIA_" + name.replace(".", "_").upper(), value


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bench", description="Measures the server; see docs/performance.md."
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="scenarios, or what stands before their dash")
    parser.add_argument("--quick", action="store_true", help="measure for a third of the time")
    parser.add_argument("--machine", action="store_true", help="only print the facts of this machine")
    parser.add_argument(
        "--ack",
        choices=("joined", "each"),
        default="joined",
        help="one write for the acknowledgements of one read, or one for each",
    )
    parser.add_argument("--folder", type=Path, metavar="DIR", help="where data folders are made (default: TMPDIR)")
    parser.add_argument(
        "--against", type=Path, metavar="SRC", help="the src of another checkout, measured in turn with this one"
    )
    parser.add_argument("--rounds", type=int, default=1, metavar="N", help="how often each scenario is run")
    parser.add_argument(
        "--set",
        dest="settings",
        type=_setting,
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="a setting of the server that is not the default, e.g. log.level=warning",
    )
    parser.add_argument("--under", metavar="COMMAND", help="what runs the server instead of python, e.g. a profiler")
    return parser


if __name__ == "__main__":
    sys.exit(main())
