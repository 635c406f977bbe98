"""Random Alertmanager configurations and label sets, for the differential tests of our routing against others'."""

import random
from typing import Any

SETS = 20
"""Label sets for each configuration."""
VALUES = {
    "severity": ["critical", "warning", "page"],
    "team": ["a", "b", "shop floor", 'say "hi"'],
    "env": ["prod", "dev-1", ""],
    "service": ["checkout", "cart", "payments"],
}
REGEXES = ["a|b", ".+", "prod|critical", "(?i)PAGE", "d.*", "crit[a-z]+", "", "^ca", "c(heckout|art)", r"\\w+-\\d"]


def generated(seed: int) -> tuple[dict[str, Any], list[dict[str, str]]]:
    """A random configuration in both matcher syntaxes and the old fields, and label sets for it."""
    rng = random.Random(seed)
    receivers = [f"r{number}" for number in range(6)]

    def quoted(value: str) -> str:
        return '"' + value.replace('"', '\\"') + '"'

    def matcher() -> str:
        name, op = rng.choice(list(VALUES)), rng.choice(["=", "!=", "=~", "!~"])
        value = rng.choice(VALUES[name] if op in ("=", "!=") else REGEXES)
        bare = value.isalnum() and rng.random() < 0.3
        space = rng.choice(["", " "])
        return f"{name}{space}{op}{space}{value if bare else quoted(value)}"

    def matchers() -> dict[str, Any]:
        form = rng.random()
        if form < 0.15:
            name = rng.choice(list(VALUES))
            return {"match": {name: rng.choice(VALUES[name])}}
        if form < 0.3:
            return {"match_re": {rng.choice(list(VALUES)): rng.choice(REGEXES)}}
        listed = [matcher() for _ in range(rng.randint(0, 3))]
        if form < 0.5 and listed:
            return {"matchers": ["{" + ",".join(listed) + "}"]}
        return {"matchers": listed}

    def node(depth: int) -> dict[str, Any]:
        found: dict[str, Any] = matchers()
        if rng.random() < 0.7:
            found["receiver"] = rng.choice(receivers)
        if rng.random() < 0.4:
            found["continue"] = True
        if depth and rng.random() < 0.6:
            found["routes"] = [node(depth - 1) for _ in range(rng.randint(1, 3))]
        return found

    tree = {
        "route": {"receiver": "r0", "routes": [node(3) for _ in range(rng.randint(1, 5))]},
        "receivers": [{"name": name} for name in receivers],
    }
    sets = [{name: rng.choice(pool) for name, pool in VALUES.items() if rng.random() < 0.8} for _ in range(SETS)]
    return tree, [{name: value for name, value in one.items() if value} or {"team": "z"} for one in sets]


def with_inhibitions(seed: int) -> tuple[dict[str, Any], list[tuple[dict[str, str], list[dict[str, str]]]]]:
    """A generated configuration with inhibition rules, and pairs of an alert and the alerts that fire beside it."""
    tree, sets = generated(seed)
    rng = random.Random(seed + 1_000_000)

    def side() -> list[str]:
        found = []
        for name in rng.sample(list(VALUES), rng.choice([1, 1, 1, 2])):
            value = rng.choice([one for one in VALUES[name] if one]).replace('"', '\\"')
            found.append(f'{name}{rng.choice(["=", "=", "!=", "=~"])}"{value}"')
        return found

    tree["inhibit_rules"] = [
        {"source_matchers": side(), "target_matchers": side(), "equal": rng.sample(list(VALUES), rng.choice([0, 1]))}
        for _ in range(rng.randint(3, 6))
    ]
    return tree, [(one, rng.sample(sets, rng.randint(2, 6))) for one in sets]
