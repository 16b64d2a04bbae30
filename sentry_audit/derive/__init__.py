"""Facts from facts, pure: the only place for joins. One module per topic."""
