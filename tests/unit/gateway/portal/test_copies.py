"""The texts that the portal gives to be copied mean what the page says, whatever the names are."""

from __future__ import annotations

import ast
import json
import shlex
import subprocess
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from services.gateway.portal.choice import Choice
from services.gateway.portal.copies import copies_of
from telemetry.resource_ids import resource_id

BASE = "https://data.example.org"
NAMES = st.text(st.characters(min_codepoint=32, exclude_categories=("Cs", "Cc", "Zl", "Zp")), min_size=1, max_size=20)


def choice(partner: str, kind: str = "partner", resource: str = "") -> Choice:
    return Choice("eks-consumption-raw", resource or resource_id(partner), kind, partner, "2026-11-01", "2026-11-03")


def test_the_command_and_python_name_the_owner() -> None:
    command, curl, python = copies_of(choice("org.example.maple", "channel"), BASE, "dashboard")
    days = "--from 2026-11-01 --to 2026-11-03"
    assert command.text == f"exhaust get --channel org.example.maple --dataset eks-consumption-raw {days} -o data"
    assert 'channel="org.example.maple"' in python.text
    assert (
        f"{BASE}/v2/datasets/eks-consumption-raw/{resource_id('org.example.maple')}/2026-11-01/2026-11-03" in curl.text
    )


def test_a_resource_of_an_unknown_owner_has_curl_alone() -> None:
    assert [copy.id for copy in copies_of(choice("org.example", "resource", "a-resource"), BASE, "me")] == ["curl"]


@given(NAMES, NAMES)
def test_names_are_text_to_the_shell_and_to_python(partner: str, username: str) -> None:
    command, curl, python = copies_of(choice(partner), BASE, username)
    assert shlex.split(command.text)[3] == partner
    [call] = [node for node in ast.walk(ast.parse(python.text)) if isinstance(node, ast.Call) and node.keywords]
    assert {word.arg: ast.literal_eval(word.value) for word in call.keywords}["partner"] == partner
    body = sent_by(curl.text)
    assert body["request"] == {"licenseKey": "the key", "partnerid": partner, "username": username}


def sent_by(text: str) -> Any:
    """What the shell gives to curl."""
    script = text.replace("curl ", "cat #", 1)
    done = subprocess.run(
        ["/bin/sh", "-c", script.replace("cat #", "cat <<END #").replace(" <<END\n", "\n", 1)],
        env={"EXHAUST_LICENSE_KEY": "the key"},
        capture_output=True,
        check=True,
        text=True,
    )
    return json.loads(done.stdout)
