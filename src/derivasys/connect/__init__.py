"""Venue sockets → raw frames with their receive time. A venue's rules are sans I/O, one file a venue."""
