"""Three ways to hold a run: in this process (local), over a socket, and as a replay."""
