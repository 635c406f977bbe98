"""Every PromQL expression that a whole run asks of the demo's Prometheus; as a program it writes the list anew."""

import asyncio
import re
import sys
import tempfile
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import tomlkit
from starlette.requests import Request
from starlette.responses import Response

from ray_tui.clock import Clock
from ray_tui.demo import scenario, stack
from ray_tui.demo.http import first, parameters
from ray_tui.demo.prometheus import DemoPrometheus

LIST = Path(__file__).parent / "asked.txt"
SCENARIO = "noisy-alerts"
"""Whose run backtests a rule as well."""
_TOKEN = re.compile(r'ray_tui_probe="[^"]*"')
_MOMENT = re.compile(r"(?<=> )1\d{9}(?:\.\d+)?\b")
"""A unix time that a sample has to be younger than: when the demo's release was deployed."""


class Listening(DemoPrometheus):
    """The demo's Prometheus, which notes what it is asked."""

    asked: set[str]

    async def _query(self, request: Request) -> Response:
        self.note(first(await parameters(request), "query"))
        return await super()._query(request)

    async def _query_range(self, request: Request) -> Response:
        self.note(first(await parameters(request), "query"))
        return await super()._query_range(request)

    def note(self, expr: str) -> None:
        self.asked.add(normal(expr))


def normal(expr: str) -> str:
    """On one line, and the same in each run."""
    return _MOMENT.sub("1795000000", _TOKEN.sub('ray_tui_probe="TOKEN"', " ".join(expr.split())))


def listed() -> list[str]:
    return LIST.read_text(encoding="utf-8").splitlines()


async def record(folder: Path) -> tuple[int, str, list[str]]:
    """A run with a rule's probe and a decision on each gap: its exit code, what it said, what it asked."""
    asked: set[str] = set()
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(stack, "DemoPrometheus", type("Heard", (Listening,), {"asked": asked}))
        async with AsyncExitStack() as leaving:
            await stack.open_stack(folder, scenario.load(SCENARIO), Clock(), leaving)
            config, answers = folder / "ray-tui.toml", folder / "answers.toml"
            settings = tomlkit.parse(config.read_text(encoding="utf-8"))
            settings["alert_paths"]["rule_probe_receiver"] = "pd-checkout"
            config.write_text(tomlkit.dumps(settings), encoding="utf-8")
            answers.write_text(answers.read_text(encoding="utf-8").replace('"later"', '"file"'), encoding="utf-8")
            command = (
                sys.executable, "-m", "ray_tui", "run", "--headless", "--config", str(config), "--answers",
                str(answers), "--timeout", "170",
            )  # fmt: skip
            run = await asyncio.create_subprocess_exec(
                *command, cwd=folder, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
            )  # fmt: skip
            said, _ = await run.communicate()
    assert run.returncode is not None
    return run.returncode, said.decode("utf-8", "replace"), sorted(asked)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as place:
        code, said, found = asyncio.run(record(Path(place)))
    if code:
        sys.exit(said)
    LIST.write_text("\n".join(found) + "\n", encoding="utf-8")
    print(f"{LIST}: {len(found)} expressions")
