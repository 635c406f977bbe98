"""A context that keeps evidence and a journal on disk and in a chain, as the engine does, for the steps of phase 4."""

import json
from collections.abc import Mapping
from typing import Any

from ray_tui import chain
from ray_tui.core import facts as f
from ray_tui.core import plan
from ray_tui.core.verdicts import Criterion
from ray_tui.evidence import records, writer
from ray_tui.step import JournalSoFar, Result
from tests.fakes import FakeContext


class FiledContext(FakeContext):
    """As FakeContext, with ``evidence/`` in its folder."""

    @property
    def filed(self) -> Any:
        return self.folder / "evidence"

    def evidence(self, name: str) -> bytes | None:
        path = self.filed / name
        return path.read_bytes() if path.is_file() else None

    async def journal(self) -> JournalSoFar:
        head, data = chain.GENESIS, b""
        for entry in self.entries:
            head, line = chain.seal(head, json.dumps(entry.to_json(), sort_keys=True).encode())
            data += line
        return JournalSoFar(self.entries[-1].seq, head, data)

    async def publish(self, name: str, data: bytes, *, required: bool = True) -> f.EvidenceWritten:
        written = writer.publish(self.filed, name, data)
        fact = f.EvidenceWritten(name=name, sha256=written.sha256, size=written.size, step=self.step, required=required)
        self.apply(fact)
        return fact

    async def file_everything(self, but: tuple[str, ...] = ()) -> None:
        """Every artifact of phases 1 to 3 with its twin."""
        now, self.step = self.step, "1.1"
        for phase in plan.PHASES[:3]:
            for action in phase.actions:
                self.step = action.id
                for artifact in action.artifacts:
                    for name in filter(None, (artifact.name, artifact.twin)):
                        if name not in but:
                            await self.publish(name, b"{}\n" if name.endswith(".json") else b"# x\n")
        self.step = now

    async def file_result(self, step: str, name: str, result: Result) -> None:
        """The twin that the engine writes of a finished step."""
        rows = [one.to_json() for one in result.criteria]
        await self.publish(name, records.twin(name, self.state, step, result.data, criteria=rows))


def as_twin(name: str, body: Mapping[str, Any], criteria: tuple[Criterion, ...] = (), **head: Any) -> dict[str, Any]:
    """A parsed twin, as a gate gets it."""
    rows = [one.to_json() for one in criteria]
    return {"artifact": name, "release": "checkout-v2.4.1", "criteria": rows, "body": dict(body), **head}
