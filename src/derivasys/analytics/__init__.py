"""Pure numerics: arrays in, arrays out.

Black-76 prices and greeks, implied volatility, SVI and SSVI slices, delta solving, parity forwards and the exact
no-arbitrage certificate. Nothing here reads a clock, a file or a random source; the symbols are those of the glossary
(`forward`, `strike`, `tau`, `k`, `iv`, `w`; `a b rho m sigma` always in total variance).
"""
