"""What a person signs: exactly what is approved or waived, as canonical bytes that both ends can rebuild."""

import json
from collections.abc import Mapping
from typing import Any

from ray_tui.core.facts import PromptRaised, WaiverProposed

NAMESPACE = "ray-tui-approval@v1"
"""The SSH signature namespace: a signature for anything else does not count."""


def approval_text(data: Mapping[str, Any], answer: str) -> bytes:
    """An approval: bound to role, subject, hash, release and configuration, so that it can be given before a run."""
    return _canonical(
        {
            "what": "approval",
            "answer": answer,
            **{key: str(data.get(key) or "") for key in ("role", "subject", "sha256", "release", "config_digest")},
        }
    )


def prompt_text(raised: PromptRaised, answer: str) -> bytes:
    """As ``approval_text``, from the question as it was recorded."""
    return approval_text(raised.data, answer)


def waiver_text(criterion: str, step: str, reason: str, evidence_sha256: str) -> bytes:
    """A waiver: bound to one criterion of one step and to the very evidence that it sets aside."""
    return _canonical(
        {"what": "waiver", "criterion": criterion, "step": step, "reason": reason, "evidence_sha256": evidence_sha256}
    )


def proposed_text(proposed: WaiverProposed) -> bytes:
    """As ``waiver_text``, from the proposal as it was recorded."""
    return waiver_text(proposed.criterion, proposed.step, proposed.reason, proposed.evidence_sha256)


def _canonical(body: Mapping[str, Any]) -> bytes:
    return json.dumps(body, sort_keys=True, ensure_ascii=True, separators=(",", ":")).encode("ascii")
