"""`workshop.toml`: read what an instructor decided, and refuse what cannot be."""

import json
import textwrap
import tomllib
from dataclasses import fields
from datetime import date, datetime
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, get_args, get_origin
from zoneinfo import ZoneInfo

from sparrow.lab import catalogue
from sparrow.language import _
from workshop.classroom.demands import SettingsError, nearest
from workshop.classroom.tables import TABLES, Classroom, CourseTable

__all__ = [
    "FILE",
    "Classroom",
    "SettingsError",
    "as_toml",
    "example",
    "from_tables",
    "read",
    "written",
]

FILE = "workshop.toml"
DEADLINES = (
    "[deadlines]  # When each lab is due, by the course's clock.",
    "# 02_latent_attention = 2026-12-04T18:00:00",
)


def read(path: Path) -> Classroom:
    """Read and check `workshop.toml`.

    Raises:
        SettingsError: it is missing or wrong; the sentence names the setting.
    """
    path = path.absolute()
    try:
        told = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise SettingsError(
            _(
                "There is no {path}: go to the folder that holds it, or name it with "
                "--settings. For a new workshop: workshop hub --example > {file}",
                path=path,
                file=FILE,
            )
        ) from None
    except (OSError, ValueError) as error:
        raise SettingsError(
            _(
                "{path} cannot be read ({reason}): look there. Words stand in quotes; "
                "true and false have small letters.",
                path=path,
                reason=error,
            )
        ) from error
    return from_tables(told, path.parent)


def from_tables(told: dict[str, Any], folder: Path) -> Classroom:
    """The settings from what the file says.

    Raises:
        SettingsError: a table or key does not exist, or has an impossible value.
    """
    tables: dict[str, Any] = {}
    known = (*TABLES, "deadlines")
    for name, content in told.items():
        if name not in known:
            raise SettingsError(
                _(
                    "{file} has no table [{name}]{hint}; it knows {known}.",
                    file=FILE,
                    name=name,
                    hint=nearest(name, known),
                    known=", ".join(known),
                )
            )
        if not isinstance(content, dict):
            raise SettingsError(
                _("Write [{name}] as a table with settings below it.", name=name)
            )
        if name in TABLES:
            tables[name] = _table(name, TABLES[name], content)
    zone = ZoneInfo(tables.get("course", CourseTable()).time_zone)
    tables["deadlines"] = {
        lab: _deadline(lab, at, zone) for lab, at in told.get("deadlines", {}).items()
    }
    return Classroom(**tables, folder=folder)


def _table(name: str, kind: type, content: dict[str, Any]) -> Any:
    """One table as its record."""
    known = {each.name: each for each in fields(kind)}
    values = {}
    for key, got in content.items():
        if key not in known:
            raise SettingsError(
                _(
                    "[{table}] in {file} has no setting {key}{hint}; it has {known}.",
                    table=name,
                    file=FILE,
                    key=key,
                    hint=nearest(key, known),
                    known=", ".join(known),
                )
            )
        values[key] = _typed(f"{name}.{key}", known[key].type, got)
    return kind(**values)


def _typed(name: str, kind: Any, got: Any) -> Any:
    """The value as its field wants it."""
    if get_origin(kind) is UnionType:  # something or None
        kind = next(each for each in get_args(kind) if each is not NoneType)
    if kind is float and type(got) in (int, float):
        return float(got)
    if kind is Path and isinstance(got, str):
        return Path(got).expanduser()
    if get_origin(kind) is tuple and isinstance(got, list):
        if all(isinstance(each, str) for each in got):
            return tuple(got)
    elif type(got) is kind:
        return got
    wanted = {
        bool: _("true or false"),
        int: _("a whole number"),
        float: _("a number"),
        str: _("words in quotes"),
        Path: _("a path in quotes"),
        date: _("a date without quotes, such as 2026-11-30"),
    }.get(kind, _("a list of words in quotes"))
    raise SettingsError(
        _(
            "{name} must be {wanted}; got {got}.",
            name=name,
            wanted=wanted,
            got=as_toml(got),
        )
    )


def _deadline(lab: str, at: Any, zone: ZoneInfo) -> datetime:
    """A moment; without an offset it is told by the course's clock."""
    if lab not in catalogue.labs():
        raise SettingsError(
            _(
                "[deadlines] in {file} names a lab {lab}, which does not exist{hint}: "
                "choose from {known}.",
                file=FILE,
                lab=lab,
                hint=nearest(lab, catalogue.labs()),
                known=", ".join(sorted(catalogue.labs())),
            )
        )
    if not isinstance(at, datetime):
        raise SettingsError(
            _(
                "deadlines.{lab} must be a date and a time without quotes, such as "
                "2026-12-04T18:00:00; got {got}.",
                lab=lab,
                got=as_toml(at),
            )
        )
    return at if at.tzinfo else at.replace(tzinfo=zone)


def example() -> str:
    """A whole `workshop.toml`: every setting with its default, explained."""
    lines = ["# All that a workshop needs to know. Every line may be left out."]
    for name, kind in TABLES.items():
        lines += ["", f"[{name}]  # {kind.__doc__}"]
        for each in fields(kind):
            about = textwrap.wrap(each.metadata["about"], 86)
            lines += [f"# {line}" for line in about]
            lines.append(
                f"{each.name} = {as_toml(each.default)}"
                if each.default is not None
                else f"# {each.name} ="
            )
    lines += ["", *DEADLINES]
    return "\n".join(lines) + "\n"


def written(classroom: Classroom) -> str:
    """A `workshop.toml` that says just this, without deadlines."""
    lines = []
    for name in TABLES:
        table = getattr(classroom, name)
        told = {each.name: getattr(table, each.name) for each in fields(table)}
        lines += ["", f"[{name}]"]
        lines += [
            f"{key} = {as_toml(value)}"
            for key, value in told.items()
            if value is not None
        ]
    return "\n".join(lines) + "\n"


def as_toml(value: object) -> str:
    """A value as the file would say it."""
    if isinstance(value, tuple | list):
        return "[" + ", ".join(map(as_toml, value)) + "]"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str | Path):
        return json.dumps(str(value), ensure_ascii=False)
    return str(value)
