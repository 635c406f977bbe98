"""Three ways to hold a run: in this process, over a socket, and as a replay."""

from ray_tui.handles.local import LocalHandle
from ray_tui.handles.replay import Replay, read_tape
from ray_tui.handles.socket import SocketHandle

__all__ = ["LocalHandle", "Replay", "SocketHandle", "read_tape"]
