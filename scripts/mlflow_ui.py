"""Show the tracked runs in MLflow's own page, on this machine alone, until Ctrl-C.

The address of the runs is the one line on stdout, at http://127.0.0.1:5000 or the next port that is free; where no run
is logged yet, it is that of the start page.
"""

from __future__ import annotations

import signal
import webbrowser

from peak_trade import script


def main() -> int:
    parser = script.parser(__doc__)
    parser.add_argument("--port", type=int, default=5000, metavar="N", help="the first port to try (default: 5000)")
    parser.add_argument("--open", action="store_true", help="open it in the browser")
    args = parser.parse_args()
    if not 0 < args.port < 65_536:
        parser.error(f"{args.port} is no port")

    from peak_trade.errors import RunError
    from peak_trade.tracking import batch, page
    from peak_trade.tracking.store import Store

    script.show_warnings()
    store = Store.of(script.repo_root())
    if store.is_server:
        script.show(store.shown)
        script.note("the store is a server, which has a page of its own")
        return 0
    if not batch.installed():
        raise RunError(batch.ABSENT, hint=batch.INSTALL)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # the server is ended with us
    try:
        script.note(f"starting mlflow over {store.shown} …")
        with page.served(store, args.port) as (url, server):
            runs = page.runs_page(url)
            script.show(runs or url, flush=True)
            if args.open and not webbrowser.open(runs or url):
                script.warn("no browser could be started", hint=f"open {runs or url}")
            script.note("Ctrl-C ends it" if runs else "no run is logged yet: `just track --pending`; Ctrl-C ends it")
            code = page.wait(server)
    except KeyboardInterrupt:
        return 0
    raise RunError(f"mlflow's server has ended by itself, with exit code {code}")


if __name__ == "__main__":
    script.run(main)
