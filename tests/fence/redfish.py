# SPDX-License-Identifier: Apache-2.0
"""A BMC for tests: as much of Redfish, over TLS, as Debian's fence_redfish asks for.

machines is {name: machine}, where a machine has on() -> bool and reset(kind) with kind On, ForceOff or ForceRestart.
"""
import base64
import http.server
import json
import ssl
import subprocess
import threading

USER, PASSWORD = "fence", "secret"
KINDS = ("On", "ForceOff", "ForceRestart")


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, code, body=None):
        data = json.dumps(body).encode() if body is not None else b""
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def machine(self):
        """The machine that the path names, and what comes behind it; None: answered already."""
        words = self.path.strip("/").split("/")
        expected = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        if self.headers.get("Authorization") != expected:
            self.answer(401, {"error": {"message": "who are you?"}})
        elif words[:3] != ["redfish", "v1", "Systems"] or len(words) < 4 or words[3] not in self.server.machines:
            self.answer(404, {"error": {"message": "no such resource"}})
        else:
            return self.server.machines[words[3]], words[4:]
        return None

    def do_GET(self):
        if found := self.machine():
            root = "/".join(self.path.strip("/").split("/")[:4])
            self.answer(200, {"PowerState": "On" if found[0].on() else "Off",
                              "Actions": {"#ComputerSystem.Reset": {"target": f"/{root}/Actions/ComputerSystem.Reset",
                                                                    "ResetType@Redfish.AllowableValues": KINDS}}})

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if not (found := self.machine()):
            return
        kind = json.loads(body or b"{}").get("ResetType")
        if found[1] != ["Actions", "ComputerSystem.Reset"] or kind not in KINDS:
            self.answer(400, {"error": {"message": "no such action"}})
            return
        found[0].reset(kind)
        self.answer(204)


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        pass  # a client that was killed


def certificate(directory):
    """A key and a certificate of its own, in one file."""
    path = f"{directory}/bmc.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=bmc",
                    "-keyout", path, "-out", path + ".crt"], check=True, capture_output=True)
    with open(path, "a", encoding="ascii") as pem, open(path + ".crt", encoding="ascii") as crt:
        pem.write(crt.read())
    return path


def serve(machines, directory, port=0):
    """Starts a BMC on 127.0.0.1; returns the server, whose server_port says where."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate(directory))
    server = Server(("127.0.0.1", port), Handler)
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    server.machines = machines
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True).start()
    return server
