"""Log people in by the passcodes on their cards."""

import asyncio
import math
import secrets
from typing import Any

from jupyterhub.auth import Authenticator
from tornado.web import HTTPError
from traitlets import Any as AnyTrait

from sparrow.errors import SparrowError
from sparrow.language import _
from workshop.classroom.passcodes import Passcodes

__all__ = ["PasscodeAuthenticator"]


class PasscodeAuthenticator(Authenticator):  # type: ignore[misc]
    """An account and its passcode; too many wrong ones lock the account for a time."""

    passcodes: Passcodes = AnyTrait().tag(config=True)

    async def authenticate(self, handler: Any, data: dict[str, str]) -> str | None:
        """The account, or None if account and passcode do not belong together.

        Raises:
            HTTPError: the account is locked, or nothing can be written; the sentence
                stands in the form.
        """
        account = data["username"]
        verify = self.passcodes.verify
        try:
            verdict = await asyncio.to_thread(verify, account, data["password"])
        except SparrowError as error:
            raise refusal(503, str(error)) from error
        if verdict.kind == "locked":
            minutes = math.ceil(verdict.wait_s / 60)
            sentence = _(
                "Too many wrong passcodes for {account}: wait {minutes} min, or ask "
                "your instructor for a new card.",
                account=account,
                minutes=minutes,
            )
            self.log.warning("%s is locked after wrong passcodes", account)
            raise refusal(429, sentence)
        if verdict.kind == "wrong":
            return None
        if verdict.is_first:
            forget_sessions(handler, account)
        return account

    async def refresh_user(self, user: Any, handler: Any = None) -> bool:
        """Whether somebody who is logged in may stay: not after a reset or removal."""
        kept = self.passcodes.accounts().get(user.name)
        return kept is not None and kept.was_used


def refusal(status: int, sentence: str) -> HTTPError:
    """An error whose sentence JupyterHub shows in the form."""
    error: Any = HTTPError(status)
    error.jupyterhub_message = sentence
    return error


def forget_sessions(handler: Any, account: str) -> None:
    """With a new passcode, every log-in with the old one ends, in all browsers."""
    user = handler.find_user(account)
    if user is None:
        return
    user.orm_user.cookie_id = secrets.token_hex(16)
    for token in list(user.orm_user.api_tokens):
        handler.db.delete(token)
    handler.db.commit()
