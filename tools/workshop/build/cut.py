"""Cut a function out of the library by its syntax tree: whole, or as a stub.

Lines are taken from the source, so comments survive. A stub keeps the signature, the
docstring and the numbered steps (`# 1. …`), each at its own place.
"""

import ast
import difflib
import importlib.util
import re
import textwrap
from dataclasses import dataclass
from pathlib import Path

from sparrow.language import _
from workshop.build.failures import SourceError

__all__ = ["Cut", "cut"]

STEP = re.compile(r"\s*# \d+\. ")
Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, kw_only=True)
class Cut:
    """A function as two texts, each with the imports that it needs."""

    name: str
    whole: str
    stub: str


def cut(symbol: str, exercise: str) -> Cut:
    """Cut `module:function` or `module:Class.method`.

    Raises:
        SourceError: there is no such module or function, or it has no steps.
    """
    module, _colon, path = symbol.partition(":")
    file = _file_of(module, symbol)
    text = file.read_text("utf-8")
    tree = ast.parse(text)
    node = _find(tree, path, symbol)
    lines = text.splitlines()
    first = min([node.lineno, *(each.lineno for each in node.decorator_list)])
    whole = textwrap.dedent("\n".join(lines[first - 1 : node.end_lineno]))
    kept = _stub_lines(node, lines, first, symbol)
    indent = " " * (node.body[0].col_offset - node.col_offset)
    stub = textwrap.dedent("\n".join(kept)) + (
        f'\n{indent}raise NotImplementedError("Exercise {exercise}: write {node.name}")'
    )
    imports = _imports(tree, node, module)
    return Cut(name=node.name, whole=imports + whole, stub=imports + stub)


def _file_of(module: str, symbol: str) -> Path:
    try:
        found = importlib.util.find_spec(module)
    except (ImportError, ValueError):
        found = None
    if found is None or found.origin is None:
        raise SourceError(
            _(
                "There is no module {module}, which {symbol} names.",
                module=module,
                symbol=symbol,
            )
        )
    return Path(found.origin)


def _find(tree: ast.Module, path: str, symbol: str) -> Function:
    """The function or method, or an error that names what is near."""
    scope: ast.Module | ast.ClassDef = tree
    *classes, name = path.split(".")
    for each in classes:
        inner = {
            node.name: node for node in scope.body if isinstance(node, ast.ClassDef)
        }
        if each not in inner:
            raise _unknown(symbol, each, list(inner))
        scope = inner[each]
    functions = {node.name: node for node in scope.body if isinstance(node, Function)}
    if name not in functions:
        raise _unknown(symbol, name, list(functions))
    return functions[name]


def _unknown(symbol: str, name: str, known: list[str]) -> SourceError:
    near = difflib.get_close_matches(name, known, n=3) or known[:5]
    return SourceError(
        _(
            "{symbol}: there is no {name}; near it are: {near}.",
            symbol=symbol,
            name=name,
            near=", ".join(near) or _("none"),
        )
    )


def _stub_lines(node: Function, lines: list[str], first: int, symbol: str) -> list[str]:
    """Signature, docstring and steps."""
    body = node.body
    if ast.get_docstring(node) is None or len(body) < 2:
        raise SourceError(
            _("{symbol} needs a docstring and a body to be an exercise.", symbol=symbol)
        )
    docstring_end = body[0].end_lineno or body[0].lineno
    kept = lines[first - 1 : docstring_end]
    in_step = False
    for line in lines[docstring_end : node.end_lineno]:
        is_comment = line.lstrip().startswith("#")
        in_step = is_comment and (in_step or STEP.match(line) is not None)
        if in_step:
            kept.append(line)
    if len(kept) == docstring_end - first + 1:
        raise SourceError(
            _("{symbol} has no numbered steps (# 1. …) for the stub.", symbol=symbol)
        )
    return kept


def _imports(tree: ast.Module, node: Function, module: str) -> str:
    """The module's own imports that the function uses, and what it defines itself."""
    used = {each.id for each in ast.walk(node) if isinstance(each, ast.Name)}
    lines = []
    for each in tree.body:
        if isinstance(each, ast.Import | ast.ImportFrom):
            lines += _import_lines(each, used)
    own = sorted(used & _defined(tree) - {node.name})
    if own:
        lines.append(f"from {module} import {', '.join(own)}")
    return "\n".join(lines) + "\n\n\n" if lines else ""


def _import_lines(node: ast.Import | ast.ImportFrom, used: set[str]) -> list[str]:
    """This import, cut down to the names that are used."""
    kept = [
        alias
        for alias in node.names
        if (alias.asname or alias.name.split(".")[0]) in used
    ]
    if not kept:
        return []
    if isinstance(node, ast.ImportFrom):
        return [ast.unparse(ast.ImportFrom(node.module, kept, node.level))]
    return [ast.unparse(ast.Import([alias])) for alias in kept]


def _defined(tree: ast.Module) -> set[str]:
    """Names that the module itself defines at its top."""
    names = set()
    for node in tree.body:
        if isinstance(node, Function | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            for target in targets:
                names |= {
                    each.id for each in ast.walk(target) if isinstance(each, ast.Name)
                }
    return names
