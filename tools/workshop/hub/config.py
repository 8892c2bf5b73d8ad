"""Turn `workshop.toml` into the configuration of a JupyterHub.

What JupyterHub's security overview asks for, and where it is done:

    TLS                        `tls.ensure`, here
    one origin a person        `origins`; else what it advises for one origin, here
    no settings from homes     disable_user_config, and `python -I` in `learner`
    XSRF checks                on by default, and left so
    no access to servers       nobody is an admin; the instructor's role sees the list
    hub and proxy not in reach both listen on 127.0.0.1; tokens are made by JupyterHub
"""

import os
import secrets
import socket
import sys
from pathlib import Path
from typing import Any

from sparrow import language
from sparrow.language import _
from workshop.board import in_hub as board
from workshop.classroom import rules, tls
from workshop.classroom.passcodes import Passcodes
from workshop.classroom.people import People
from workshop.classroom.place import Place
from workshop.classroom.tables import Classroom
from workshop.hub import limits, ports
from workshop.hub.authenticator import PasscodeAuthenticator
from workshop.hub.spawner import RoomSpawner

__all__ = ["configure", "origin_a_person", "where_labs_are_fetched"]

HERE = Path(__file__).parent
# A log-in shell, which is usual, would forget the path to `workshop` and `sparrow`.
TERMINAL = {"shell_command": ["/bin/bash"]}
# Formgrader shows its pages in a frame; JupyterHub forbids frames unless told.
FRAMES = {"headers": {"Content-Security-Policy": "frame-ancestors 'self'"}}


def where_labs_are_fetched(place: Place) -> dict[str, str]:
    """What a learner's server is told: where labs come from, and where they go."""
    told = {"SPARROW_EXCHANGE": str(place.window)}
    if place.classroom.course.labs == "all":
        told["SPARROW_LABS"] = str(place.labs)
    return told


def configure(c: Any, classroom: Classroom) -> None:
    """Set everything.

    Args:
        c: what `get_config()` gives in a JupyterHub configuration.
        classroom: the settings.
    """
    language.use(classroom.course.languages[0])
    place = Place(classroom)
    inside = ports.keep(place.state / "ports.json")
    _hub(c, place, inside)
    _people(c, place)
    _servers(c, place)
    _services(c, place, inside)


def _hub(c: Any, place: Place, inside: ports.Inside) -> None:
    """Where it listens, what it keeps, how it looks."""
    classroom, state = place.classroom, place.state
    certificate = tls.ensure(place)
    hub = c.JupyterHub
    hub.bind_url = f"https://:{classroom.hub.port}"
    hub.ssl_cert, hub.ssl_key = str(certificate.path), str(certificate.key)
    if origin_a_person(classroom):
        hub.subdomain_host = tls.address(classroom)
        hub.cookie_host_prefix_enabled = True
    hub.hub_bind_url = f"http://127.0.0.1:{inside.hub}"
    c.ConfigurableHTTPProxy.api_url = f"http://127.0.0.1:{inside.proxy}"
    c.ConfigurableHTTPProxy.log_level = "warn"
    c.ConfigurableHTTPProxy.pid_file = str(state / "proxy.pid")
    hub.pid_file = str(state / "hub.pid")
    hub.db_url = f"sqlite:///{state / 'hub.sqlite'}"
    hub.cookie_secret_file = str(state / "cookie_secret")
    hub.cleanup_servers = False  # a restart of the hub interrupts nobody
    hub.template_paths = [str(HERE / "templates")]
    hub.template_vars = {"course_title": classroom.course.title, "words": _words()}
    hub.logo_file = str(place.shared / "sparrow.svg")
    hub.log_level = "WARN"
    hub.tornado_settings = {
        "cookie_options": {"secure": True, "samesite": "Lax"},
        "xsrf_cookie_kwargs": {"secure": True, "samesite": "Lax"},
    }
    hub.active_server_limit = classroom.hub.servers


def _words() -> dict[str, str]:
    """What the page for logging in says."""
    return {
        "begin": _("Type what stands on your card."),
        "account": _("Account"),
        "passcode": _("Passcode"),
        "enter": _("Log in"),
        "wrong": _("This account and this passcode do not belong together."),
        "book": _("Read the book without logging in"),
    }


def origin_a_person(classroom: Classroom) -> bool:
    """Whether each person's server gets a host name of its own."""
    wanted = classroom.hub.origins
    if wanted != "auto":
        return wanted == "person"
    name = tls.host(classroom)
    if not any(each.isalpha() for each in name):
        return False  # an address has no names below it
    try:
        socket.getaddrinfo(f"sparrow-{secrets.token_hex(4)}.{name}", None)
    except OSError:
        return False
    return True


def _people(c: Any, place: Place) -> None:
    """Who may come in; nobody is an admin."""
    classroom = place.classroom
    c.JupyterHub.authenticator_class = PasscodeAuthenticator
    c.PasscodeAuthenticator.passcodes = Passcodes(place.passcodes, classroom.login)
    c.Authenticator.allow_all = True  # all who have a passcode
    c.Authenticator.auth_refresh_age = 30
    c.Authenticator.refresh_pre_spawn = True
    c.JupyterHub.load_roles = [
        {
            "name": "instructor",
            "scopes": [
                *("admin-ui", "list:users", "read:users:activity"),
                *("read:servers", "delete:servers"),
            ],
            "users": [classroom.hub.instructor],
        }
    ]


def _servers(c: Any, place: Place) -> None:
    """How a person's server starts."""
    classroom = place.classroom
    people = People(classroom)

    def spoken(spawner: RoomSpawner) -> str:
        """Read anew: somebody may have been added since."""
        listed = {each.account: each.language for each in people.listed()}
        return listed.get(spawner.user.name) or classroom.course.languages[0]

    c.JupyterHub.spawner_class = RoomSpawner
    c.RoomSpawner.classroom = classroom
    c.RoomSpawner.limiter = limits.choose()
    c.RoomSpawner.command = [str(place.python), "-I", "-m", "workshop.hub.learner"]
    c.Spawner.args = [f"--ServerApp.terminado_settings={TERMINAL!r}"]
    c.Spawner.default_url = "/lab"
    c.Spawner.disable_user_config = True
    c.Spawner.env_keep = ["LANG", "LC_ALL"]
    # Thirty at once on two cores that had other work took 157 s.
    c.Spawner.start_timeout = c.Spawner.http_timeout = 600
    c.LocalProcessSpawner.interrupt_timeout = 5
    c.Spawner.mem_limit = f"{classroom.limits.memory_mib}M"
    c.Spawner.cpu_limit = classroom.limits.cpu_cores
    threads = str(max(1, int(classroom.limits.cpu_cores)))
    c.Spawner.environment = {
        "PATH": f"{place.environment / 'bin'}:/usr/local/bin:/usr/bin:/bin",
        "OMP_NUM_THREADS": threads,
        "JUPYTER_PREFER_ENV_PATH": "1",
        "SPARROW_CACHE": str(place.shared / "cache"),
        "SPARROW_LANGUAGE": spoken,
        "SPARROW_CURRENCY": classroom.cost.currency,
        "SPARROW_TARIFF_PER_KWH": str(classroom.cost.price_per_kwh),
    }
    if classroom.course.tier == "cpu":
        c.Spawner.environment["SPARROW_DEVICE"] = "cpu"

    def prepare(spawner: RoomSpawner) -> None:
        if spawner.user.name == classroom.hub.instructor:
            _for_instructor(spawner, place)
        else:
            _for_learner(spawner, place)

    c.Spawner.pre_spawn_hook = prepare


def _for_learner(spawner: RoomSpawner, place: Place) -> None:
    """A learner's own home, and labs to fetch."""
    settings = str(HERE / "jupyter/learner")
    if place.classroom.course.labs == "all":  # they are in the home already
        spawner.default_url = "/lab/tree/labs"
    spawner.environment = {
        **spawner.environment,
        **where_labs_are_fetched(place),
        **board.for_learner(place),
        "JUPYTER_CONFIG_PATH": settings,
    }


def _for_instructor(spawner: RoomSpawner, place: Place) -> None:
    """The course folder, and formgrader in its frame."""
    spawner.notebook_dir = str(place.course)
    spawner.environment = {
        **spawner.environment,
        "SPARROW_COURSE": str(place.course),
        "JUPYTER_CONFIG_PATH": str(HERE / "jupyter/instructor"),
        **board.for_instructor(place),
    }
    frames = f"--ServerApp.tornado_settings={FRAMES!r}"
    if frames not in spawner.args:
        spawner.args = [*spawner.args, frames]


def _services(c: Any, place: Place, inside: ports.Inside) -> None:
    """What runs beside the hub: the culler, and the book."""
    hub = c.JupyterHub
    hub.services = []
    idle_minutes = place.classroom.hub.idle_minutes
    if idle_minutes:
        culler = [sys.executable, "-m", "jupyterhub_idle_culler"]
        culler += [f"--timeout={60 * idle_minutes}", "--cull-every=60"]
        hub.services.append({"name": "idle-culler", "command": culler})
        hub.load_roles.append(
            {
                "name": "idle-culler",
                "scopes": [
                    *("list:users", "read:users:activity"),
                    *("read:servers", "delete:servers"),
                ],
                "services": ["idle-culler"],
            }
        )
    hub.services.append(_exchange(place))
    if place.classroom.board.on:
        hub.services.append(board.service(place))
    if (place.book / "index.html").exists():
        serve = [sys.executable, "-I", "-m", "workshop.hub.book_service"]
        address = f"http://127.0.0.1:{inside.book}"
        hub.services.append(
            {
                "name": "book",
                "url": address,
                "command": [*serve, str(place.book), str(inside.book)],
                "user": "nobody",
                "cwd": "/",
                "environment": {"HOME": "/nonexistent"},
            }
        )
        name = tls.host(place.classroom) if origin_a_person(place.classroom) else ""
        c.Proxy.extra_routes = {f"{name}/book/": address}


def _exchange(place: Place) -> dict[str, Any]:
    """The window at which learners hand in and take; it runs as the instructor."""
    classroom = place.classroom
    owner = place.course.stat()
    place.window.parent.mkdir(mode=0o755, exist_ok=True)
    os.chown(place.window.parent, owner.st_uid, owner.st_gid)
    rules.keep(classroom)
    serve = [sys.executable, "-I", "-m", "workshop.exchange.service"]
    return {
        "name": "exchange",
        "command": [*serve, str(place.window), str(place.course)],
        "user": classroom.hub.instructor,
        "cwd": "/",
    }
