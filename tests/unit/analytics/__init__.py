"""Unit tests of the pure numerics, one file per source file."""
