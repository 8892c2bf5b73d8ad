"""What a hub needs for the board: its listener, and what both sides are told."""

import json
import os
import sys
from typing import Any

from workshop.classroom.place import Place

__all__ = ["PATH", "TOLD", "for_instructor", "for_learner", "service"]

PATH = "/hub/user-redirect/board"  # leads to the instructor's own server
TOLD = "SPARROW_BOARD_OF"


def service(place: Place) -> dict[str, Any]:
    """The listener; it runs as the instructor, to whom the folder belongs."""
    owner = place.course.stat()
    place.board_window.parent.mkdir(mode=0o755, exist_ok=True)
    os.chown(place.board_window.parent, owner.st_uid, owner.st_gid)
    told = {"socket": str(place.board_window), "course": str(place.course)}
    serve = [sys.executable, "-I", "-m", "workshop.board.service"]
    return {
        "name": "board",
        "command": [*serve, json.dumps(told)],
        "user": place.classroom.hub.instructor,
        "cwd": "/",
    }


def for_learner(place: Place) -> dict[str, str]:
    """Where checks may tell how they went, if there is a board."""
    if not place.classroom.board.on:
        return {}
    return {"SPARROW_BOARD": str(place.board_window)}


def for_instructor(place: Place) -> dict[str, str]:
    """What the page in the instructor's server is told, if there is a board."""
    course = place.classroom.course
    if not place.classroom.board.on:
        return {}
    told = {
        "course": str(place.course),
        "title": course.title,
        "time_zone": course.time_zone,
        "speech": course.languages[0],
    }
    return {TOLD: json.dumps(told)}
