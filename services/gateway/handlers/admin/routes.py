"""The routes of the internal operations.

Callers show the service token, which the listener checks. `request/operator` says who acts, for the audit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from aiohttp import web

from exhaust.http.endpoint import endpoint
from schemas.bodies import KeyBody
from schemas.operations import Operation
from services.gateway.handlers.admin.audit import AuditBody, AuditHandler
from services.gateway.handlers.admin.clients import AssociateBody, AuthorizeBody, ClientHandler
from services.gateway.handlers.admin.fields import ClientBody, ResourceBody, UserBody
from services.gateway.handlers.admin.grants import GrantBody, GrantHandler, NewGrantBody
from services.gateway.handlers.admin.keys import KeyHandler, RevokeBody, RotateBody

if TYPE_CHECKING:
    from exhaust.http.endpoint import BodyT, Handler, HttpMetrics
    from exhaust.postgres.database import Database
    from services.gateway.auth.access import Access


@dataclass(frozen=True, slots=True)
class AdminHandlers:
    """The handlers of all internal operations but the update."""

    clients: ClientHandler
    keys: KeyHandler
    grants: GrantHandler
    audit: AuditHandler

    @classmethod
    def build(cls, access: Access, database: Database) -> AdminHandlers:
        """Build them on the same Access that the public operations ask."""
        return cls(
            ClientHandler(access),
            KeyHandler(access.keys),
            GrantHandler(access.grants, access.catalogue),
            AuditHandler(database),
        )

    def routes(self, metrics: HttpMetrics) -> list[web.RouteDef]:
        """Build their routes."""

        def post(path: str, name: str, body: type[BodyT], handle: Handler[BodyT]) -> web.RouteDef:
            operation = Operation(f"ekstep.data_exhaust_{name}", "1.0", name, "v1")
            return web.post(path, endpoint(operation, body, handle, metrics))

        return [
            post("/v1/client/authenticate", "client_authenticate", KeyBody, self.clients.authenticate),
            post("/v1/client/authorize", "client_authorize", AuthorizeBody, self.clients.authorize),
            post("/v1/associate/{resourceId}", "resource_associate", AssociateBody, self.clients.associate),
            post("/v1/admin/keys/list", "admin_keys_list", ClientBody, self.keys.list_keys),
            post("/v1/admin/keys/rotate", "admin_keys_rotate", RotateBody, self.keys.rotate),
            post("/v1/admin/keys/revoke", "admin_keys_revoke", RevokeBody, self.keys.revoke),
            post("/v1/admin/grants/add", "admin_grants_add", NewGrantBody, self.grants.add),
            post("/v1/admin/grants/remove", "admin_grants_remove", GrantBody, self.grants.remove),
            post("/v1/admin/grants/list", "admin_grants_list", UserBody, self.grants.list_grants),
            post("/v1/admin/grants/who", "admin_grants_who", ResourceBody, self.grants.who),
            post("/v1/admin/audit", "admin_audit", AuditBody, self.audit.find),
        ]
