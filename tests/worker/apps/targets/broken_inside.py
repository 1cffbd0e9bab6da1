import there_is_no_such_module  # noqa: F401 (imported to fail)
