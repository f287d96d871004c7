"""Debian's nginx with a configuration of integrations/, which is changed as a test wants it."""

import contextlib
import os
import pathlib
import pwd
import socket
import subprocess
import time

from serving import free_port

WORKERS = 2


def wait_for(condition, what):
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end, what
        time.sleep(0.02)


class Nginx:
    """Keeps everything in a directory, and listens on a port of its own."""

    LISTEN = "listen 127.0.0.1:8080;"  # in the configuration

    def __init__(self, directory, configuration, modules=()):
        self.directory = directory
        self.configuration = configuration
        self.modules = modules
        self.port = free_port()

    def configure(self, changes):
        """As the configuration stands, but for these texts and the port."""
        text = self.configuration.read_text()
        for old, new in {**changes, self.LISTEN: f"listen 127.0.0.1:{self.port};"}.items():
            assert text.count(old) == 1, old
            text = text.replace(old, new)
        (self.directory / self.configuration.name).write_text(text)

    @contextlib.contextmanager
    def running(self):
        own_paths = (f"{name}_temp_path {name};" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        modules = (f"load_module /usr/lib/nginx/modules/{module};" for module in self.modules)
        user = pwd.getpwuid(os.geteuid()).pw_name
        (self.directory / "nginx.conf").write_text(
            f"{' '.join(modules)} user {user}; daemon off; worker_processes {WORKERS}; pid nginx.pid; error_log error.log;\n"
            f"events {{}}\nhttp {{ {' '.join(own_paths)} include {self.configuration.name}; }}\n"
        )
        command = ["/usr/sbin/nginx", "-p", self.directory, "-e", "error.log", "-c", "nginx.conf"]
        with open(self.directory / "output", "w") as output:
            self.process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
        try:
            wait_for(self.listens, "nginx does not listen")
            wait_for(lambda: len(self.workers()) >= WORKERS, "nginx has not started all of its workers")
            yield self
        finally:
            self.process.terminate()
            self.process.wait(30)

    def listens(self):
        assert self.process.poll() is None, (self.directory / "output").read_text()
        with socket.socket() as client:
            return client.connect_ex(("127.0.0.1", self.port)) == 0

    def workers(self):
        return set(pathlib.Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split())
