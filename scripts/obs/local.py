"""Take traces where there is no Docker: MLflow's server on this machine alone, over its own store, until Ctrl-C.

stdout is what makes runs send to it, for another terminal; MLflow takes traces, but neither logs nor metrics.
"""

from __future__ import annotations

import signal

from peak_trade import script


def main() -> int:
    parser = script.parser(__doc__)
    parser.add_argument("--port", type=int, default=5000, metavar="N", help="the first port to try (default: 5000)")
    parser.add_argument(
        "--experiment", default="peak_trade", metavar="NAME", help="for the traces (default: peak_trade)"
    )
    args = parser.parse_args()
    if not 0 < args.port < 65_536:
        parser.error(f"{args.port} is no port")

    from peak_trade.errors import InputError, RunError
    from peak_trade.tracking import batch, page
    from peak_trade.tracking.store import Store

    script.show_warnings()
    store = Store.of(script.repo_root())
    if store.is_server:
        raise InputError(f"MLFLOW_TRACKING_URI is the server {store.shown}", hint="unset it, or send to it yourself")
    if not batch.installed():
        raise RunError(batch.ABSENT, hint=batch.INSTALL)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # the server is ended with us
    try:
        script.note(f"starting mlflow over {store.shown} …")
        with page.served(store, args.port) as (url, server):
            experiments = page.ask(url, "experiments/search", max_results=1_000)["experiments"]
            ids = {one["name"]: one["experiment_id"] for one in experiments}
            experiment = ids.get(args.experiment)
            if experiment is None:
                experiment = page.ask(url, "experiments/create", name=args.experiment)["experiment_id"]
            script.show("export PEAK_OTEL_ENABLED=1")
            script.show(f"export PEAK_OTEL_EXPORTER_OTLP_ENDPOINT={url}")
            script.show(f"export OTEL_EXPORTER_OTLP_HEADERS=x-mlflow-experiment-id={experiment}", flush=True)
            script.note("run these lines in another terminal, then `just run config/my_strategy.toml`")
            script.note(f"its trace is then at {url}/#/experiments/{experiment}/traces; Ctrl-C ends the server")
            code = page.wait(server)
    except KeyboardInterrupt:
        script.note("stopped")
        return 0
    raise RunError(f"mlflow's server has ended by itself, with exit code {code}")


if __name__ == "__main__":
    script.run(main)
