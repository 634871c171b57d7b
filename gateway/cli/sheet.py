"""What is too long for a datagram, in memory and without a name: it is handed from process to process by descriptor."""

import os
import tempfile


def written(content: bytes) -> int:
    """Return the descriptor of a file that holds this; whoever has it closes it."""
    create = getattr(os, "memfd_create", None)
    if create is None:
        # Not on macOS: there it is a file that has lost its name.
        with tempfile.TemporaryFile() as file:
            descriptor = os.dup(file.fileno())
    else:
        descriptor = create("gateway", os.MFD_CLOEXEC)
    rest = memoryview(content)
    while rest:
        rest = rest[os.write(descriptor, rest) :]
    return descriptor


def read(descriptor: int) -> bytes:
    """Return what it holds. Others read it as well, so that nobody moves where reading begins."""
    size, parts = os.fstat(descriptor).st_size, list[bytes]()
    while size > (done := sum(map(len, parts))):
        parts.append(os.pread(descriptor, size - done, done))
    return b"".join(parts)
