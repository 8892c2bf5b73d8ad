"""A JupyterHub for one room: built, checked, started and stopped by `workshop hub`."""
