"""A package that calls itself awaitd, put first on the path: its worker does what the real one never would."""
