"""What a period will have cost when it ends: a method chosen by back-test, and an interval."""
