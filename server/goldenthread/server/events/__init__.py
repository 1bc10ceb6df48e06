"""What happened to identities, told to whoever follows: the outbox that a commit fills, and everything that reads it."""
