"""`make sbom`: what the product is made of, as CycloneDX, and whether every licence in it may be there.

Python from the locked requirements of the service images, JavaScript from the page's lock. The lists of tools and tests
are not part of the product.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
OUT = ROOT / "build" / "sbom"
ALLOWED = (
    r"Apache", r"MIT", r"BSD", r"ISC", r"PSF|Python Software Foundation|Python-2\.0",
    r"MPL-2\.0|Mozilla Public License 2\.0",
    r"Zlib|zlib", r"Unlicense", r"BlueOak", r"CC0", r"HPND|Historical Permission", r"OFL",
)  # fmt: skip
"""Of a package at least one stated licence must match."""
REFUSED = r"\bA?GPL|\bSSPL|BUSL|Commons Clause|Proprietary"
BY_NAME = {
    "aiofastnet": "MIT",
    "picows": "MIT",
    "protobuf": "BSD-3-Clause",
}
"""Packages whose metadata state none: read in the licence files that they carry."""


def main() -> int:
    OUT.mkdir(parents=True, exist_ok=True)
    documents = {"python": _python(), "dashboard": _dashboard()}
    problems = []
    for name, document in documents.items():
        (OUT / f"{name}.cdx.json").write_text(json.dumps(document, indent=1, sort_keys=True) + "\n")
        components = document["components"]
        found = [problem for component in components if (problem := judge(component))]
        problems += found
        print(f"{name}: {len(components)} components, {len(found)} with a licence to look at → {OUT / name}.cdx.json")
    for problem in problems:
        print(f"  {problem}")
    return 1 if problems else 0


def locked(path: Path) -> set[str]:
    """Return the names in a lock of requirements, normalised."""
    return {_normal(match) for match in re.findall(r"^([A-Za-z0-9._-]+)==", path.read_text(), re.MULTILINE)}


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _python() -> dict:
    tool = ROOT / "infra" / ".venv" / "bin" / "cyclonedx-py"
    command = [
        str(tool),
        "environment",
        "--output-reproducible",
        "--of",
        "JSON",
        str(ROOT / ".venv" / "bin" / "python"),
    ]
    document = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    ours = locked(ROOT / "requirements" / "cloud.txt")
    kept = [one for one in document["components"] if _normal(one["name"]) in ours]
    missing = ours - {_normal(one["name"]) for one in kept}
    # Some are for other platforms only, and are not installed here.
    for name in sorted(missing):
        print(f"  not installed on this platform: {name}")
    refs = {one["bom-ref"] for one in kept}
    document["components"] = kept
    document["dependencies"] = [
        {**one, "dependsOn": [ref for ref in one.get("dependsOn", []) if ref in refs]}
        for one in document.get("dependencies", [])
        if one["ref"] in refs
    ]
    return document


def _dashboard() -> dict:
    command = ["npm", "sbom", "--omit", "dev", "--sbom-format", "cyclonedx"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT / "dashboard")
    return json.loads(done.stdout)


def licences(component: dict) -> list[str]:
    """Return what a component says about its licence."""
    told = []
    for choice in component.get("licenses", []):
        licence = choice.get("license", {})
        told += [text for text in (choice.get("expression"), licence.get("id"), licence.get("name")) if text]
    return told


def judge(component: dict) -> str:
    """Return what is wrong with a component's licence, '' when nothing is."""
    name = component["name"]
    told = licences(component) or ([BY_NAME[name]] if name in BY_NAME else [])
    if not told:
        return f"{name}: states no licence"
    if any(re.search(pattern, text) for text in told for pattern in ALLOWED):
        return ""
    refused = [text for text in told if re.search(REFUSED, text)]
    return f"{name}: {(refused or told)[0][:80]!r} is not among the licences that may be shipped"


if __name__ == "__main__":
    sys.exit(main())
