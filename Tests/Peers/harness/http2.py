"""Two clients of HTTP/2: one that h2 drives, and which believes what h2 says of the proxy's frames, and one that sends any
frame at all."""

import contextlib
import socket
import ssl
import time
from collections import defaultdict
from dataclasses import dataclass, field

import h2.config
import h2.connection
import h2.events
from hpack import Decoder, Encoder
from hyperframe.frame import Frame, GoAwayFrame, PingFrame, RstStreamFrame, SettingsFrame

from harness.certificates import certificate

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
TIMEOUT = 20


@dataclass
class Stream:
    """What has come of a stream."""

    status: int = None
    fields: list = field(default_factory=list)
    body: bytes = b""
    is_complete: bool = False
    # The code of RST_STREAM.
    reset: int = None

    @property
    def is_over(self):
        return self.is_complete or self.reset is not None

    def __getitem__(self, name):
        return dict(self.fields).get(name)


def connect(port):
    """A connection over TLS on which HTTP/2 was agreed."""
    context = ssl.create_default_context(cafile=certificate().path)
    context.set_alpn_protocols(["h2"])
    raw = socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT)
    raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    secure = context.wrap_socket(raw, server_hostname="localhost")
    assert secure.selected_alpn_protocol() == "h2"
    return secure


def request_fields(key=None, method="POST", path="/", more=()):
    keys = key if isinstance(key, list) else [] if key is None else [key]
    return [
        (":method", method), (":scheme", "https"), (":authority", "localhost"), (":path", path),
        *(("idempotency-key", each) for each in keys), *more,
    ]


class Client:
    """Driven by h2: it sends what it is told, also what is malformed, but raises an error if the proxy breaks a rule."""

    def __init__(self, port, settings=None, takes_bodies=True):
        self.socket = connect(port)
        self.takes_bodies = takes_bodies
        self.streams = defaultdict(Stream)
        # The code of GOAWAY, and the last stream that it names.
        self.go_away = None
        self.last_stream = None
        self.is_closed = False
        self.h2 = h2.connection.H2Connection(h2.config.H2Configuration(
            validate_outbound_headers=False, normalize_outbound_headers=False, header_encoding="latin-1"))
        self.h2.local_settings.update(settings or {})
        self.h2.initiate_connection()
        self.flush()

    def flush(self):
        self.socket.sendall(self.h2.data_to_send())

    def begin(self, fields, ends=False):
        """Opens a stream, and returns its number."""
        number = self.h2.get_next_available_stream_id()
        self.h2.send_headers(number, fields, end_stream=ends)
        self.flush()
        return number

    def start(self, fields, body=b"", trailers=None):
        """Sends a whole request, and returns the number of its stream."""
        number = self.begin(fields, ends=not body and trailers is None)
        if body:
            self.h2.send_data(number, body, end_stream=trailers is None)
        if trailers is not None:
            self.h2.send_headers(number, trailers, end_stream=True)
        self.flush()
        return number

    def ask(self, *arguments, **options):
        """Sends a request, and waits for what comes of it."""
        number = self.start(*arguments, **options)
        self.read_until(lambda: self.streams[number].is_over or self.is_closed)
        return self.streams[number]

    def read_until(self, condition, timeout=TIMEOUT):
        deadline = time.monotonic() + timeout
        while not condition():
            remaining = deadline - time.monotonic()
            assert remaining > 0, f"nothing came of it: {dict(self.streams)}"
            self.socket.settimeout(remaining)
            self._read()

    def read_for(self, seconds):
        """Takes whatever comes in this time."""
        deadline = time.monotonic() + seconds
        while (remaining := deadline - time.monotonic()) > 0 and not self.is_closed:
            self.socket.settimeout(remaining)
            with contextlib.suppress(TimeoutError):
                self._read()

    def _read(self):
        try:
            data = self.socket.recv(65_536)
        except (ConnectionError, ssl.SSLError):
            data = b""
        if not data:
            self.is_closed = True
            return
        for event in self.h2.receive_data(data):
            self._handle(event)
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            self.flush()

    def _handle(self, event):
        match event:
            case h2.events.ResponseReceived():
                stream = self.streams[event.stream_id]
                stream.status = int(dict(event.headers)[":status"])
                stream.fields = event.headers
            case h2.events.DataReceived():
                self.streams[event.stream_id].body += event.data
                if self.takes_bodies and event.flow_controlled_length:
                    self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            case h2.events.StreamEnded():
                self.streams[event.stream_id].is_complete = True
            case h2.events.StreamReset():
                self.streams[event.stream_id].reset = event.error_code
            case h2.events.ConnectionTerminated():
                self.go_away, self.last_stream = event.error_code, event.last_stream_id

    def close(self):
        self.socket.close()


class RawClient:
    """Sends frames, and bytes that are none."""

    def __init__(self, port, settings=(), preface=PREFACE):
        self.socket = connect(port)
        self.encoder = Encoder()
        self.decoder = Decoder()
        self.decoder.max_header_list_size = 1 << 20
        self.frames = []
        self.is_closed = False
        self._pending = b""
        self.socket.sendall(preface + SettingsFrame(0, settings=dict(settings)).serialize() if preface else b"")

    def send(self, *frames):
        """Returns whether the connection took it."""
        try:
            self.socket.settimeout(TIMEOUT)
            self.socket.sendall(b"".join(each if isinstance(each, bytes) else each.serialize() for each in frames))
            return True
        except (ConnectionError, ssl.SSLError):
            return False

    def block(self, fields):
        """The fields as HPACK writes them."""
        return self.encoder.encode(fields)

    def read_until(self, condition, timeout=TIMEOUT):
        """Reads until a frame fulfils the condition, which it returns, or the connection ends."""
        deadline = time.monotonic() + timeout
        while (remaining := deadline - time.monotonic()) > 0 and not self.is_closed:
            for frame in self.frames:
                if condition(frame):
                    return frame
            self.socket.settimeout(remaining)
            self._read()
        return next((frame for frame in self.frames if condition(frame)), None)

    def _read(self):
        try:
            data = self.socket.recv(65_536)
        except TimeoutError:
            return
        except (ConnectionError, ssl.SSLError):
            data = b""
        if not data:
            self.is_closed = True
        self._pending += data
        while len(self._pending) >= 9:
            frame, length = Frame.parse_frame_header(memoryview(self._pending[:9]))
            if len(self._pending) < 9 + length:
                return
            frame.parse_body(memoryview(self._pending[9 : 9 + length]))
            self._pending = self._pending[9 + length :]
            self.frames.append(frame)

    def go_away(self):
        """The code of GOAWAY when the connection has ended, or what else became of it.

        Where there are two, the first says why: the second follows from the end."""
        self.send(PingFrame(0, b"still on"))
        self.read_until(lambda frame: isinstance(frame, GoAwayFrame) or "ACK" in frame.flags and frame.type == PingFrame.type)
        self.read_until(lambda frame: False, timeout=1.5)
        if not self.is_closed:
            return "the connection goes on"
        return next((frame.error_code for frame in self.frames if isinstance(frame, GoAwayFrame)), "no GOAWAY")

    def reset(self, stream):
        """The code of the RST_STREAM of a stream, or None if the connection ended without one."""
        frame = self.read_until(lambda frame: isinstance(frame, RstStreamFrame) and frame.stream_id == stream)
        return frame and frame.error_code

    def close(self):
        self.socket.close()
