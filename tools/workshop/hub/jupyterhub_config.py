"""What `jupyterhub` reads; `workshop hub` names the settings in the environment."""

import os
from pathlib import Path

from workshop.classroom import settings
from workshop.hub.config import configure

configure(
    get_config(),  # type: ignore[name-defined]  # noqa: F821
    settings.read(Path(os.environ["WORKSHOP_SETTINGS"])),
)
