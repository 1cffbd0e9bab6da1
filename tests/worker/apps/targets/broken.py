from . import broken_inside  # noqa: F401 (imported to fail)
