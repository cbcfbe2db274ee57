"""What `verify` compares, and what it concludes."""
