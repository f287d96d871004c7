"""Certificates for gateways, and clients that take any."""

import ssl
import subprocess

KINDS = {"ec": ["ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"], "rsa": ["rsa:2048"], "large rsa": ["rsa:4096"]}


class Certificate:
    """Of an authority of its own, in two files."""

    def __init__(self, directory, name, kind="ec"):
        directory.mkdir(exist_ok=True)
        self.cert = directory / "cert.pem"
        self.key = directory / "key.pem"
        self.make(name, kind)

    def make(self, name, kind="ec"):
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", *KINDS[kind], "-nodes"]
            + ["-keyout", self.key, "-out", self.cert, "-subj", f"/CN={name}", "-days", "2"]
            + ["-addext", "subjectAltName=IP:127.0.0.1"],
            check=True,
            capture_output=True,
        )

    @property
    def options(self):
        return [f"--tls-cert={self.cert}", f"--tls-key={self.key}"]


def trusting(certificate):
    return ssl.create_default_context(cafile=certificate.cert)


def unwary(version=None):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if version:
        context.set_ciphers("ALL:@SECLEVEL=0")
        context.minimum_version = context.maximum_version = version
    return context
