"""Errors of the operating system in plain words."""

from __future__ import annotations

import errno
import socket
import ssl
from collections.abc import Mapping
from typing import Final

MESSAGES: Final[Mapping[int, str]] = {
    errno.EACCES: "permission denied",
    errno.EADDRINUSE: "the address is in use",
    errno.EADDRNOTAVAIL: "this machine has no such address, or no port left",
    errno.ECONNABORTED: "the connection was broken off",
    errno.ECONNREFUSED: "connection refused: nothing listens there",
    errno.ECONNRESET: "the connection was reset by the other side",
    errno.EDQUOT: "the quota of the disk is used up",
    errno.EEXIST: "a file of that name is there already",
    errno.EHOSTDOWN: "the host is down",
    errno.EHOSTUNREACH: "the host cannot be reached",
    errno.EINVAL: "the system does not take this value",
    errno.EIO: "the disk cannot be read or written",
    errno.EISDIR: "it is a folder",
    errno.ELOOP: "the links of the path lead in a circle",
    errno.EMFILE: "this process has too many files and connections open",
    errno.ENAMETOOLONG: "the name is too long",
    errno.ENETDOWN: "the network is down",
    errno.ENETUNREACH: "the network cannot be reached",
    errno.ENFILE: "this machine has too many files and connections open",
    errno.ENOENT: "no such file or folder",
    errno.ENOSPC: "the disk is full",
    errno.ENOTDIR: "a part of the path is no folder",
    errno.EPERM: "the system does not permit it",
    errno.EPIPE: "the other side has closed the connection",
    errno.EROFS: "the file system is read-only",
    errno.ETIMEDOUT: "no answer in time",
}
NAME_MESSAGES: Final[Mapping[int, str]] = {
    socket.EAI_AGAIN: "the name server did not answer",
    socket.EAI_FAIL: "the name server could not answer",
    socket.EAI_NODATA: "the name has no address",
    socket.EAI_NONAME: "the name is not known",
}


def describe_os_error(error: Exception) -> str:
    """Return what is wrong, with the file if there is one, and without number and class."""
    match error:
        case ssl.SSLCertVerificationError():
            return f"the certificate is not trusted: {error.verify_message}"
        case socket.gaierror(errno=int() as number):
            return NAME_MESSAGES.get(number, "the name could not be looked up")
        case ssl.SSLError():
            return str(error)
        case OSError(errno=int() as number) if number in MESSAGES:
            return f"{MESSAGES[number]}: {error.filename}" if error.filename else MESSAGES[number]
        case _:
            return str(error)
