"""Fitted smiles → delta nodes, fixed tenors and what each of them rests on."""
