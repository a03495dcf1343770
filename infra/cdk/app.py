"""Synthesises one environment: `cdk synth -c environment=dev`, or `python app.py` with ENVIRONMENT from the context."""

from __future__ import annotations

import sys

import aws_cdk as cdk
from derivasys_infra.config import ConfigError, load
from derivasys_infra.deployment import build


def main() -> int:
    app = cdk.App()
    try:
        config = load(app.node.try_get_context("environment") or "dev")
    except ConfigError as error:
        print(f"infra: {error}", file=sys.stderr)
        return 2
    build(app, config)
    app.synth()
    return 0


if __name__ == "__main__":
    sys.exit(main())
