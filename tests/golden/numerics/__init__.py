"""Golden values of the numerics; each names where the value comes from."""
