"""What a run says when the machine gives it no more: a limit of the container or of `ulimit`, and no bug of ours."""

from __future__ import annotations

import errno

NO_MEMORY = "the system gives this run no more memory"
NO_THREADS = "the system lets this run start no more threads or processes"

# The system's linker and CPython have no errors of their own for these.
_NOT_LOADED = "failed to map segment"
_NO_THREAD = "can't start new thread"


def exhausted(error: BaseException) -> str | None:
    """The sentence, where a limit is the cause of `error` or of what it came from."""
    found: BaseException | None = error
    while found is not None:
        if isinstance(found, MemoryError) or (isinstance(found, OSError) and found.errno == errno.ENOMEM):
            return NO_MEMORY
        if isinstance(found, ImportError) and _NOT_LOADED in str(found):
            return NO_MEMORY
        is_refused = isinstance(found, BlockingIOError) and found.errno == errno.EAGAIN  # by `fork`
        if is_refused or (isinstance(found, RuntimeError) and _NO_THREAD in str(found)):
            return NO_THREADS
        found = found.__cause__ or found.__context__
    return None
