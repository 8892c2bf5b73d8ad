"""What runs inside the sandbox: this folder is all that it sees of the workshop tools.

`warm` imports PyTorch once and waits; for each run it forks a `keeper`, which makes
new namespaces, forks the `runner` into them and watches it.
"""
