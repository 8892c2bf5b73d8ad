"""Turn what went wrong into one sentence that says what to do."""

import re
from collections.abc import Sequence

from sparrow.errors import SparrowError, UsageError
from sparrow.language import _

__all__ = ["StartError", "StartUsageError", "explain"]

NO_NETWORK = re.compile(
    r"NewConnectionError|NameResolutionError|ConnectTimeout|Failed to establish"
    r"|name resolution|Network is unreachable|ProxyError|ReadTimeout|timed out"
    r"|Connection (refused|reset|aborted|broken)|RemoteDisconnected|IncompleteRead"
    r"|ConnectionError|ProtocolError"
)
NO_SPACE = re.compile(r"No space left|Errno 28|Disk quota exceeded|not enough space")
NOT_FOUND = re.compile(r"No matching distribution found for (\S+)")


class StartError(SparrowError):
    """The workshop cannot be set up or opened on this machine, as things are."""


class StartUsageError(UsageError):
    """A flag, an extra or a setting that does not exist."""


def explain(output: Sequence[str], doing: str, log: object) -> StartError:
    """The likeliest reason why pip stopped, from what it printed.

    Args:
        output: pip's last lines.
        doing: what was installed, as a person would say it.
        log: the file that has all of pip's lines.
    """
    text = "\n".join(output)
    if NO_SPACE.search(text):
        return StartError(
            _(
                "The disk became full while installing {doing}: free some space and "
                "run the same command again; finished downloads are kept.",
                doing=doing,
            )
        )
    if NO_NETWORK.search(text):
        return StartError(
            _(
                "The network did not answer while installing {doing}: connect this "
                "machine (only the first start needs it) and run the same command "
                "again; finished downloads are kept.",
                doing=doing,
            )
        )
    if found := NOT_FOUND.search(text):
        return StartError(
            _(
                "pip finds no {package} for this Python and this machine: check the "
                "network and pip's settings (pip config list), or try another Python "
                "version; then run the same command again.",
                package=found[1],
            )
        )
    errors = [line for line in output if line.lower().startswith("error")]
    return StartError(
        _(
            "pip could not install {doing} ({reason}): read {log}, mend the cause and "
            "run the same command again.",
            doing=doing,
            reason=(errors or [*output, "?"])[0].removeprefix("ERROR: ").strip(),
            log=log,
        )
    )
