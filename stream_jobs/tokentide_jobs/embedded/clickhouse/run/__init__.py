"""Running one statement: its connection made ready, its result or its insert, its session."""
