"""Resolve whole files of records, in columns."""
