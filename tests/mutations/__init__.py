"""A test of the tests: each invariant is broken on purpose, and the tests that guard it must fail."""
