"""Certificates of an authority of our own."""

import ssl
from pathlib import Path

import trustme


class Certificates:
    """Files, and what a client needs to trust them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.authority = trustme.CA()
        self.ca = folder / "ca.pem"
        self.authority.cert_pem.write_to_path(str(self.ca))
        self.localhost = self.issue("localhost", "127.0.0.1")
        self.client = self.issue("ann@example.org")

    def issue(self, *names: str, file: str = "") -> Path:
        """A new certificate with its key, in one file."""
        path = self.folder / (file or f"{names[0]}.pem")
        issued = self.authority.issue_cert(*names, common_name=names[0]).private_key_and_cert_chain_pem
        new = path.with_suffix(".new")
        issued.write_to_path(str(new))
        new.replace(path)
        return path

    def options(self) -> tuple[str, ...]:
        return "--ssl-certfile", str(self.localhost)

    def context(self, client: Path | None = None) -> ssl.SSLContext:
        """A client that trusts the authority alone."""
        context = ssl.create_default_context(cafile=str(self.ca))
        if client:
            context.load_cert_chain(client)
        return context
