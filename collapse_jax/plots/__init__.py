"""Draw figures by pure functions of records."""
