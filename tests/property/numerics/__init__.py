"""Properties of the numerics under hypothesis and against independent high-precision code."""
