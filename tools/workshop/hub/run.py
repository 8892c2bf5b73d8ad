"""Be JupyterHub, with the configuration that lies beside this file."""

from pathlib import Path

from jupyterhub.app import main

__all__: list[str] = []

if __name__ == "__main__":
    main(["-f", str(Path(__file__).with_name("jupyterhub_config.py"))])
