"""The gate of the console: who calls, and that nothing is changed but by an operator who means it."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

from aiohttp import web
from markupsafe import Markup

from exhaust.errors import ErrorCode, ExhaustError
from exhaust.http.pages.same_origin import check_origin
from exhaust.tokens.verifier import open_token_verifier
from services.console.csrf import COOKIE, FIELD, HEADER, Csrf
from services.console.fields import FIELDS, read_fields
from services.console.roles import CALLER, NOBODY, OPERATOR_NAME, ROLE, Callers, Role

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

    from aiohttp.typedefs import Middleware

    from services.console.roles import Caller
    from services.console.settings import ConsoleSettings

SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
READ_ONLY: Final = "this console is read-only: EXHAUST_POSTGRES_OPERATOR_DSN is not set; `exhaustctl` can do the same"
_NONCE: Final = web.RequestKey("nonce", str)


class Gate:
    """Lets every call in as somebody, and calls that change something only from operators."""

    def __init__(self, callers: Callers, csrf: Csrf, *, prefix: str, acts: bool) -> None:
        """Prepare.

        Args:
            callers: finds out who calls.
            csrf: of forms.
            prefix: of all pages, without a slash at its end.
            acts: False for a console that is read-only.
        """
        self._callers = callers
        self._csrf = csrf
        self._prefix = prefix
        self.acts = acts

    def middleware(self) -> Middleware:
        """Build the middleware. It belongs behind the one that answers errors."""

        @web.middleware
        async def check(
            request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
        ) -> web.StreamResponse:
            if request.method in SAFE_METHODS and self._is_for_machines(request):
                return await handler(request)
            caller = await self._callers.identify(request)
            request[CALLER], request[ROLE], request[OPERATOR_NAME] = caller, caller.role, caller.name
            request[_NONCE] = request.cookies.get(COOKIE, "")
            if request.method not in SAFE_METHODS:
                await self._check_change(request, caller)
                return await handler(request)
            return await self._with_cookie(request, handler, caller)

        return check

    def context(self, request: web.BaseRequest) -> Mapping[str, object]:
        """Return what templates see of the caller: who, may_act, why_not, and the field of forms."""
        caller = request.get(CALLER, NOBODY)
        token = self.form_token(request)
        field = Markup('<input type="hidden" name="{}" value="{}">').format(FIELD, token) if token else ""
        return {
            "who": f"{caller.name} ({caller.role})" if caller.name else "",
            "may_act": self.may_act(caller),
            "read_only": "" if self.acts else READ_ONLY,
            "csrf_field": lambda: field,
        }

    def may_act(self, caller: Caller) -> bool:
        """Return True for an operator of a console that is not read-only."""
        return self.acts and caller.role is Role.OPERATOR

    def form_token(self, request: web.BaseRequest) -> str:
        """Return the token for a caller's forms; an empty one for whoever may not act or needs none."""
        caller = request.get(CALLER, NOBODY)
        return self._csrf.token(caller, request[_NONCE]) if self.may_act(caller) and caller.by_browser else ""

    async def _check_change(self, request: web.Request, caller: Caller) -> None:
        if caller.role is not Role.OPERATOR:
            raise ExhaustError(ErrorCode.AUTHORIZATION_FAILED, "only an operator may do this; you are a viewer")
        if not self.acts:
            raise ExhaustError(ErrorCode.AUTHORIZATION_FAILED, READ_ONLY)
        if caller.by_browser:
            check_origin(request)
        fields = await read_fields(request)
        token = fields.take(FIELD) if fields.of_form else ""
        if caller.by_browser:
            self._csrf.check(caller, request[_NONCE], request.headers.get(HEADER) or token)
        request[FIELDS] = fields

    async def _with_cookie(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]], caller: Caller
    ) -> web.StreamResponse:
        """Answer, and give the browser of an operator the cookie that its forms need."""
        nonce = self._csrf.nonce(caller) if self.may_act(caller) and caller.by_browser else ""
        is_new = bool(nonce) and request[_NONCE] != nonce
        if is_new:
            request[_NONCE] = nonce
        response = await handler(request)
        if is_new:
            response.set_cookie(
                COOKIE,
                nonce,
                path=self._prefix or "/",
                httponly=True,
                samesite="Strict",
                secure=self._is_secure(request),
            )
        return response

    def _is_secure(self, request: web.BaseRequest) -> bool:
        """Return True when the browser came by https, to us or to a trusted proxy."""
        proxied = self._callers.from_proxy(request) and request.headers.get("X-Forwarded-Proto", "").lower() == "https"
        return request.secure or proxied

    def _is_for_machines(self, request: web.BaseRequest) -> bool:
        return request.path.startswith(("/health/", f"{self._prefix}/static/")) or request.path == "/metrics"


@asynccontextmanager
async def open_gate(settings: ConsoleSettings, *, acts: bool) -> AsyncIterator[Gate]:
    """Open the gate for the time of a block.

    Args:
        settings: whom to believe, and the prefix of pages.
        acts: False for a console that is read-only.

    Raises:
        IssuersFileError: the file of issuers, an entry or a key cannot be used.
    """
    path, key = settings.console_token_issuers, settings.console_session_key
    csrf = Csrf(key.get_secret_value().encode() if key else None)
    async with open_token_verifier(path, setting="EXHAUST_CONSOLE_TOKEN_ISSUERS") as tokens:
        callers = Callers(settings, tokens if path else None)
        yield Gate(callers, csrf, prefix=settings.console_prefix.rstrip("/"), acts=acts)
