"""Python imports a module of this name when it starts: in a recorded command it is this one, then the command's own.

It stands in front on PYTHONPATH, and is read by whatever Python comes by, an old one too.
"""

import os
import sys


def _begin():
    package = sys.modules["peak_observer"] = type(sys)("peak_observer")
    package.__path__ = [os.path.dirname(os.path.dirname(os.path.abspath(__file__)))]
    from peak_observer.start import begin

    begin(os.environ["PEAK_RECORD_SPOOL"], os.path.dirname(__file__))


try:
    if os.environ.get("PEAK_RECORD_SPOOL") and sys.version_info >= (3, 9):
        _begin()
except Exception:  # noqa: BLE001 -- a command that can't be watched is run all the same: no frame says it was
    pass
finally:
    _here = os.path.dirname(os.path.abspath(__file__))
    sys.path[:] = [path for path in sys.path if os.path.abspath(path) != _here]
    del sys.modules[__name__], _here, _begin

import sitecustomize  # noqa: E402, F401 -- the next one; where there is none, Python passes over it as it always does
