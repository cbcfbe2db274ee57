"""What a batch adds to each window of event time, and how far that time has come."""
