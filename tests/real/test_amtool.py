"""Our routing against amtool's on generated configurations, and what a live older Alertmanager is too old for."""

import itertools
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import yaml

from ray_tui.analysis import routing
from ray_tui.core.errors import InputError
from tests.real.systems import Peers, get, require_binaries
from tests.routing_cases import SETS, generated

pytestmark = [pytest.mark.real, pytest.mark.timeout(120)]

CORPUS = Path(__file__).parents[3] / "shared" / "corpus" / "alertmanager"
TREES = 50


def asked(path: Path, labels: dict[str, str]) -> str:
    """What amtool says: the receivers, in order."""
    given = ['{}="{}"'.format(name, value.replace('"', '\\"')) for name, value in labels.items()]
    command = ["amtool", "config", "routes", "test", f"--config.file={path}", *given]
    done = subprocess.run(command, capture_output=True, text=True, timeout=20)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_a_thousand_generated_pairs_end_where_amtool_says(tmp_path: Path) -> None:
    """50 random trees × 20 label sets: the same receivers in the same order."""
    require_binaries("amtool")
    pairs: list[tuple[int, Path, routing.RoutingConfig, dict[str, str]]] = []
    for seed in itertools.count(100):
        written, sets = generated(seed)
        path = tmp_path / f"{seed}.yml"
        path.write_text(yaml.safe_dump(written), encoding="utf-8")
        config = routing.load(path.read_text(encoding="utf-8"))
        pairs += [(seed, path, config, labels) for labels in sets]
        if len(pairs) == TREES * SETS:
            break
    with ThreadPoolExecutor(3) as pool:
        theirs = list(pool.map(lambda one: asked(one[1], one[3]), pairs))
    differing = [
        (seed, labels, ours, said)
        for (seed, _, config, labels), said in zip(pairs, theirs, strict=True)
        if (ours := ",".join(hit.receiver for hit in routing.route(config, labels))) != said
    ]
    assert differing == []
    assert len(set(theirs)) > 20  # the trees do tell labels apart


def test_what_amtool_025_refuses_and_we_accept_names_the_field_and_its_version() -> None:
    """Every file of the corpus: a refusal of the installed version is one of ours too, or "needs Alertmanager ≥ X"."""
    require_binaries("amtool")
    if not CORPUS.exists():
        pytest.skip(f"no corpus at {CORPUS}")
    version = installed()
    newer = 0
    for path in sorted(CORPUS.glob("*/*.y*ml")):
        accepted = subprocess.run(["amtool", "check-config", path], capture_output=True).returncode == 0
        try:
            needed = routing.unknown_to(routing.load(path.read_text(encoding="utf-8"), path.name), version)
        except InputError:
            assert not accepted, path.name
            continue
        assert accepted or needed, f"{path.name}: amtool refuses it and we don't say why"
        newer += not accepted
    assert newer > 0


def installed() -> str:
    done = subprocess.run(["amtool", "--version"], capture_output=True, text=True, timeout=20)
    return (done.stdout + done.stderr).split("version ", 1)[1].split()[0]


def test_a_live_older_alertmanager_is_told_what_it_is_too_old_for(tmp_path: Path) -> None:
    """The live server refuses the reload; we say which field needs which version, and it keeps what it had."""
    require_binaries("prometheus-alertmanager")
    assert shutil.which("prometheus-alertmanager")
    plain = "route: {receiver: team}\nreceivers: [{name: team, webhook_configs: [{url: 'http://127.0.0.1:9'}]}]\n"
    newer = (
        "route: {receiver: team}\n"
        "receivers: [{name: team, msteamsv2_configs: [{webhook_url: 'http://127.0.0.1:9', title: x}]}]\n"
    )
    with Peers(tmp_path / "alertmanager", plain) as peers:
        version = get(f"{peers.urls[0]}/api/v2/status")["versionInfo"]["version"]
        peers.write(newer)
        refused = [answer.status_code for answer in peers.reload()]
        live = get(f"{peers.urls[0]}/api/v2/status")["config"]["original"]

    assert refused == [500, 500]
    assert "msteamsv2" not in live
    assert routing.unknown_to(routing.load(live, strict=False), version) == ()
    (said,) = routing.unknown_to(routing.load(newer), version)
    assert said == f"msteamsv2_configs needs Alertmanager ≥ 0.28 (this is {version})"
