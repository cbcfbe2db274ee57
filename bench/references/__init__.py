"""What the worker is measured against: each module consumes a topic and prints one JSON line."""
