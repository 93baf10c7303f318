"""The code that several test suites and the benchmarks share."""
