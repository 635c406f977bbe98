"""Where a person reads on, or chooses for this console alone: opens the dialogs that decide nothing of the run."""

from collections.abc import Sequence

from ray_tui.core.untrusted import line
from ray_tui.tui import use
from ray_tui.tui.about import about
from ray_tui.tui.copies import copies
from ray_tui.tui.desk import Desk
from ray_tui.tui.lines import fit
from ray_tui.tui.panes.phases import said
from ray_tui.tui.places import Places
from ray_tui.tui.player import Player
from ray_tui.tui.screens.dialog import Choice, ChoiceDialog, Field, FormDialog
from ray_tui.tui.screens.read import FilterDialog, ReadDialog, detail_dialog, help_dialog, mission_dialog, theme_dialog
from ray_tui.tui.stage import Stage
from ray_tui.tui.widgets.event_log import EventLog


class Reader:
    """One per console."""

    def __init__(self, app: Stage, desk: Desk) -> None:
        self.app = app
        self.desk = desk

    def open_detail(self, target: str) -> None:
        def make(width: int) -> ReadDialog:
            return detail_dialog(*about(self.app.view(), target, width), target)

        self.app.open_dialog(self.desk.fitted(make))

    def open_help(self, problems: Sequence[str], here: Sequence[tuple[str, str]], row: str, places: Places) -> None:
        view = self.app.view()
        keys_of_row = use.row_keys(view, row, places)
        self.app.open_dialog(help_dialog(self.app.keymap, problems, view, self.desk.width, here, keys_of_row))

    def open_mission(self) -> None:
        self.app.open_dialog(mission_dialog(self.desk.width, self.app.view().demo))

    def open_filter(self, log: EventLog) -> None:
        def closed(values: dict[str, str] | None) -> None:
            if values is not None:
                log.set_filter(values["wanted"], self.app.state)
                self.app.repaint_soon()

        self.app.open_dialog(FilterDialog(log.wanted), closed)

    def open_themes(self, now: str) -> None:
        def closed(name: str | None) -> None:
            if name is not None:
                self.app.choose_theme(name)

        self.app.open_dialog(theme_dialog(self.app.theme_names, now), closed)

    def ask_seek(self, player: Player) -> None:
        def closed(values: dict[str, str] | None) -> None:
            if values is not None:
                player.seek(values["to"])

        self.app.open_dialog(FormDialog("Go to", [], [Field("to", player.can_seek(), least=1)]), closed)

    def copy_as(self, target: str, text: str, places: Places) -> None:
        """Choose what of it is copied: its query, a command line, or the text; of a row, what that says in full."""
        view = self.app.view()
        found = [*copies(view, target, places), ("text", said(view, target) or text)]
        if len(found) == 1:
            return self.app.copy(found[0][1])
        room = max(20, self.desk.width - max(len(name) for name, _ in found) - 4)
        choices = [Choice(str(n), name, fit(line(what, 400), room).rstrip()) for n, (name, what) in enumerate(found)]

        def closed(chosen: str | None) -> None:
            if chosen is not None:
                self.app.copy(found[int(chosen)][1])

        return self.app.open_dialog(ChoiceDialog("Copy as", [], choices), closed)
