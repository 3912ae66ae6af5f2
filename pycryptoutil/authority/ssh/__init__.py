"""OpenSSH certificates (PROTOCOL.certkeys) for hosts and users, under keys of their own."""

from pycryptoutil.authority.ssh.service import SshCertificate, SshOrder, SshService

__all__ = ["SshCertificate", "SshOrder", "SshService"]
