"""The SQL files, and how a database is brought to the state they describe."""
