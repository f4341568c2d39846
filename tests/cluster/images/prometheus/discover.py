"""Tell Prometheus which pods to scrape: those annotated prometheus.io/scrape: "true", of all namespaces.

Debian's Prometheus is built without Kubernetes discovery, so this writes the list to the file it is given, every few
seconds. Standard library only: it runs beside Prometheus, in the same image.
"""

import json
import ssl
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
PODS = "https://kubernetes.default.svc/api/v1/pods?fieldSelector=status.phase%3DRunning"
SECONDS = 3.0
ANNOTATION = "prometheus.io/"


def targets(pods: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Give the entries of Prometheus' file discovery for the pods that ask to be scraped."""
    return [_target(pod) for pod in pods if _asks(pod)]


def _asks(pod: dict[str, Any]) -> bool:
    wishes = pod["metadata"].get("annotations", {})
    return wishes.get(ANNOTATION + "scrape") == "true" and ANNOTATION + "port" in wishes and "podIP" in pod["status"]


def _target(pod: dict[str, Any]) -> dict[str, Any]:
    about, wishes = pod["metadata"], pod["metadata"]["annotations"]
    named = about.get("labels", {})
    labels = {
        "__metrics_path__": wishes.get(ANNOTATION + "path", "/metrics"),
        "namespace": about["namespace"],
        "pod": about["name"],
        "job": named.get("app.kubernetes.io/name", "pods"),
    }
    if pipeline := named.get("headrace.dev/pipeline"):
        labels["pipeline"] = pipeline
    return {"targets": [f"{pod['status']['podIP']}:{wishes[ANNOTATION + 'port']}"], "labels": labels}


def _pods() -> list[dict[str, Any]]:
    token = (ACCOUNT / "token").read_text().strip()
    request = urllib.request.Request(PODS, headers={"Authorization": f"Bearer {token}"})
    trust = ssl.create_default_context(cafile=str(ACCOUNT / "ca.crt"))
    with urllib.request.urlopen(request, timeout=10, context=trust) as answer:
        items: list[dict[str, Any]] = json.load(answer)["items"]
    return items


def main(file: Path) -> None:
    """Write the list for ever; a list that could not be had leaves the old one in force."""
    while True:
        try:
            content = json.dumps(targets(_pods()), indent=1)
        except OSError as error:
            print(f"could not list pods: {error}", file=sys.stderr, flush=True)
        else:
            half = file.with_suffix(".half")
            half.write_text(content)
            half.replace(file)
        time.sleep(SECONDS)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
