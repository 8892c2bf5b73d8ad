"""Find the imports that a piece of a module needs to stand alone."""

import ast
import builtins
import symtable

__all__ = ["imports"]

COLUMNS = 79
Function = ast.FunctionDef | ast.AsyncFunctionDef


def imports(tree: ast.Module, whole: str, node: Function, module: str) -> str:
    """The lines to put above the function, with two empty lines; or nothing.

    Args:
        tree: the module that the function comes from.
        whole: the function's text, as it stands alone.
        node: the function in `tree`.
        module: the module's dotted name, which what it defines itself comes from.
    """
    used = _free_names(whole, node)
    lines: list[str] = []
    for each in tree.body:
        if isinstance(each, ast.Import | ast.ImportFrom):
            lines += _cut_down(each, used)
    own = sorted(used & _defined(tree) - {node.name})
    if own:
        lines += _from(module, own)
    return "\n".join(lines) + "\n\n\n" if lines else ""


def _free_names(whole: str, node: Function) -> set[str]:
    """Names that the function takes from outside; its own variables are not."""
    used: set[str] = set()
    tables = [symtable.symtable(whole, "<cut>", "exec")]
    while tables:
        table = tables.pop()
        tables += table.get_children()
        is_top = table.get_type() == "module"
        used |= {
            each.get_name()
            for each in table.get_symbols()
            if each.is_referenced() and (is_top or each.is_global())
        }
    # 3.14 keeps annotations in tables of their own, so they are read here too
    arguments = node.args
    for each in (
        *(*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs),
        *(arguments.vararg, arguments.kwarg),
    ):
        if each is not None and each.annotation is not None:
            used |= _names(each.annotation)
    if node.returns is not None:
        used |= _names(node.returns)
    return used - set(dir(builtins))


def _names(node: ast.AST) -> set[str]:
    return {each.id for each in ast.walk(node) if isinstance(each, ast.Name)}


def _cut_down(node: ast.Import | ast.ImportFrom, used: set[str]) -> list[str]:
    """This import, with the used names only."""
    kept = [
        alias
        for alias in node.names
        if (alias.asname or alias.name.split(".")[0]) in used
    ]
    if not kept:
        return []
    if isinstance(node, ast.ImportFrom):
        return _from("." * node.level + (node.module or ""), map(ast.unparse, kept))
    return [ast.unparse(ast.Import([alias])) for alias in kept]


def _from(module: str, names: "map[str] | list[str]") -> list[str]:
    """`from module import names`, on several lines where one is too short."""
    names = list(names)
    line = f"from {module} import {', '.join(names)}"
    if len(line) <= COLUMNS:
        return [line]
    return [f"from {module} import (", *(f"    {name}," for name in names), ")"]


def _defined(tree: ast.Module) -> set[str]:
    """Names that the module itself defines at its top."""
    names = set()
    for node in tree.body:
        if isinstance(node, Function | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            for target in targets:
                names |= _names(target)
    return names
