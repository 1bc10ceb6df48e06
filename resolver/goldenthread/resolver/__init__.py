"""Decide who is who: normalise, block, compare, score, cluster; values in, values out."""
