def aplication(environ, start_response):
    """A name that is nearly right."""
