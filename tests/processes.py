"""What tests that start processes share."""

from __future__ import annotations

import signal


def heed_interrupts():
    """Undo what shells do to processes in the background, which do not hear SIGINT; for `preexec_fn`."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
