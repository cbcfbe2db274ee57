"""The pipeline: pure core, thin I/O, Faust jobs, the embedded stack and the command line."""
