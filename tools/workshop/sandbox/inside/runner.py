"""Run a submission's cells, apply its object to the cases, and send plain answers.

Everything here happens in the same process as the submission's own code. So nothing
here decides anything: no expected value and no verdict ever comes inside.
"""

import ast
import io
import linecache
import os
import re
import struct
import sys
import types
from collections.abc import Callable
from typing import Any

from sparrow import language
from sparrow.checks import library, wire
from sparrow.checks.drivers import drive
from sparrow.checks.failures import in_one_sentence
from sparrow.errors import WireError
from sparrow.language import _

__all__ = ["LENGTH", "run"]

LENGTH = struct.Struct(">I")


def run(payload: bytes, reply: int) -> None:
    """Answer one job; each answer is sent as soon as it is known.

    Args:
        payload: a message of `sparrow.checks.wire`: `cells` (name and source each),
            `imports_from`, `object`, `disable`, `driver`, `inputs`, `shared` and
            `language`.
        reply: the descriptor that takes the answers.
    """
    job: Any = wire.decode(payload)
    language.use(job["language"])
    send = _sender(reply)
    names = [each["name"] for each in job["cells"]]
    for symbol in job["disable"]:
        _disable(symbol)
    namespace = _namespace(job)
    failure = ""
    for each in job["cells"]:
        if message := _execute(each["name"], each["source"], namespace, names):
            failure = message
    if job["object"] not in namespace:
        missing = _("The cell defines no {name}.", name=job["object"])
        send({"failure": failure or missing})
        return
    # A cell that fails after it has defined the object still earns what it can.
    send({"failure": ""})
    found = namespace[job["object"]]
    for inputs in job["inputs"]:
        send(_answer(job["driver"], found, {**inputs, **job["shared"]}, names))


def _sender(reply: int) -> Callable[[Any], None]:
    """What sends one answer; bound early, so that no later patch can confuse it."""
    encode, write = wire.encode, os.write

    def send(answer: Any) -> None:
        try:
            message = encode(answer)
        except WireError as error:
            message = encode({"failure": str(error)})
        except MemoryError:
            message = encode({"failure": _("The result is too large to be sent.")})
        left = memoryview(LENGTH.pack(len(message)) + message)
        while left:
            left = left[write(reply, left) :]

    return send


def _answer(driver: str, found: Any, inputs: Any, files: list[str]) -> dict[str, Any]:
    try:
        return {"value": drive(driver, found, inputs), "failure": ""}
    except BaseException as error:
        return {"value": None, "failure": in_one_sentence(error, files)}


def _namespace(job: Any) -> dict[str, Any]:
    """A fresh notebook: what the submission imports in any cell is there."""
    main = types.ModuleType("__main__")
    namespace = main.__dict__
    sys.modules["__main__"] = main
    sys.stdin = io.StringIO()
    used = " ".join(each["source"] for each in job["cells"])
    for source in job["imports_from"]:
        for statement in _imports(source, used):
            try:
                exec(compile(statement, "<import>", "exec"), namespace)
            except BaseException:
                continue  # an import of another exercise: this one may not need it
    return namespace


def _imports(source: str, used: str) -> list[str]:
    """The imports on the first level of a cell that give a name which is used."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return []
    found = []
    for node in tree.body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [(each.asname or each.name).split(".")[0] for each in node.names]
            if any(name == "*" or name in used for name in names):
                found.append(ast.unparse(node))
    return found


def _execute(name: str, source: str, namespace: dict[str, Any], files: Any) -> str:
    """Run one cell; the answer is empty, or why it stopped."""
    linecache.cache[name] = (len(source), None, source.splitlines(True), name)
    try:
        exec(_compiled(source, name), namespace)
    except SyntaxError as error:
        return _(
            "Python cannot read line {line} of your code: {reason}.",
            line=error.lineno or 1,
            reason=error.msg,
        )
    except BaseException as error:
        return in_one_sentence(error, files)
    return ""


def _compiled(source: str, name: str) -> types.CodeType:
    """The code; lines for Jupyter alone, such as `%time`, count as empty."""
    try:
        return compile(source, name, "exec")
    except SyntaxError:
        plain = re.sub(r"^[ \t]*[%!].*$", "", source, flags=re.MULTILINE)
        if plain == source:
            raise
        return compile(plain, name, "exec")


def _disable(symbol: str) -> None:
    """Let the library's own version of the exercise raise, wherever it is known."""
    owner, name = library.locate(symbol)
    original = owner.__dict__[name]

    def refuse(*_arguments: Any, **_named: Any) -> Any:
        raise RuntimeError(
            _("{symbol} of the library is what you are asked to write.", symbol=symbol)
        )

    setattr(owner, name, refuse)
    for module_name, module in list(sys.modules.items()):
        if module_name.startswith("sparrow"):
            for alias, found in list(vars(module).items()):
                if found is original:
                    setattr(module, alias, refuse)
