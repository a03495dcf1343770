"""A TCP relay that can be made to pass nothing: a network that has failed without telling anybody."""

from __future__ import annotations

import contextlib
import selectors
import socket
import threading


class Proxy:
    """Listens on `port` and relays to `target`, until `is_cut`; then bytes wait, as behind a dead router."""

    def __init__(self, port: int, target: int) -> None:
        self.is_cut = False
        self._target = target
        self._selector = selectors.DefaultSelector()
        self._peer: dict[socket.socket, socket.socket] = {}
        self._listener = socket.create_server(("127.0.0.1", port))
        self._listener.setblocking(False)
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._ended.is_set():
            for key, _ in self._selector.select(0.02):
                if self.is_cut:
                    self._ended.wait(0.02)
                elif key.fileobj is self._listener:
                    self._accept()
                else:
                    self._relay(key.fileobj)

    def _accept(self) -> None:
        client, _ = self._listener.accept()
        server = socket.create_connection(("127.0.0.1", self._target))
        for one, other in ((client, server), (server, client)):
            self._peer[one] = other
            self._selector.register(one, selectors.EVENT_READ)

    def _relay(self, source: socket.socket) -> None:
        target = self._peer.get(source)
        if target is None:
            return
        try:
            data = source.recv(1 << 16)
            if data:
                target.sendall(data)
        except OSError:
            data = b""
        if not data:
            for each in (source, target):
                self._peer.pop(each, None)
                with contextlib.suppress(KeyError, ValueError):
                    self._selector.unregister(each)
                each.close()

    def close(self) -> None:
        self._ended.set()
        self._thread.join()
        for each in (*self._peer, self._listener):
            each.close()
        self._selector.close()
