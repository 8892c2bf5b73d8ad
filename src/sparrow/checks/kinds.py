"""Say in plain words what makes two values impossible to compare."""

import math

from torch import Tensor

from sparrow.checks.protocol import Plain
from sparrow.language import _

__all__ = ["difference_in_kind"]


def difference_in_kind(actual: Plain, expected: Plain, where: str = "") -> str:
    """What makes two values impossible to compare, in plain words; empty if nothing.

    Looks at type, shape, precision, length, names and NaN, in this order.
    """
    name = where or _("The result")
    if actual is None and expected is not None:
        return _("{name} is None: is a return missing?", name=name)
    if isinstance(expected, Tensor):
        return _difference_of_tensors(actual, expected, name)
    if isinstance(expected, bool) or isinstance(actual, bool):
        same = isinstance(actual, bool) and isinstance(expected, bool)
        return "" if same else _wrong_type(name, actual, expected)
    if isinstance(expected, int | float):
        return _difference_of_numbers(actual, expected, name)
    if isinstance(expected, list):
        if not isinstance(actual, list):
            return _wrong_type(name, actual, expected)
        return _difference_of_lists(actual, expected, where, name)
    if isinstance(expected, dict):
        if not isinstance(actual, dict):
            return _wrong_type(name, actual, expected)
        return _difference_of_dicts(actual, expected, where, name)
    return "" if type(actual) is type(expected) else _wrong_type(name, actual, expected)


def _difference_of_tensors(actual: Plain, expected: Tensor, name: str) -> str:
    if not isinstance(actual, Tensor):
        return _wrong_type(name, actual, expected)
    if actual.shape != expected.shape:
        return _(
            "{name} has shape {got} where {want} is needed.",
            name=name,
            got=list(actual.shape),
            want=list(expected.shape),
        )
    if actual.dtype != expected.dtype:
        return _(
            "{name} has type {got} where {want} is needed.",
            name=name,
            got=str(actual.dtype).removeprefix("torch."),
            want=str(expected.dtype).removeprefix("torch."),
        )
    if actual.is_floating_point() and (actual.isnan() & ~expected.isnan()).any():
        return _not_a_number(name)
    return ""


def _difference_of_numbers(actual: Plain, expected: float, name: str) -> str:
    if isinstance(actual, Tensor) and actual.dim() == 0:
        return _(
            "{name} is a tensor: a number is needed. `.item()` makes one.", name=name
        )
    if not isinstance(actual, int | float):
        return _wrong_type(name, actual, expected)
    if isinstance(expected, int) and not isinstance(actual, int):
        return _("{name} must be a whole number, an int.", name=name)
    if math.isnan(actual) and not math.isnan(expected):
        return _not_a_number(name)
    return ""


def _difference_of_lists(
    actual: list[Plain], expected: list[Plain], where: str, name: str
) -> str:
    if len(actual) != len(expected):
        return _(
            "{name} has {got} parts where {want} are needed.",
            name=name,
            got=len(actual),
            want=len(expected),
        )
    for index, (got, want) in enumerate(zip(actual, expected, strict=True)):
        if found := difference_in_kind(got, want, f"{where}[{index}]"):
            return found
    return ""


def _difference_of_dicts(
    actual: dict[str, Plain], expected: dict[str, Plain], where: str, name: str
) -> str:
    if actual.keys() != expected.keys():
        return _(
            "{name} needs exactly these names: {names}.",
            name=name,
            names=", ".join(expected),
        )
    for key, want in expected.items():
        inner = f"{where}.{key}" if where else key
        if found := difference_in_kind(actual[key], want, inner):
            return found
    return ""


def _wrong_type(name: str, actual: Plain, expected: Plain) -> str:
    return _(
        "{name} is {got} where {want} is needed.",
        name=name,
        got=_type_in_words(actual),
        want=_type_in_words(expected),
    )


def _not_a_number(name: str) -> str:
    return _(
        "{name} holds NaN, which is no number: look for 0/0, for ∞ − ∞, or for the "
        "root or the logarithm of a negative number.",
        name=name,
    )


def _type_in_words(value: Plain) -> str:
    words = {
        "NoneType": _("None"),
        "bool": _("True or False"),
        "int": _("a whole number"),
        "float": _("a decimal number"),
        "str": _("text"),
        "list": _("a list or tuple"),
        "dict": _("a dictionary or record"),
        "Tensor": _("a tensor"),
    }
    return words.get(type(value).__name__, type(value).__name__)
