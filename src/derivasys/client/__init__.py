"""Python clients of a gateway: `connect` follows it live, `latest` asks once."""

from derivasys.client.latest import latest
from derivasys.client.live import Live, connect
from derivasys.client.published import PublishedSurface
from derivasys.client.refusal import ClientError

__all__ = ["ClientError", "Live", "PublishedSurface", "connect", "latest"]
