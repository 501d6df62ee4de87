"""Who may talk to the JupyterLab of a case."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import TYPE_CHECKING

from jupyter_server.auth.identity import PasswordIdentityProvider

if TYPE_CHECKING:
    from jupyter_server.auth import User
    from tornado.web import RequestHandler


class TokenOfThisStart(PasswordIdentityProvider):
    """Refuses whoever brings another token, whatever cookie comes with it.

    A browser's tabs share their cookies: a tab of yesterday would save its customer's notebook into the case that has
    its port today.
    """

    def get_user(self, handler: RequestHandler) -> User | Awaitable[User | None] | None:
        """Return who asks; None for a stranger."""
        brought = self.get_token(handler)
        return None if brought and brought != self.token else super().get_user(handler)
