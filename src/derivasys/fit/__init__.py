"""Quotes in, smiles out: which quotes a slice uses, the free fit, and the fit constrained to be free of arbitrage.

Every function takes and returns flat arrays for a whole board (expiries in CSR layout), so that one call fits all
expiries of a currency. Poor fits are values with reasons, never exceptions.
"""
