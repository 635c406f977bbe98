"""What a headless run says of itself when it has ended."""

import json

from ray_tui import config, holding, wiring
from ray_tui.core.answers import Answers
from ray_tui.core.state import RunState
from ray_tui.headless import Outcome


def test_a_prompt_without_an_answer_is_a_halt_at_its_step(tmp_path, monkeypatch, capsys):
    """The document names the prompt and the step that it stopped, as for any other halt."""
    (tmp_path / "ray-tui.toml").write_text('[run]\nrelease = "v1"\n')

    async def unanswered(*arguments, **more):
        return Outcome(1, "Apply?: the answers file has no answer to '2.1:apply'", RunState(), unanswered="2.1:apply")

    monkeypatch.setattr(wiring, "run_headless", unanswered)
    chosen = config.load(tmp_path / "ray-tui.toml")
    assert holding.without_a_person(chosen, Answers(), None, 0, as_json=True) == 1
    said = json.loads(capsys.readouterr().out)
    assert (said["halted_at"], said["unanswered"], said["exit_code"]) == ("2.1", "2.1:apply", 1)
