# SPDX-License-Identifier: Apache-2.0
"""A live nginx serves with the installed set: through rotations, by each way of telling it, no request fails."""

import http.client
import json
import ssl
import threading

from agent import wait_for
from servers.process import Process, start_on
from test_hook_run import rotate

NGINX = """\
daemon off;
pid {dir}/nginx.pid;
error_log stderr info;
worker_processes 1;
events {{ worker_connections 256; }}
http {{
    access_log off;
    client_body_temp_path {dir}/tmp; proxy_temp_path {dir}/tmp;
    fastcgi_temp_path {dir}/tmp; uwsgi_temp_path {dir}/tmp; scgi_temp_path {dir}/tmp;
    server {{
        listen 127.0.0.1:{port} {ssl};
        {settings}
    }}
}}
"""
PROXY = """\
        location / {{
            proxy_pass https://{enclave};
            proxy_ssl_certificate {set}/client.crt; proxy_ssl_certificate_key {set}/client.key;
            proxy_ssl_trusted_certificate {set}/ca.crt; proxy_ssl_verify on; proxy_ssl_name localhost;
        }}
"""
SERVER = """\
        ssl_certificate {set}/server.crt; ssl_certificate_key {set}/server.key;
        location / {{ return 200 served; }}
"""


class LiveNginx:
    """A master with a worker, as it is deployed."""

    def __init__(self, directory, settings, tls=False):
        self.dir = directory / "nginx"
        self.dir.mkdir()
        self.conf, self.pid_file = self.dir / "nginx.conf", self.dir / "nginx.pid"
        self._settings, self._ssl = settings, "ssl" if tls else ""
        self._process, self.port = start_on(None, self._launch)

    def _launch(self, port):
        self.conf.write_text(NGINX.format(dir=self.dir, port=port, ssl=self._ssl, settings=self._settings))
        return Process(["nginx", "-e", "stderr", "-c", self.conf, "-p", self.dir], self.dir / "log")

    def stop(self):
        self._process.stop()


class Client:
    """Asks all the time, each time by a new connection; what came, and what did not."""

    def __init__(self, ask):
        self.seen, self.failures, self.requests = [], [], 0
        self._ask = ask
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        while not self._stopping.is_set():
            self.requests += 1
            try:
                answer = self._ask()
            except Exception as error:
                self.failures.append(repr(error))
                continue
            if answer not in self.seen:
                self.seen.append(answer)

    def stop(self):
        self._stopping.set()
        self._thread.join(30)


def test_nginx_is_reloaded_as_a_client(serve, agent, aws, put, good, authority, enclave, tmp_path, up):
    """By a program, through several rotations, while it is asked all the time: no request fails."""
    arn = put(good)
    agent.fetch(arn).succeeded("installed")
    nginx = up(LiveNginx(tmp_path, PROXY.format(enclave=enclave.endpoint, set=agent.dir)))

    def ask():
        connection = http.client.HTTPConnection("127.0.0.1", nginx.port, timeout=20)
        connection.request("GET", "/health")
        answer = connection.getresponse()
        body = answer.read()
        connection.close()
        assert answer.status == 200, f"{answer.status} {body}"
        return json.loads(body)["client"]

    client = up(Client(ask))
    wait_for(lambda: client.seen)
    command = f"/usr/sbin/nginx -s reload -e stderr -c {nginx.conf} -p {nginx.dir}"
    service = serve(arn, f"--on-change-exec={command}", endpoint=enclave.endpoint)
    names = ["CN=ECS-Client"]
    for number in range(1, 5):
        rotate(aws, arn, authority, f"ECS-Client-{number}")
        names.append(f"CN=ECS-Client-{number}")
        wait_for(lambda: client.seen[-1:] == names[-1:] or client.failures)
    requests = client.requests
    wait_for(lambda: client.requests >= requests + 20)
    client.stop()
    assert client.failures == [] and client.seen == names
    assert client.requests > 50 and not service.all("error")


def test_nginx_is_reloaded_as_a_server(serve, agent, aws, put, authority, tmp_path, up):
    """The same by its pid file, with a set that it shows to its own clients."""

    def server_document():
        pair = authority.issue("localhost", names=["localhost"])
        serials.append(pair.certificate.serial_number)
        return json.dumps({"server_cert": pair.cert, "server_key": pair.key})

    serials = []
    arn = put(server_document())
    agent.fetch(arn).succeeded("installed")
    nginx = up(LiveNginx(tmp_path, SERVER.format(set=agent.dir), tls=True))
    context = ssl.create_default_context(cadata=authority.pem)

    def ask():
        connection = http.client.HTTPSConnection("localhost", nginx.port, timeout=20, context=context)
        connection.request("GET", "/")
        serial = int(connection.sock.getpeercert()["serialNumber"], 16)
        assert connection.getresponse().read() == b"served"
        connection.close()
        return serial

    client = up(Client(ask))
    wait_for(lambda: client.seen)
    service = serve(arn, f"--on-change-signal=HUP:{nginx.pid_file}")
    for _ in range(4):
        aws.rotate(arn, server_document())
        wait_for(lambda: client.seen[-1] == serials[-1] or client.failures)
    client.stop()
    assert client.failures == [] and client.seen == serials
    assert client.requests > 50 and not service.all("error")
