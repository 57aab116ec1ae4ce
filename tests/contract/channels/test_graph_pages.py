"""The pages of WhatsApp and Messenger name every setting, its default, and only codes that the table has."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest

from tertulia.server.channels import registry
from tertulia.server.channels.graph.codes import CODES

PAGES = Path(__file__).parents[3] / "docs" / "channels"
_SETTING = re.compile(r"^\| `([a-z_]+)` \|(.*?)\|", re.MULTILINE)


@pytest.mark.parametrize("adapter", ["whatsapp", "messenger"])
def test_every_setting_is_on_its_page_with_its_default(adapter: str) -> None:
    page = (PAGES / f"{adapter}.md").read_text(encoding="utf-8")
    section = page.partition("## Settings")[2].partition("\n## ")[0]
    told = {name: shown.strip() for name, shown in _SETTING.findall(section)}
    known = {one.name: one for one in registry.known_settings(registry.adapter_of(adapter))}

    assert list(told) == list(known)
    for name, shown in told.items():
        assert shown == _shown(known[name].default), name


@pytest.mark.parametrize("adapter", ["whatsapp", "messenger"])
def test_every_code_on_its_page_is_in_the_table(adapter: str) -> None:
    page = (PAGES / f"{adapter}.md").read_text(encoding="utf-8")
    rows = page.partition("| Meta's code |")[2].partition("| others |")[0].splitlines()[2:]
    outcomes: dict[str, str] = {}
    for row in rows:
        codes, outcome = row.strip("| ").split(" | ", 1)
        outcomes.update(
            {code: outcome for code in re.findall(r"\d+(?:/\d+)?", codes) if code not in ("200", "429", "5")}
        )

    assert outcomes.keys() <= CODES.keys()
    for code, outcome in outcomes.items():
        meaning = CODES[code]
        if "failed" in outcome.split(";")[0] or "undelivered" in outcome:
            assert str(meaning.code) in outcome, code
            assert not meaning.is_later, code
        else:
            assert meaning.is_later and meaning.is_alarming == ("alarm" in outcome), code


def _shown(default: object) -> str:
    if default is msgspec.NODEFAULT or default is None:
        return ""
    if isinstance(default, bool):
        return str(default).lower()
    if isinstance(default, int):
        return f"{default >> 20} MB" if default > 1 << 20 else str(default)
    return f"`{default}`" if isinstance(default, str) else "`{}`"
