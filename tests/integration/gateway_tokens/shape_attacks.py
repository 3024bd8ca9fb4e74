"""Texts that are no tokens, and good tokens in another encoding."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tests.integration.gateway_tokens.attack import BAD_SHAPE, TOO_LONG, Attack
from tests.integration.gateway_tokens.token_factory import encoded, good_claims, token

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.integration.gateway_tokens.token_factory import TokenFactory

ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


def shapes() -> Iterator[Attack]:
    fixed = {
        "empty": "",
        "a space": " ",
        "a dot": ".",
        "two dots": "..",
        "four dots": "....",
        "a word": "token",
        "null": "null",
        "a NUL": "\x00",
        "a header alone": encoded({"alg": "none"}),
    }
    for name, text in fixed.items():
        yield Attack(f"shape: {name}", BAD_SHAPE, lambda _, text=text: text)
    changes: dict[str, Callable[[str], str]] = {
        "two parts": lambda good: good.rpartition(".")[0],
        "four parts": lambda good: good + ".AAAA",
        "five parts, as if encrypted": lambda good: good + ".AAAA.AAAA",
        "empty header": lambda good: "." + good.partition(".")[2],
        "empty payload": lambda good: "..".join(good.split(".")[::2]),
        "empty signature": lambda good: good.rpartition(".")[0] + ".",
        "a dot before it": lambda good: "." + good,
        "a dot after it": lambda good: good + ".",
        "a space before it": lambda good: " " + good,
        "a space after it": lambda good: good + " ",
        "a newline after it": lambda good: good + "\n",
        "a tab after a dot": lambda good: good.replace(".", ".\t", 1),
        "a newline within": lambda good: good[:20] + "\n" + good[20:],
        "a NUL after it": lambda good: good + "\0",
        "a scheme before it": lambda good: "Bearer " + good,
        "quotes around it": lambda good: f'"{good}"',
        "two tokens": lambda good: f"{good},{good}",
        "padding of the header": lambda good: good.replace(".", "=.", 1),
        "padding of the signature": lambda good: good + "==",
        "a plus": lambda good: good[:-1] + "+",
        "a slash": lambda good: good[:-1] + "/",
        "an exclamation mark": lambda good: good[:50] + "!" + good[50:],
        "percent-encoding": lambda good: good.replace(".", "%2E"),
        "full-width dots": lambda good: good.replace(".", "\uff0e"),
        "a Cyrillic letter": lambda good: good[:-1] + "\u0430",
        "a zero-width space": lambda good: good + "\u200b",
        "a lone surrogate": lambda good: good + "\ud800",
        "full-width digits": lambda good: good[:-1] + "\uff11",
    }
    for name, change in changes.items():
        yield Attack(f"shape: {name}", BAD_SHAPE, lambda factory, change=change: change(factory.good()))


def lengths() -> Iterator[Attack]:
    yield Attack("8193 characters", TOO_LONG, lambda factory: factory.good().ljust(8193, "A"))
    yield Attack("5 MB", TOO_LONG, lambda factory: factory.good() + "A" * 5_000_000)
    yield Attack("5 MB, rightly signed", TOO_LONG, lambda factory: factory.with_claims(more="A" * 5_000_000))
    yield Attack("5 MB of dots", TOO_LONG, lambda _: "." * 5_000_000)
    yield Attack("5 MB of brackets", TOO_LONG, lambda factory: token(b"[" * 5_000_000, {}, factory.signers["HS256"]))


def other_spellings() -> Iterator[Attack]:
    """Encode the same bytes in another base64: a token must have only one spelling."""

    def last_bit(factory: TokenFactory) -> str:
        good = factory.good()
        return good[:-1] + ALPHABET[ALPHABET.index(good[-1]) + 1]

    yield Attack("a bit left over in the signature", "signature is not base64url", last_bit)
    yield Attack("a letter left over", "signature is not base64url", lambda factory: factory.good() + "AAA")
    yield Attack(
        "a letter left over in the header", "header is not base64url", lambda factory: "AAAAA" + factory.good()[4:]
    )


def other_json() -> Iterator[Attack]:
    values: dict[str, object] = {
        "a list": ["alg"],
        "a string": "EdDSA",
        "a number": 7,
        "null": None,
        "true": True,
        "an empty list": [],
    }
    for name, value in values.items():
        yield Attack(
            f"header is {name}",
            "header is not an object",
            lambda factory, value=value: token(value, good_claims(), factory.signers["EdDSA"]),
        )
        yield Attack(
            f"payload is {name}",
            "payload is not an object",
            lambda factory, value=value: token(factory.header(), value, factory.signers["EdDSA"]),
        )
    raw = {
        "not JSON": b"alg=EdDSA",
        "alg twice": b'{"alg": "none", "alg": "EdDSA"}',
        "alg twice, once in escapes": b'{"alg": "EdDSA", "\\u0061lg": "none"}',
        "NaN in it": b'{"alg": "EdDSA", "more": NaN}',
        "nested 2000 deep": b"[" * 2000 + b"]" * 2000,
        "a byte order mark": b'\xef\xbb\xbf{"alg": "EdDSA"}',
        "UTF-16": '{"alg": "EdDSA"}'.encode("utf-16"),
        "bytes that are no text": b'{"alg": "EdDSA\xff"}',
    }
    for name, header in raw.items():
        yield Attack(
            f"header: {name}",
            "header is not JSON",
            lambda factory, header=header: token(header, good_claims(), factory.signers["EdDSA"]),
        )


def tokens_within_tokens() -> Iterator[Attack]:
    yield Attack(
        "payload is a token",
        "payload is not JSON",
        lambda factory: token(factory.header(), factory.good().encode(), factory.signers["EdDSA"]),
    )
    yield Attack(
        "payload is a token, and says so",
        "payload is not JSON",
        lambda factory: token(factory.header(cty="JWT"), factory.good().encode(), factory.signers["EdDSA"]),
    )
    yield Attack(
        "payload is a token in a string",
        "payload is not an object",
        lambda factory: token(factory.header(), factory.good(), factory.signers["EdDSA"]),
    )
    yield Attack(
        "in JSON serialisation",
        BAD_SHAPE,
        lambda factory: json.dumps(
            dict(zip(("protected", "payload", "signature"), factory.good().split("."), strict=True))
        ),
    )
    yield Attack(
        "encrypted",
        BAD_SHAPE,
        lambda _: f"{encoded({'alg': 'dir', 'enc': 'A256GCM'})}..{encoded(bytes(12))}.AAAA.{encoded(bytes(16))}",
    )
