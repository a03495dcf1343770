"""The gateway: WebSocket fan-out, REST and the dashboard's files, on one port."""
