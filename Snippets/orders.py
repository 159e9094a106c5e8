from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

class Orders(BaseHTTPRequestHandler):
    count = 0
    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        Orders.count += 1
        self.send_response(201)
        self.end_headers()
        self.wfile.write(b"order %d\n" % Orders.count)

ThreadingHTTPServer(("127.0.0.1", 3000), Orders).serve_forever()
