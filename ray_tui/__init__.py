"""ray-tui: prove, right after a deployment, that the release is really being watched."""

__version__ = "0.1.0"
