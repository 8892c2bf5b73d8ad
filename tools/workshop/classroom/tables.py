"""What an instructor may decide about a workshop, and what each setting may be.

The words beside a setting explain it in the example of `workshop.toml` and in the book.
"""

import re
from dataclasses import dataclass, field, fields
from datetime import date, datetime
from functools import cache
from pathlib import Path
from typing import TypeVar
from zoneinfo import available_timezones

from sparrow.language import _
from workshop.classroom.demands import (
    SettingsError,
    at_least,
    between,
    matches,
    nearest,
    one_of,
)

__all__ = ["TABLES", "Classroom"]

ACCOUNT = re.compile(r"[a-z][a-z0-9-]{0,30}")
LANGUAGE = re.compile(r"[a-z]{2,3}(_[A-Z][A-Za-z]+)?")
DATABASE = re.compile(r"(sqlite|postgresql)(\+[a-z0-9_]+)?:///?\S+")
HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.:-]*[A-Za-z0-9])?")

zones = cache(available_timezones)  # it reads a whole folder

Value = TypeVar("Value")


def setting(default: Value, about: str) -> Value:
    """A key with its default and the comment that explains it."""
    told: Value = field(default=default, metadata={"about": about})
    return told


@dataclass(frozen=True, kw_only=True)
class CourseTable:
    """What is taught, when, and in which languages."""

    title: str = setting("Sparrow workshop", "What the pages and cards say on top.")
    code: str = setting("sparrow", "nbgrader's name of the course.")
    first_day: date | None = setting(
        None, "The first day, such as 2026-11-30; cards show it."
    )
    last_day: date | None = setting(None, "The last day.")
    time_zone: str = setting("UTC", "Where clocks are read, such as Africa/Nairobi.")
    tier: str = setting(
        "cpu", "What the labs may use: cpu, though there be a card; or gpu."
    )
    languages: tuple[str, ...] = setting(
        ("en",),
        "Languages of the room; pages for everybody speak the first, if it is there: "
        "English is, for now.",
    )
    labs: str = setting(
        "all",
        "all: learners have every lab from the start; released: they fetch those that "
        "you release, in formgrader or with nbgrader release_assignment.",
    )
    gradebook: str = setting(
        "",
        "The database of marks, by URL, such as postgresql:///sparrow; empty: a file "
        "in the course folder.",
    )

    def __post_init__(self) -> None:
        """Check what could not be."""
        one_of("course.tier", self.tier, ("cpu", "gpu"))
        one_of("course.labs", self.labs, ("all", "released"))
        if self.gradebook:
            example = "postgresql:///sparrow"
            matches("course.gradebook", self.gradebook, DATABASE, example)
        matches("course.code", self.code, ACCOUNT, "sparrow")
        if self.time_zone not in zones():
            raise SettingsError(
                _(
                    'course.time_zone is "{got}", which no clock knows{hint}: write a '
                    "name such as Africa/Nairobi.",
                    got=self.time_zone,
                    hint=nearest(self.time_zone, zones()),
                )
            )
        if not self.languages:
            raise SettingsError(
                _('course.languages is empty: name one at least, such as ["en"].')
            )
        for each in self.languages:
            matches("course.languages", each, LANGUAGE, "pt_BR")
        if self.first_day and self.last_day and self.last_day < self.first_day:
            raise SettingsError(
                _(
                    "course.last_day {last} lies before course.first_day {first}: "
                    "mend one of them.",
                    last=self.last_day,
                    first=self.first_day,
                )
            )

    @property
    def days(self) -> str:
        """When it takes place, as far as it is known."""
        days = dict.fromkeys(filter(None, (self.first_day, self.last_day)))
        return " – ".join(map(str, days))


@dataclass(frozen=True, kw_only=True)
class HubTable:
    """Where learners find the workshop."""

    name: str = setting(
        "", "What learners type: a name or an address; empty: this machine's address."
    )
    port: int = setting(8443, "The port that learners reach.")
    origins: str = setting(
        "auto",
        "person: each person's server has a host name of its own (it needs a wildcard "
        "name in the room's DNS); one: all share one; auto: person where such names "
        "are answered.",
    )
    idle_minutes: int = setting(60, "Stop a server that nobody used so long; 0: never.")
    servers: int = setting(0, "At most so many servers at a time; 0: no limit.")
    instructor: str = setting("instructor", "The instructor's account.")

    def __post_init__(self) -> None:
        """Check what could not be."""
        between("hub.port", self.port, 1, 65535)
        at_least("hub.idle_minutes", self.idle_minutes, 0)
        at_least("hub.servers", self.servers, 0)
        one_of("hub.origins", self.origins, ("auto", "person", "one"))
        matches("hub.instructor", self.instructor, ACCOUNT, "instructor")
        if self.name:
            matches("hub.name", self.name, HOST, "sparrow.lan")


@dataclass(frozen=True, kw_only=True)
class LoginTable:
    """How wrong passcodes are answered."""

    tries: int = setting(5, "So many wrong passcodes in a row lock an account.")
    lock_minutes: int = setting(
        5, "Minutes that a lock lasts; `workshop roster reset` ends it sooner."
    )

    def __post_init__(self) -> None:
        """Check what could not be."""
        at_least("login.tries", self.tries, 1)
        at_least("login.lock_minutes", self.lock_minutes, 1)


@dataclass(frozen=True, kw_only=True)
class LimitsTable:
    """What one person may use; the instructor has four times as much."""

    memory_mib: int = setting(2048, "Memory of all processes of a person.")
    processes: int = setting(400, "Processes and threads of a person.")
    cpu_cores: float = setting(2.0, "Processor cores, such as 1.5.")

    def __post_init__(self) -> None:
        """Check what could not be."""
        at_least("limits.memory_mib", self.memory_mib, 256)
        at_least("limits.processes", self.processes, 50)
        at_least("limits.cpu_cores", self.cpu_cores, 0.1)


@dataclass(frozen=True, kw_only=True)
class LateTable:
    """What becomes of work that is handed in after its deadline."""

    grace_minutes: int = setting(
        15, "Minutes after the deadline that still count as in time."
    )
    percent_a_day: float = setting(
        0.0, "Percent of the points earned, taken for each day that has begun."
    )
    refused_after_days: int = setting(
        0, "Days after the deadline from which work is refused; 0: never refused."
    )

    def __post_init__(self) -> None:
        """Check what could not be."""
        at_least("late.grace_minutes", self.grace_minutes, 0)
        between("late.percent_a_day", self.percent_a_day, 0, 100)
        at_least("late.refused_after_days", self.refused_after_days, 0)


@dataclass(frozen=True, kw_only=True)
class BoardTable:
    """A page for the instructor: who passed what, and who may need help."""

    on: bool = setting(
        False,
        "true: learners may show it how their checks go, each for themselves, with "
        "lab.share(); it gets no code, no answers and no text.",
    )


@dataclass(frozen=True, kw_only=True)
class PlacesTable:
    """Where things lie on this machine."""

    environment: Path = setting(
        Path("/opt/sparrow"), "Programs, book and labs: everybody may read it."
    )
    course: Path = setting(
        Path("/srv/sparrow/course"), "The instructor's own: solutions and gradebook."
    )
    homes: Path = setting(Path("/srv/sparrow/homes"), "One private folder a person.")
    state: Path = setting(
        Path("/var/lib/sparrow"), "The hub's own: log-ins, certificate, key."
    )

    def __post_init__(self) -> None:
        """Check what could not be."""
        for each in fields(self):
            path = getattr(self, each.name)
            if not path.is_absolute():
                raise SettingsError(
                    _(
                        'places.{name} is "{path}": write the whole path, from /.',
                        name=each.name,
                        path=path,
                    )
                )
        held = {each.name: getattr(self, each.name) for each in fields(self)}
        for inner, path in held.items():
            for outer, other in held.items():
                if inner != outer and path.is_relative_to(other):
                    raise SettingsError(
                        _(
                            "places.{inner} lies inside places.{outer}: people who may "
                            "read one must not reach the other, so choose another "
                            "folder.",
                            inner=inner,
                            outer=outer,
                        )
                    )


@dataclass(frozen=True, kw_only=True)
class RosterTable:
    """Who takes part."""

    file: str = setting("learners.csv", "The list, beside this file.")
    group: str = setting("sparrow", "The UNIX group that marks our accounts.")

    def __post_init__(self) -> None:
        """Check what could not be."""
        matches("roster.group", self.group, ACCOUNT, "sparrow")


@dataclass(frozen=True, kw_only=True)
class CostTable:
    """What electricity costs here: `sparrow cost add` takes it if nothing is said."""

    currency: str = setting("USD", "Three letters.")
    price_per_kwh: float = setting(0.15, "The tariff, in that currency.")

    def __post_init__(self) -> None:
        """Check what could not be."""
        matches("cost.currency", self.currency, re.compile("[A-Z]{3}"), "KES")
        at_least("cost.price_per_kwh", self.price_per_kwh, 0)


@dataclass(frozen=True, kw_only=True)
class CertificateTable:
    """Who stands behind what learners take home; there are no certificates yet."""

    issuer: str = setting("", "The school or group that signs certificates.")


@dataclass(frozen=True, kw_only=True)
class Classroom:
    """All of `workshop.toml`."""

    course: CourseTable = field(default_factory=CourseTable)
    hub: HubTable = field(default_factory=HubTable)
    login: LoginTable = field(default_factory=LoginTable)
    limits: LimitsTable = field(default_factory=LimitsTable)
    late: LateTable = field(default_factory=LateTable)
    deadlines: dict[str, datetime] = field(default_factory=dict)
    board: BoardTable = field(default_factory=BoardTable)
    roster: RosterTable = field(default_factory=RosterTable)
    places: PlacesTable = field(default_factory=PlacesTable)
    cost: CostTable = field(default_factory=CostTable)
    certificate: CertificateTable = field(default_factory=CertificateTable)
    folder: Path = field(default_factory=Path.cwd)  # where the file lies; no setting

    @property
    def roster_path(self) -> Path:
        """The list of learners."""
        return self.folder / self.roster.file


TABLES: dict[str, type] = {
    "course": CourseTable,
    "hub": HubTable,
    "login": LoginTable,
    "limits": LimitsTable,
    "late": LateTable,
    "board": BoardTable,
    "roster": RosterTable,
    "places": PlacesTable,
    "cost": CostTable,
    "certificate": CertificateTable,
}
