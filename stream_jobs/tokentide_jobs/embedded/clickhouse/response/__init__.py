"""The answer: headers, compression, and how a failure is reported."""
