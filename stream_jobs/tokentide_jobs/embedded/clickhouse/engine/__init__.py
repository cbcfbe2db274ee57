"""The engine: its configuration, who owns its directory, its connections and their threads."""
