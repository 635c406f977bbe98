"""``python crashing.py WHERE TRIGGER ARGUMENTS…``: the command line, whose console breaks once that file exists.

The product has no hook for this: one method of one widget is replaced before the program begins.
"""

import sys
from pathlib import Path

MESSAGE = "the widget broke"
SECRET = "hunter2-in-a-local"


def install(where, trigger):
    """Make the widget break from the moment that the file exists."""
    from ray_tui.tui.screens.console import ConsoleScreen
    from ray_tui.tui.screens.dialog import Dialog
    from ray_tui.tui.widgets.event_log import EventLog
    from ray_tui.tui.widgets.painted import Painted

    def breaks(owner, method, applies=lambda widget: True):
        whole = getattr(owner, method)

        def broken(self, *args, **more):
            token = "".join(list(SECRET))  # a local that a traceback with locals would show
            if trigger.exists() and applies(self):
                assert token == SECRET
                raise RuntimeError(MESSAGE)
            return whole(self, *args, **more)

        setattr(owner, method, broken)

    pane = where[-1]
    if where.startswith("rows of pane"):
        breaks(ConsoleScreen, "show_pane")
    elif where.startswith("pane"):
        breaks(Painted, "render_line", lambda widget: widget.id == f"pane{pane}")
    elif where == "event log":
        breaks(EventLog, "follow")
    elif where == "transport bar":
        breaks(Painted, "show_lines", lambda widget: widget.id == "transport")
    elif where == "dialog":
        breaks(Dialog, "show_view")
    elif where == "opening of a dialog":
        breaks(Dialog, "compose")
    elif where == "key":
        breaks(ConsoleScreen, "action_zoom")
    else:
        raise AssertionError(where)


if __name__ == "__main__":
    install(sys.argv[1], Path(sys.argv[2]))
    sys.argv[1:] = sys.argv[3:]
    from ray_tui.cli import main

    main()
