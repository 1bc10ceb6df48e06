"""Keep what stewards decide: who is one, who is not, who is not of a household, and which values are right.

Each is one decision with who made it, why and since when, fixed to records, and can be undone by itself.
"""
