"""Venues on this machine: recorded chains, the markets made of them, and servers in the venues' own protocols."""
