"""A person's telephone: calls, phones, switches (docs/architecture.md, "The telephone")."""
