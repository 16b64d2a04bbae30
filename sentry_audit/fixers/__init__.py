"""What closes gaps: one module per kind of change, from a case to a change or a refusal. Pure."""
