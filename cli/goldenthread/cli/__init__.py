"""The `goldenthread` command, one module a command group."""
