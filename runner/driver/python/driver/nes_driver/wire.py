"""Jupyter's messages on ZMQ sockets, as far as a driver needs them."""
import hashlib
import hmac
import itertools
import json
import os
import time

import zmq

DELIMITER = b"<IDS|MSG>"
_loads = json.loads


class Message:
    """A message as it came: header and parent are read, the rest stays bytes."""

    __slots__ = ("type", "parent", "metadata", "content", "buffers")

    def __init__(self, type, parent, metadata, content, buffers):
        self.type = type
        self.parent = parent
        self.metadata = metadata
        self.content = content
        self.buffers = buffers


class Wire:
    """The sockets to one kernel."""

    def __init__(self, info):
        self._key = info["key"].encode()
        self._verify = info["transport"] != "ipc"  # a socket in a directory of ours needs no signature
        self._session = os.urandom(16).hex()
        self._ids = itertools.count()
        self._parents = {}
        context = zmq.Context.instance()
        join = "-" if info["transport"] == "ipc" else ":"
        address = info["transport"] + "://" + info["ip"] + join
        self.iopub = self._connect(context, zmq.SUB, address, info["iopub_port"])
        self.shell = self._connect(context, zmq.DEALER, address, info["shell_port"])
        self.control = self._connect(context, zmq.DEALER, address, info["control_port"])

    def _connect(self, context, kind, address, port):
        socket = context.socket(kind)
        socket.linger = 0
        socket.set_hwm(0)  # a flood of output is never dropped and never fails a cell
        if not self._verify:
            socket.reconnect_ivl = 10
        if kind == zmq.SUB:
            socket.subscribe(b"")
        socket.connect(address + str(port))
        return socket

    def send(self, socket, kind, content):
        """Send a request and return its id."""
        msg_id = "%s_%d" % (self._session, next(self._ids))
        now = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime()) + "Z"
        header = {"msg_id": msg_id, "session": self._session, "username": "nes", "date": now, "msg_type": kind, "version": "5.3"}
        frames = [json.dumps(header).encode(), b"{}", b"{}", json.dumps(content).encode()]
        socket.send_multipart([DELIMITER, self._sign(frames)] + frames)
        return msg_id

    def receive(self, socket):
        """The next message that is there, or None."""
        try:
            frames = socket.recv_multipart(zmq.NOBLOCK)
        except zmq.Again:
            return None
        at = frames.index(DELIMITER) + 1
        if self._verify and not hmac.compare_digest(frames[at], self._sign(frames[at + 1:at + 5])):
            return Message("unsigned", "", b"{}", b"{}", [])
        header, parent, metadata, content = frames[at + 1:at + 5]
        return Message(_loads(header)["msg_type"], self._parent(parent), metadata, content, frames[at + 5:])

    def _parent(self, raw):
        """The id in a parent header; all messages of one request carry the same bytes."""
        found = self._parents.get(raw)
        if found is None:
            if len(self._parents) > 256:
                self._parents.clear()
            found = self._parents[raw] = _loads(raw).get("msg_id", "")
        return found

    def _sign(self, frames):
        if not self._key:
            return b""
        digest = hmac.new(self._key, digestmod=hashlib.sha256)
        for frame in frames:
            digest.update(frame)
        return digest.hexdigest().encode()
