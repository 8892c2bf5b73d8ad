"""Write down what defines an object of a notebook, with all that it uses."""

import ast
import builtins
import inspect
import linecache
import symtable
import sys
from dataclasses import dataclass
from types import ModuleType
from typing import Any

__all__ = ["Origin", "find", "is_python"]

CELL_LINES = 400  # a longer file is a module, not a cell
Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


@dataclass(frozen=True)
class Origin:
    """Code that stands alone, and the names that it could not be given."""

    code: str
    missing: tuple[str, ...]


def find(learner_object: Any) -> Origin | None:
    """What its cell imports and defines, and what other cells give it.

    Returns:
        None for what no cell of a notebook defines: a value, or the library's own.
    """
    code = _cell_of(learner_object)
    if code is None:
        return None
    there = getattr(_function_of(learner_object), "__globals__", {})
    above: list[str] = []
    missing: list[str] = []
    known, queue = _defined(code), [code]
    while queue:
        for name in sorted(_used(queue.pop()) & set(there) - known):
            known.add(name)
            more = _given(name, there[name])
            if more is None:
                missing.append(name)
                continue
            above.insert(0, more)
            known |= _defined(more)
            queue.append(more)
    imports = [each for each in above if each.startswith(("import ", "from "))]
    rest = [each for each in above if not each.startswith(("import ", "from "))]
    head = ["\n".join(imports)] if imports else []
    return Origin("\n\n\n".join([*head, *rest, code]), tuple(missing))


def is_python(text: str) -> bool:
    """Whether the text can be a part of a Python file."""
    return _tree(text) is not None


def _tree(text: str) -> ast.Module | None:
    try:
        return ast.parse(text)
    except (SyntaxError, ValueError):
        return None


def _cell_of(learner_object: Any) -> str | None:
    """The definitions of the cell in which the learner wrote this object."""
    if not (inspect.isfunction(learner_object) or inspect.isclass(learner_object)):
        return None
    if learner_object.__module__.partition(".")[0] == "sparrow":
        return None  # the library's own, tried out
    function = _function_of(learner_object)
    try:
        own = inspect.cleandoc(inspect.getsource(function))
        file = inspect.getsourcefile(function)
    except (OSError, TypeError):
        return None
    cell = "".join(linecache.getlines(file)) if file else ""
    for text in (cell, own):
        if len(text.splitlines()) < CELL_LINES and (
            kept := _definitions(text, learner_object.__name__)
        ):
            return kept
    return None


def _function_of(learner_object: Any) -> Any:
    """The object, or a method of the class: Python knows where functions come from."""
    if inspect.isfunction(learner_object):
        return learner_object
    for each in vars(learner_object).values():
        method = getattr(each, "__func__", each)  # of a static or class method
        if inspect.isfunction(method) and method.__code__.co_filename != "<string>":
            return method  # what dataclasses write themselves has no file
    return None


def _given(name: str, value: Any) -> str | None:
    """The line or lines that give a cell what another cell made; None if unknown."""
    if isinstance(value, ModuleType):
        is_same = value.__name__ == name
        return f"import {value.__name__}" + ("" if is_same else f" as {name}")
    module = sys.modules.get(getattr(value, "__module__", None) or "__main__")
    own_name = getattr(value, "__name__", None) or ""
    is_there = module is not None and getattr(module, own_name, None) is value
    if module is not None and is_there and module.__name__ != "__main__":
        line = f"from {module.__name__} import {own_name}"
        return line + ("" if own_name == name else f" as {name}")
    if (code := _cell_of(value)) is not None:
        return code
    if value is None or isinstance(value, bool | int | float | str):
        return f"{name} = {value!r}"
    return None


def _definitions(text: str, name: str) -> str:
    """What defines `name`: imports, functions, classes and constants of its cell.

    A cell may also try something out, or define more than that.
    """
    tree = _tree(text)
    if tree is None:
        return ""
    lines = text.splitlines()
    blocks = [_Block(node, lines) for node in tree.body if _is_safe(node)]
    kept: set[int] = set()
    needed, before = {name}, -1
    while len(kept) > before:
        before = len(kept)
        for at, block in enumerate(blocks):
            if block.binds & needed:
                kept.add(at)
                needed |= block.uses
    return "".join(blocks[at].text for at in sorted(kept)).strip("\n")


class _Block:
    """One statement of a cell: its text, what it binds, and what it uses."""

    def __init__(self, node: ast.stmt, lines: list[str]) -> None:
        decorators: list[ast.expr] = getattr(node, "decorator_list", [])
        first = min([node.lineno, *(each.lineno for each in decorators)])
        own = "\n".join(lines[first - 1 : node.end_lineno])
        self.text = ("\n\n\n" if isinstance(node, Definition) else "\n") + own
        self.binds, self.uses = _defined(own), _used(own)


def _is_safe(node: ast.stmt) -> bool:
    if isinstance(node, ast.ImportFrom):
        return node.module != "__future__"  # stands at the top of the file
    if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
        return not any(
            isinstance(each, ast.Name | ast.Call | ast.NamedExpr)
            for each in ast.walk(node.value)
        )
    return isinstance(node, ast.Import | Definition)


def _defined(code: str) -> set[str]:
    """The names that the code binds at its top, imports included."""
    table = symtable.symtable(code, "<cell>", "exec")
    return {
        each.get_name()
        for each in table.get_symbols()
        if each.is_assigned() or each.is_imported() or each.is_namespace()
    }


def _used(code: str) -> set[str]:
    """The names that the code, or a function in it, takes from outside."""
    found: set[str] = set()
    tables = [symtable.symtable(code, "<cell>", "exec")]
    while tables:
        table = tables.pop()
        tables += table.get_children()
        is_top = table.get_type() == "module"
        found |= {
            each.get_name()
            for each in table.get_symbols()
            if each.is_referenced() and (is_top or each.is_global())
        }
    return found - set(dir(builtins))
