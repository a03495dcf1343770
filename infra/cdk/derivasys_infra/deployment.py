"""All stacks of an environment, in order of need."""

from __future__ import annotations

import aws_cdk as cdk
import cdk_nag

from derivasys_infra.config import Config
from derivasys_infra.data import Data
from derivasys_infra.edge import Edge
from derivasys_infra.network import Network
from derivasys_infra.observability import Observability, retention
from derivasys_infra.runtime import Runtime
from derivasys_infra.secrets import Secrets
from derivasys_infra.site import Site
from derivasys_infra.stream import Stream


def build(app: cdk.App, config: Config) -> dict[str, cdk.Stack]:
    """Add the stacks of an environment to `app`; cdk-nag looks at them when it is synthesised."""
    cdk.Validations.of(app).add_plugins(cdk_nag.AwsSolutionsChecks(app))
    # Zones come from the settings: asking an account for them would make synthesis depend on one.
    zones = f"availability-zones:account={config.account}:region={config.region}"
    app.node.set_context(zones, config.availability_zones)
    here = cdk.Environment(account=config.account, region=config.region)
    tags = {"project": "derivasys", "environment": config.environment}
    common = {"env": here, "tags": tags, "termination_protection": config.deletion_protection}

    def named(name: str) -> str:
        return f"{config.prefix}-{name}"

    edge = Edge(
        app, named("edge"), config, **common | {"env": cdk.Environment(account=config.account, region="us-east-1")}
    )
    secrets = Secrets(app, named("secrets"), config, **common)
    data = Data(app, named("data"), config, secrets.key, **common)
    observability = Observability(app, named("observability"), config, secrets.key, **common)
    network = Network(app, named("network"), config, secrets.key, retention(config), **common)
    stream = None
    if config.stream.kind == "msk":
        stream = Stream(
            app, named("stream"), config, network=network, key=secrets.key,
            log_group=observability.groups["kafka"], **common,
        )  # fmt: skip
    runtime = Runtime(
        app, named("runtime"), config, network=network, secrets=secrets, data=data, observability=observability,
        stream=stream, **common,
    )  # fmt: skip
    site = Site(app, named("site"), config, data.logs_bucket, **common)
    made = {
        "Edge": edge, "Secrets": secrets, "Data": data, "Observability": observability, "Network": network,
        "Runtime": runtime, "Site": site,
    }  # fmt: skip
    return made | ({"Stream": stream} if stream else {})
