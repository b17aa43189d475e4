"""The verbs: score, agglomerate, learn."""
