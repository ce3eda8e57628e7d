"""The adapter between the portable handler contract and where a function runs.
Standard library only, Python 3.9 and later."""

import os
import sys

# A project may have a json.py of its own. What the adapter imports is the standard
# library's: the package's root goes behind it until the handlers are loaded.
ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path[:] = [entry for entry in sys.path if os.path.abspath(entry) != ROOT] + [ROOT]
