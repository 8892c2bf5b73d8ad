"""Say no in the shape that OpenAI's clients understand."""

from typing import Any

from sparrow.errors import PromptError, QueueFull, SparrowError, UsageError
from sparrow.language import _

__all__ = ["Closing", "Refusal", "as_refusal"]


class Refusal(SparrowError):  # noqa: N818  its subclass is no error either
    """A request that is not served: status, kind, the field, and a word for programs.

    Args:
        message: the sentence that a person reads.
        status: of HTTP.
        param: the field that is wrong.
        code: the same reason for a program.
        retry_after_s: when to try again.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int = 400,
        param: str | None = None,
        code: str | None = None,
        retry_after_s: int | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.param, self.code = status, param, code
        self.retry_after_s = retry_after_s

    @property
    def headers(self) -> dict[str, str]:
        """What goes with the status."""
        wait = self.retry_after_s
        return {} if wait is None else {"Retry-After": str(wait)}

    def to_dict(self) -> dict[str, Any]:
        """The body, as OpenAI writes it."""
        kinds = {429: "rate_limit_error", 500: "server_error", 503: "server_error"}
        told = {
            "message": str(self),
            "type": kinds.get(self.status, "invalid_request_error"),
            "param": self.param,
            "code": self.code,
        }
        return {"error": told}


class Closing(Refusal):
    """The server finishes what it began, and takes nothing new."""

    def __init__(self) -> None:
        super().__init__(
            _("this server is closing and takes no new requests; try again later."),
            status=503,
            code="server_closing",
            retry_after_s=10,
        )


def as_refusal(error: Exception) -> Refusal:
    """Any error as one that can be answered; what nobody foresaw says little."""
    match error:
        case Refusal():
            return error
        case QueueFull():
            return Refusal(
                str(error),
                status=429,
                code="queue_full",
                retry_after_s=error.retry_after_s,
            )
        case PromptError():
            return Refusal(str(error), code="context_length_exceeded")
        case UsageError():
            return Refusal(str(error))
    return Refusal(
        _("something went wrong in the server, and its log says what; try again."),
        status=500,
        code="internal_error",
    )
