"""Protocols for datagrams; each is a target of its own."""

import asyncio
import gc
import weakref


class Echo(asyncio.DatagramProtocol):
    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, addr):
        if data == b"raise":
            raise RuntimeError("as it should")
        self.transport.sendto(bytearray(data), addr)

    def connection_lost(self, exc):
        print("lost", exc, flush=True)


class Hazards(asyncio.DatagramProtocol):
    """Everything that a program may do at the wrong time."""

    def connection_made(self, transport):
        self.weak = weakref.ref(transport)

    def datagram_received(self, data, addr):
        transport = self.weak()
        assert transport.get_protocol() is self
        gc.collect()
        for wrong in (("name", 1), ("1.2.3.4", -1), ("1.2.3.4",), "1.2.3.4", ("1.2.3.4", 1, 2, 3, 4), 5):
            for call in (lambda: transport.sendto(data, wrong), lambda: transport.sendto(data, addr=wrong)):  # noqa: B023
                try:
                    call()
                except (TypeError, ValueError, OverflowError):
                    pass
                else:
                    raise AssertionError(wrong)
        for arguments, keywords in (
            ((), {}),
            (("text", addr), {}),
            ((data,), {}),
            ((data, addr, 1), {}),
            ((data,), {"to": addr}),
        ):
            try:
                transport.sendto(*arguments, **keywords)
            except (TypeError, ValueError):
                pass
            else:
                raise AssertionError(arguments)
        transport.sendto(bytes(70_000), addr)
        transport.set_protocol(Echo())
        transport.get_protocol().connection_made(transport)
        assert transport.get_extra_info("socket") is None
        assert transport.get_extra_info("sockname", 5) != 5
        transport.sendto(data, addr)
        transport.sendto(memoryview(b"2"), ("::1", 5, 0, 7))
        if data == b"abort":
            transport.abort()
        transport.close()
        transport.close()
        transport.sendto(data, addr)
        assert transport.is_closing()

    def error_received(self, exc):
        raise exc


def raises():
    raise RuntimeError("no protocol")


async def asgi(scope, receive, send):
    while (message := await receive())["type"] == "udp.receive":
        for wrong in (
            {"data": b""}, {"client": message["client"]}, {"data": "", "client": message["client"]},
            {"data": b"", "client": ("name", 1)}, {"data": bytes(65_508), "client": ("1.1.1.1", 1)}, {"client": 5, "data": b""},
        ):  # fmt: skip
            try:
                await send({"type": "udp.send", **wrong})
            except (TypeError, ValueError):
                continue
            raise AssertionError(wrong)
        await send({"type": "udp.send", "data": message["data"], "client": message["client"]})
        if message["data"] == b"close":
            await send({"type": "udp.close"})
            break
    assert await receive() == {"type": "udp.disconnect"}
