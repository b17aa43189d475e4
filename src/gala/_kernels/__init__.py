"""Compiled loops: arrays in, arrays out.  NumPy and Numba only; nothing here validates, prints or raises."""
