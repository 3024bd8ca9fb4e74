"""Bad claims under valid signatures."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

from tests.integration.gateway_tokens.attack import BAD_LIFETIME, UNKNOWN_ISSUER, Attack, with_claims
from tests.integration.gateway_tokens.token_factory import AUDIENCE, SUBJECT, good_claims, issuer_name, token, without

if TYPE_CHECKING:
    from collections.abc import Iterator

CLAIMS = ("iss", "sub", "aud", "exp", "iat")
NO_DATES: tuple[object, ...] = (None, "", "1800000000", True, [], {}, [1_800_000_000])
NOT_JSON = "payload is not JSON"


def missing_and_wrong() -> Iterator[Attack]:
    for name in CLAIMS:
        yield Attack(
            f"no {name}",
            f"{name}: missing",
            lambda factory, name=name: token(factory.header(), without(good_claims(), name), factory.signers["EdDSA"]),
        )
    for name in ("iss", "sub", "aud"):
        for value in (None, 0, 1.5, True, [], {}, [SUBJECT], {"": SUBJECT}):
            yield with_claims(f"{name} {value!r}", f"{name}: string_type", **{name: value})
        yield with_claims(f"{name} of nothing", f"{name}: string_too_short", **{name: ""})
        yield with_claims(f"{name} of 257 characters", f"{name}: string_too_long", **{name: "s" * 257})
        yield with_claims(f"{name} that is no character", NOT_JSON, **{name: "\udfff"})
    for name in ("exp", "iat", "nbf"):
        for no_date in NO_DATES:
            yield with_claims(f"{name} {no_date!r}", f"{name}: float_type", **{name: no_date})


def names() -> Iterator[Attack]:
    for issuer in (
        "https://attacker.example",
        issuer_name("EdDSA") + "/",
        issuer_name("EdDSA").upper(),
        issuer_name("EdDSA") + "\x00",
        " " + issuer_name("EdDSA"),
        "http://" + issuer_name("EdDSA").removeprefix("https://"),
    ):
        yield with_claims(f"iss {issuer!r}", UNKNOWN_ISSUER, iss=issuer)
    yield with_claims("iss is a list with the right one", "iss: string_type", iss=[issuer_name("EdDSA")])
    for issuer in ("RS256", "ES256", "HS256"):
        yield with_claims(
            f"iss is the {issuer} issuer", "algorithm not allowed for this issuer", iss=issuer_name(issuer)
        )
    for audience in ("somebody-else", AUDIENCE + "/", AUDIENCE.upper(), AUDIENCE + "\x00", f"{AUDIENCE} {AUDIENCE}"):
        yield with_claims(f"aud {audience!r}", "InvalidAudienceError", aud=audience)
    for several in ([AUDIENCE], [AUDIENCE, "somebody-else"], [[AUDIENCE]], {AUDIENCE: 1}):
        yield with_claims(f"aud {several!r}", "aud: string_type", aud=several)
    for subject in ("\x00", "partner\x007", "partner-7\n", "\u202epartner", "a\u200bb", "\t"):
        yield with_claims(f"sub {subject!r}", "sub: not printable", sub=subject)
    yield with_claims("jti is a number", "InvalidJTIError", jti=7)


def times() -> Iterator[Attack]:
    now = int(time.time())
    yield with_claims("expired an hour ago", "ExpiredSignatureError", iat=now - 7000, exp=now - 3600)
    yield with_claims("expired before the leeway", "ExpiredSignatureError", iat=now - 600, exp=now - 31)
    yield with_claims("expired in 1970", "ExpiredSignatureError", iat=0, exp=1)
    yield with_claims("not before in ten minutes", "ImmatureSignatureError", nbf=now + 600)
    yield with_claims("not before in the year 9999", "ImmatureSignatureError", nbf=253_402_300_799)
    yield with_claims("issued in ten minutes", "ImmatureSignatureError", iat=now + 600, exp=now + 900)
    yield with_claims("issued in the year 3000", "ImmatureSignatureError", iat=32_503_680_000, exp=32_503_680_600)
    yield with_claims("lives a second too long", BAD_LIFETIME, iat=now - 5, exp=now + 3596)
    yield with_claims("lives half a second too long", BAD_LIFETIME, iat=now - 5, exp=now + 3595.5)
    yield with_claims("lives until the year 9999", BAD_LIFETIME, exp=253_402_300_799)
    yield with_claims("issued in 1970, lives until now", BAD_LIFETIME, iat=0)
    yield with_claims("lives for no time", BAD_LIFETIME, iat=now + 10, exp=now + 10)
    yield with_claims("expires before it is issued", BAD_LIFETIME, iat=now + 20, exp=now + 10)
    for name in ("exp", "iat", "nbf"):
        yield with_claims(f"{name} negative", f"{name}: greater_than_equal", **{name: -1})
        yield with_claims(f"{name} in the year 10000", f"{name}: less_than", **{name: 253_402_300_800})
        yield with_claims(f"{name} of 19 digits", f"{name}: less_than", **{name: 9_223_372_036_854_775_808})
        yield with_claims(f"{name} of 301 digits", f"{name}: less_than", **{name: 10**300})
        yield with_claims(f"{name} of 4000 digits", NOT_JSON, **{name: 10**3999})
        yield with_claims(f"{name} not a number", NOT_JSON, **{name: float("nan")})
        yield with_claims(f"{name} infinite", NOT_JSON, **{name: float("inf")})
        yield with_claims(f"{name} negatively infinite", NOT_JSON, **{name: float("-inf")})


def raw_payloads() -> Iterator[Attack]:
    """Payloads that no JSON library writes."""
    good = json.dumps(good_claims())
    raw = {
        "sub twice": (good[:-1] + ', "sub": "somebody else"}').encode(),
        "sub twice, the same": (good[:-1] + f', "sub": "{SUBJECT}"}}').encode(),
        "sub twice, once in escapes": (good[:-1] + ', "\\u0073ub": "somebody else"}').encode(),
        "a name twice, further down": (good[:-1] + ', "deep": {"a": [{"b": 1, "b": 2}]}}').encode(),
        "exp of 5000 digits": (good[:-1] + ', "more": ' + "9" * 5000 + "}").encode(),
        "nested 1500 deep": (good[:-1] + ', "deep": ' + "[" * 1500 + "]" * 1500 + "}").encode(),
        "a comma too many": (good[:-1] + ",}").encode(),
        "a comment": (good + " // good").encode(),
        "two objects": (good + good).encode(),
        "a byte order mark": b"\xef\xbb\xbf" + good.encode(),
        "UTF-16": good.encode("utf-16"),
        "UTF-16 without mark": good.encode("utf-16-le"),
        "UTF-32": good.encode("utf-32-be"),
        "Latin-1": (good[:-1] + ', "name": "J\xfcrgen"}').encode("latin-1"),
        "an overlong slash": good.encode()[:-1] + b', "name": "\xc0\xaf"}',
        "a raw newline in a string": (good[:-1] + ', "name": "a\nb"}').encode(),
        "a NUL after it": good.encode() + b"\0",
        "single quotes": good.replace('"', "'").encode(),
    }
    for name, payload in raw.items():
        yield Attack(
            f"payload: {name}",
            NOT_JSON,
            lambda factory, payload=payload: token(factory.header(), payload, factory.signers["EdDSA"]),
        )
    yield Attack(
        "payload: exp is 1e400",
        NOT_JSON,
        lambda factory: token(
            factory.header(), json.dumps(good_claims(exp=7)).replace("7}", "1e400}").encode(), factory.signers["EdDSA"]
        ),
    )
