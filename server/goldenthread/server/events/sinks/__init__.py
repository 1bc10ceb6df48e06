"""Deliver events to other systems: small adapters behind one protocol, each with a durable cursor of its own."""
