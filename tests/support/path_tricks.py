"""Tricks of attackers in the parts of a path, which two programs may read differently."""

from __future__ import annotations

from urllib.parse import quote

GOOD = "{good}"  # stands for a value that would do
# Instead of a part of the path; no program may take it for the good value or for another place.
IN_A_PART = {
    "slash": f"{GOOD}%2F",
    "slash, and up": f"{GOOD}%2F..%2F{GOOD}",
    "up and away": "..%2F..%2F..%2Fetc%2Fpasswd",
    "slash in small letters": f"x%2f{GOOD}",
    "backslashes": f"..%5C..%5C{GOOD}",
    "backslash, raw": f"..\\{GOOD}",
    "dot": "%2e",
    "dots": "%2e%2e",
    "dots, half raw": ".%2e",
    "dots, raw": "..",
    "dots and slash": "%2e%2e%2f",
    "NUL": "%00",
    "NUL behind": f"{GOOD}%00",
    "NUL before an ending": f"{GOOD}%00.zip",
    "encoded twice: dots": "%252e%252e",
    "encoded twice: slash": f"{GOOD}%252F",
    "encoded twice: NUL": f"{GOOD}%2500",
    "encoded three times": "%25252e%25252e%25252f",
    "overlong slash": f"{GOOD}%C0%AF",
    "overlong dots": "%C0%AE%C0%AE",
    "overlong slash of three": f"{GOOD}%E0%80%AF",
    "overlong NUL": f"{GOOD}%C0%80",
    "half a surrogate pair": "%ED%A0%80",
    "beyond Unicode": "%F4%90%80%80",
    "byte that is no UTF-8": f"{GOOD}%FF",
    "cut UTF-8": f"{GOOD}%E2%82",
    "UTF-16 escape": "%u002e%u002e",
    "percent": f"{GOOD}%25",
    "parameter": f"{GOOD};a=b",
    "parameter alone": ";jsessionid=1",
    "parameter, encoded": f"{GOOD}%3Ba=b",
    "question mark, encoded": f"{GOOD}%3Fa=b",
    "number sign, encoded": f"{GOOD}%23",
    "line end": f"{GOOD}%0A",
    "header": f"{GOOD}%0D%0AX-Injected:%201",
    "space": "%20",
    "space behind": f"{GOOD}%20",
    "no-break space": f"{GOOD}%C2%A0",
    "written from right to left": f"%E2%80%AE{GOOD}",
    "wide letters": quote("\uff45\uff4b\uff53"),
    "dotless i": quote("\u0131"),
    "ending": f"{GOOD}.json%00",
    "wildcard": "*",
    "SQL": quote("' OR ''='"),
    "template": "%7BdatasetId%7D",
    "long": "x" * 300,
    "long, encoded": "%41" * 5000,
    "long dots": "..%2F" * 3000,
}
# The whole path changed: nothing of this is an operation.
IN_THE_PATH = {
    "two slashes before": "/{path}",
    "trailing slash": "{path}/",
    "two trailing slashes": "{path}//",
    "down and up": "/x/..{path}",
    "above the root": "/..{path}",
    "dot in front": "/.{path}",
    "dots in front, encoded": "/%2e%2e{path}",
    "slash in front, encoded": "/%2F{path}",
    "NUL in front": "/%00{path}",
    "capitals": "{upper}",
    "all slashes encoded": "/{flat}",
}
TOO_LONG = "x" * 40_000
