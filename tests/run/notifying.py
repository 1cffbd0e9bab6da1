"""What a program tells who started it: sd_notify(3)."""

import os
import socket


def notify(*assignments: str) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.connect(os.environ["NOTIFY_SOCKET"].replace("@", "\0", 1))
        manager.sendall("\n".join(assignments).encode())
