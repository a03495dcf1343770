"""The contract between server and client, without I/O: messages, state tables, diffs, feeds and sessions."""
