"""Stores, each a package of its own; `goldenthread.stores` entry points name them."""
