"""Hello as a Tornado application."""

from tornado.web import Application, RequestHandler

HELLO = b"Hello, World!"


class Hello(RequestHandler):
    def get(self) -> None:
        self.set_header("Content-Type", "text/plain")
        self.write(HELLO)


app = Application([("/", Hello)])
