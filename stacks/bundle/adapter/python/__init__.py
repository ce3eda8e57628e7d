"""The adapter between the portable handler contract and where a function runs.
Standard library only, Python 3.9 and later."""
