"""Look for secrets in the tracked files: keys, tokens, private keys, passwords in URLs and assignments.

Nothing leaves the machine. What looks like a secret and is none stands in scripts/ci/not_secrets.json, by digest;
--accept puts all that is found now there. Passwords in tests are not looked for: those of redaction are full of them.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from peak_trade import script
from peak_trade.errors import RunError

if TYPE_CHECKING:
    from detect_secrets.core.potential_secret import PotentialSecret

KNOWN = "scripts/ci/not_secrets.json"
# Digests look random and addresses public; the library's other detectors look for a form, not for chance.
UNUSED = {"Base64HighEntropyString", "HexHighEntropyString", "IPPublicDetector"}
MADE_UP = {"Secret Keyword", "Basic Auth Credentials"}
NUMBERS = r"^[\d.,:TZ+-]*$"  # a line of a table of bars: no form has digits alone, and there are many
HEURISTICS = ("is_indirect_reference", "is_prefixed_with_dollar_sign", "is_templated_secret")  # names of secrets
FILTERS = [
    {"path": "detect_secrets.filters.allowlist.is_line_allowlisted"},
    {"path": "detect_secrets.filters.regex.should_exclude_line", "pattern": ["--hash=sha256:", NUMBERS]},
    *({"path": f"detect_secrets.filters.heuristic.{name}"} for name in HEURISTICS),
]


def main() -> int:
    parser = script.parser(__doc__)
    parser.add_argument("--root", type=Path, default=script.repo_root(), help="the checkout (default: this one)")
    parser.add_argument("--accept", action="store_true", help="none of what is found is a secret: remember that")
    args = parser.parse_args()
    found, path = sorted(scan(args.root), key=lambda one: (one[0], one[1].line_number)), args.root / KNOWN
    if args.accept:
        path.write_text(json.dumps([key(*one) for one in found], indent=2) + "\n", encoding="utf-8")
        return 0
    known = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else []
    fresh = [one for one in found if key(*one) not in known]
    for name, one in fresh:
        script.note(f"{name}:{one.line_number}: {one.type}")
    if fresh:
        hint = "take them out and revoke them; none is one? `python scripts/ci/audit_secrets.py --accept`"
        raise RunError("tracked files hold what looks like secrets", hint=hint)
    script.note("ok secrets: none in the tracked files")
    return 0


def scan(root: Path) -> Iterator[tuple[str, PotentialSecret]]:
    """Yield each file and what in it looks like a secret, of those that git tracks below `root`."""
    from detect_secrets.core.plugins.util import get_mapping_from_secret_type_to_class
    from detect_secrets.core.secrets_collection import SecretsCollection
    from detect_secrets.settings import transient_settings

    listed = subprocess.run(["git", "ls-files", "-z"], capture_output=True, text=True, check=True, cwd=root)
    names = [name for name in listed.stdout.split("\0") if name != KNOWN and (root / name).is_file()]
    detectors = {plugin.__name__ for plugin in get_mapping_from_secret_type_to_class().values()} - UNUSED
    found = SecretsCollection(root=str(root))
    with transient_settings({"plugins_used": [{"name": name} for name in sorted(detectors)], "filters_used": FILTERS}):
        found.scan_files(*names)
    yield from ((name, one) for name, one in found if not (name.startswith("tests/") and one.type in MADE_UP))


def key(name: str, secret: PotentialSecret) -> dict[str, str]:
    """Return what a secret is known again by, wherever in its file it stands."""
    return {"file": name, "type": secret.type, "digest": secret.secret_hash}


if __name__ == "__main__":
    script.run(main)
