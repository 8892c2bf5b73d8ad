"""What a course folder keeps of `workshop.toml`, where the instructor's programs read.

`workshop.toml` may lie where root alone reads. Grading, formgrader and the window run
as the instructor: what they need of it lies in the course folder, and nowhere else,
since the address of a gradebook may hold a passcode.
"""

import json
from dataclasses import asdict, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from sparrow.language import _
from workshop.classroom import settings
from workshop.classroom.demands import SettingsError
from workshop.classroom.place import Place, private_write
from workshop.classroom.tables import Classroom

__all__ = ["find", "keep", "of"]

KEPT = Path(".workshop") / "rules.json"


def of(course: Path) -> Classroom:
    """The settings of the workshop to which a course belongs.

    Args:
        course: its folder. A `workshop.toml` in it is read first, then what the hub
            has kept here; without both, everything is as by default.

    Raises:
        SettingsError: they cannot be read.
    """
    if (written := course / settings.FILE).is_file():
        return settings.read(written)
    path = course / KEPT
    try:
        told: dict[str, Any] = json.loads(path.read_text("utf-8"))
        told["deadlines"] = {
            lab: datetime.fromisoformat(at) for lab, at in told["deadlines"].items()
        }
    except FileNotFoundError:
        told = {}
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise SettingsError(
            _(
                "{path} cannot be read ({reason}): start `workshop hub` again, which "
                "writes it anew.",
                path=path,
                reason=error,
            )
        ) from error
    return settings.from_tables(told, course)


def find(path: Path) -> Classroom:
    """The settings for whoever types a command: as root beside them, or in the course.

    Args:
        path: of `workshop.toml`. Where there is none, and this folder is a course, what
            the hub has kept in it serves.

    Raises:
        SettingsError: they cannot be read.
    """
    here = Path.cwd()
    if path.is_file() or not (here / KEPT).is_file():
        return settings.read(path)
    found = of(here)
    return replace(found, places=replace(found.places, course=here))


def keep(classroom: Classroom) -> None:
    """Write them into the course folder, for its owner alone.

    Raises:
        StorageError: the disk is full or the folder cannot be written.
    """
    course = classroom.course
    told = {
        "course": {
            "code": course.code,
            "time_zone": course.time_zone,
            "labs": course.labs,
            "gradebook": course.gradebook,
        },
        "late": asdict(classroom.late),
        "deadlines": {lab: at.isoformat() for lab, at in classroom.deadlines.items()},
        "places": {"environment": str(classroom.places.environment)},
    }
    place = Place(classroom)
    with private_write(place.course / KEPT) as file:
        file.write(json.dumps(told, indent=2).encode() + b"\n")
