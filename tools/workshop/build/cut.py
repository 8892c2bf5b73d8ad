"""Cut a function out of the library by its syntax tree: whole, or as a stub.

Lines are taken from the source, so comments survive. A stub keeps the signature, the
docstring and the numbered steps (`# 1. …`), each at its own place.
"""

import ast
import difflib
import io
import re
import textwrap
import tokenize
from dataclasses import dataclass
from pathlib import Path

import sparrow
from sparrow.language import _
from workshop.build import needed
from workshop.build.failures import SourceError

__all__ = ["LIBRARY", "Cut", "Function", "cut"]

LIBRARY = Path(sparrow.__file__).parents[1]  # the folder that holds the package
STEP = re.compile(r"# \d+\. ")
Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, kw_only=True)
class Cut:
    """A function as two texts, each with the imports that it needs.

    `statements` are those of its body, without the docstring, one text each.
    """

    name: str
    whole: str
    stub: str
    statements: tuple[str, ...]


def cut(symbol: str, exercise: str, library: Path | None = None) -> Cut:
    """Cut `module:function` or `module:Class.method`.

    Args:
        symbol: what to cut.
        exercise: the number that the stub names.
        library: the folder that the module lies in (default: this package's).

    Raises:
        SourceError: there is no such module or function, or no stub can be made of it.
    """
    module, _colon, path = symbol.partition(":")
    folder = library or LIBRARY
    tree, text = _read(_file_of(module, symbol, folder), symbol)
    node = _find(tree, path, symbol, folder)
    if _uses_super(node):
        raise SourceError(
            _(
                "{symbol} calls super(), which works only inside its class: choose "
                "another function, or name the class in super(Class, self).",
                symbol=symbol,
            )
        )
    first = min([node.lineno, *(each.lineno for each in node.decorator_list)])
    body = text.splitlines()[first - 1 : node.end_lineno]
    whole = textwrap.dedent("\n".join(body))
    # 'raise' belongs to every stub: a function that returns nothing would look right
    indent = " " * (node.body[0].col_offset - node.col_offset)
    stub = (
        textwrap.dedent("\n".join(_stub_lines(node, body, first, symbol)))
        + f'\n{indent}raise NotImplementedError("Exercise {exercise}: '
        + f'write {node.name}")'
    )
    imports = needed.imports(tree, whole, node, module)
    return Cut(
        name=node.name,
        whole=imports + whole,
        stub=imports + stub,
        statements=_statements(node),
    )


def _file_of(module: str, symbol: str, folder: Path) -> Path:
    path = folder.joinpath(*module.split("."))
    for candidate in (path.with_suffix(".py"), path / "__init__.py"):
        if candidate.is_file():
            return candidate
    known = [
        ".".join(each.relative_to(folder).with_suffix("").parts).removesuffix(
            ".__init__"
        )
        for each in sorted(folder.glob("*/**/*.py"))
    ]
    near = difflib.get_close_matches(module, known, n=3)
    raise SourceError(
        _(
            "There is no module {module}, which {symbol} names; near it are: {near}.",
            module=module,
            symbol=symbol,
            near=", ".join(near) or _("none"),
        )
    )


def _read(file: Path, symbol: str) -> tuple[ast.Module, str]:
    text = file.read_text("utf-8")
    try:
        return ast.parse(text), text
    except SyntaxError as error:
        raise SourceError(
            _(
                "{symbol} lies in {file}, whose line {line} is not valid Python: mend "
                "it first.",
                symbol=symbol,
                file=file.name,
                line=error.lineno,
            )
        ) from error


def _functions(
    scope: ast.Module | ast.ClassDef, prefix: str = ""
) -> dict[str, Function]:
    """Every function and method, by its dotted name."""
    found: dict[str, Function] = {}
    for node in scope.body:
        if isinstance(node, Function):
            found[prefix + node.name] = node
        elif isinstance(node, ast.ClassDef):
            found |= _functions(node, f"{prefix}{node.name}.")
    return found


def _find(tree: ast.Module, path: str, symbol: str, folder: Path) -> Function:
    """The function or method, or an error that says where there is a near name."""
    functions = _functions(tree)
    if path in functions:
        return functions[path]
    module = symbol.partition(":")[0]
    near = [f"{module}:{name}" for name in difflib.get_close_matches(path, functions)]
    for file in sorted(folder.glob("*/**/*.py")) if not near else ():
        name = ".".join(file.relative_to(folder).with_suffix("").parts)
        if path in _functions(ast.parse(file.read_text("utf-8"))):
            near.append(f"{name}:{path}")
    near = near or [f"{module}:{name}" for name in list(functions)[:5]]
    raise SourceError(
        _(
            "There is no {symbol}; near it are: {near}.",
            symbol=symbol,
            near=", ".join(near) or _("none"),
        )
    )


def _uses_super(node: Function) -> bool:
    """`super()` finds its class by where it stands, so it cannot be cut out."""
    return any(
        isinstance(each, ast.Call)
        and isinstance(each.func, ast.Name)
        and each.func.id == "super"
        and not each.args
        for each in ast.walk(node)
    )


def _stub_lines(node: Function, body: list[str], first: int, symbol: str) -> list[str]:
    """Signature, docstring and steps."""
    if ast.get_docstring(node) is None or len(node.body) < 2:
        raise SourceError(
            _("{symbol} needs a docstring and a body to be an exercise.", symbol=symbol)
        )
    end = (node.body[0].end_lineno or node.body[0].lineno) - first + 1
    kept = body[:end]
    comments = _comment_lines(body)
    in_step = False
    for at in range(end, len(body)):
        in_step = at in comments and (in_step or bool(STEP.match(body[at].lstrip())))
        if in_step:
            kept.append(body[at])
    if len(kept) == end:
        raise SourceError(
            _("{symbol} has no numbered steps (# 1. …) for the stub.", symbol=symbol)
        )
    return kept


def _comment_lines(lines: list[str]) -> set[int]:
    """The lines that hold a comment and nothing else; text in quotes is no comment."""
    text = textwrap.dedent("\n".join(lines)) + "\n"
    return {
        token.start[0] - 1
        for token in tokenize.generate_tokens(io.StringIO(text).readline)
        if token.type == tokenize.COMMENT and token.line.lstrip().startswith("#")
    }


def _statements(node: Function) -> tuple[str, ...]:
    """Every statement of the body; of an `if` or a loop its head, then its own."""
    found = []
    for each in node.body[1:]:
        for inner in ast.walk(each):
            if isinstance(inner, ast.stmt):
                found.append(ast.unparse(inner).partition("\n")[0])
    return tuple(found)
