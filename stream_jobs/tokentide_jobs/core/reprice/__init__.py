"""What new prices change in stored rows and in windows."""
