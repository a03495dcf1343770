"""Recordings of raw frames, so that any surface can be made again from the bytes that made it."""
