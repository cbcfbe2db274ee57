"""What a call costs: price cards, which one holds for a call, and the exact bill."""
