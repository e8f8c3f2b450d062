"""Logs to real MLflow stores, and reads from them, in processes that may be killed at a call of one's choice.

Started as a program it imports MLflow once, which takes seconds; then it reads a request a line from stdin (JSON),
forks a child for each and answers with what the children said. It never opens a store itself.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import sys
import time
import traceback
from pathlib import Path
from typing import Any

import msgspec

from peak_trade.tracking import worker
from peak_trade.tracking.receipt import Job
from peak_trade.tracking.store import Store

CALLS = (
    "create_experiment", "create_run", "log_batch", "log_inputs", "log_artifact", "set_tag", "set_terminated",
    "delete_run",
)  # fmt: skip


def store_of(request: dict[str, Any]) -> Store:
    uri, shown, folder, database = request["store"]
    return Store(uri, shown, Path(folder), Path(database) if database else None)


def log(request: dict[str, Any]) -> list[dict[str, Any]]:
    """Log runs, or die: right after the n-th call that writes, or after some seconds."""
    from mlflow import MlflowClient

    die_after(request.get("statement", ""))
    left = request.get("die_after", 0)

    def counted(name: str) -> None:
        real = getattr(MlflowClient, name)

        def call(*args: Any, **named: Any) -> Any:
            nonlocal left
            result = real(*args, **named)
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return result

        setattr(MlflowClient, name, call)

    for name in CALLS:
        counted(name)
    logger = worker.Logger(store_of(request))
    found = []
    for job in request["jobs"]:
        start = time.perf_counter()
        try:
            receipt = logger.log(msgspec.convert(job, Job))
            answer = msgspec.to_builtins(receipt) if receipt else {"known": True}
        except Exception as error:  # noqa: BLE001 - what it is, is the answer
            answer = dict(zip(("reason", "hint", "unreachable"), worker.failure(error), strict=True))
        found.append(answer | {"seconds": time.perf_counter() - start})
    return found


def die_after(text: str) -> None:
    """Have the process killed right after a statement to a database that has this in it."""
    from sqlalchemy import Engine, event

    def look(connection: Any, cursor: Any, statement: str, *_: object) -> None:
        if text and text in statement:
            os.kill(os.getpid(), signal.SIGKILL)

    event.listen(Engine, "after_cursor_execute", look)


def make(request: dict[str, Any]) -> None:
    """Have MLflow make its tables as it does in the first start of `mlflow ui`; `revision`: as an older one did."""
    from mlflow import MlflowClient

    os.chdir(request["folder"])
    die_after(request.get("statement", ""))
    if revision := request.get("revision"):
        from alembic import command
        from mlflow.store.db.utils import _get_alembic_config
        from mlflow.store.tracking.dbmodels.initial_models import Base
        from sqlalchemy import create_engine

        Base.metadata.create_all(create_engine(request["uri"]))
        command.upgrade(_get_alembic_config(request["uri"]), revision)
    else:
        MlflowClient(request["uri"]).search_experiments(max_results=1)


def look(request: dict[str, Any]) -> list[dict[str, Any]]:
    """Return all that a store holds of its runs, deleted ones too."""
    from mlflow import MlflowClient
    from mlflow.entities import ViewType

    os.chdir(request["folder"])
    client = MlflowClient(request["uri"])
    found = []
    for experiment in client.search_experiments():
        for run in client.search_runs([experiment.experiment_id], run_view_type=ViewType.ALL):
            history = {
                key: [(m.value, m.timestamp, m.step) for m in client.get_metric_history(run.info.run_id, key)]
                for key in ("equity", "drawdown")
                if key in run.data.metrics
            }
            files, folders = [], [None]
            while folders:
                for file in client.list_artifacts(run.info.run_id, folders.pop()):
                    (folders if file.is_dir else files).append(file.path)
            found.append(
                {
                    "id": run.info.run_id,
                    "experiment": experiment.name,
                    "name": run.info.run_name,
                    "status": run.info.status,
                    "active": run.info.lifecycle_stage == "active",
                    "started": run.info.start_time,
                    "finished": run.info.end_time,
                    "artifact_uri": run.info.artifact_uri,
                    "tags": run.data.tags,
                    "params": run.data.params,
                    "metrics": run.data.metrics,
                    "history": history,
                    "artifacts": sorted(files),
                    "datasets": [
                        {
                            key: getattr(one.dataset, key)
                            for key in ("name", "digest", "source", "source_type", "profile")
                        }
                        | {"tags": {tag.key: tag.value for tag in one.tags}}
                        for one in run.inputs.dataset_inputs
                    ],
                }
            )
    return found


def act(request: dict[str, Any]) -> Any:
    """Call a method of MLflow's client."""
    from mlflow import MlflowClient

    os.chdir(request["folder"])
    result = getattr(MlflowClient(request["uri"]), request["method"])(*request["args"], **request.get("named", {}))
    return getattr(getattr(result, "info", None), "run_id", None)


def read(request: dict[str, Any]) -> str:
    """Return the text of an artifact."""
    from mlflow import MlflowClient

    os.chdir(request["folder"])
    path = MlflowClient(request["uri"]).download_artifacts(request["run_id"], request["name"])
    return Path(path).read_text(encoding="utf-8")


def child(request: dict[str, Any], answer: int) -> None:
    try:
        os.setsid()
        os.dup2(2, 1)
        found = {"log": log, "look": look, "act": act, "make": make, "read": read}[request["do"]](request)
        os.write(answer, json.dumps(found).encode())
    except BaseException:  # noqa: BLE001 - the child must not go on as a second forge
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


def main() -> None:
    importlib.import_module("mlflow.store.tracking.sqlalchemy_store")
    print("ready", flush=True)
    for line in sys.stdin:
        answers = []
        for request in json.loads(line):
            file = os.memfd_create("answer") if hasattr(os, "memfd_create") else os.open("/tmp", os.O_TMPFILE)
            if (pid := os.fork()) == 0:
                child(request, file)
            answers.append((pid, file))
        said = []
        for pid, file in answers:
            _, status = os.waitpid(pid, 0)
            os.lseek(file, 0, os.SEEK_SET)
            content = b""
            while part := os.read(file, 1 << 20):
                content += part
            os.close(file)
            said.append({"code": os.waitstatus_to_exitcode(status), "found": json.loads(content) if content else None})
        print(json.dumps(said), flush=True)


if __name__ == "__main__":
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    main()
