"""Whether an approval still counts: for this release and configuration, and not expired."""

from datetime import UTC, datetime

from ray_tui.core import facts as f


def outdated(approval: f.ApprovalRecorded, release: str, config_digest: str, now: float) -> str:
    """Why an approval does not count (any more); empty when it does."""
    if approval.release != release:
        return f"outdated: {approval.person} approved release {approval.release}, not {release}"
    if approval.expires_at is None or approval.expires_at <= now:
        expiry = approval.expires_at
        since = datetime.fromtimestamp(expiry, UTC).date().isoformat() if expiry else "no date"
        return f"outdated: {approval.person}'s approval expired ({since})"
    if approval.config_digest != config_digest:
        return f"outdated: thresholds or configuration changed since {approval.person} approved"
    return ""
