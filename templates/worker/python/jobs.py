"""Jobs that arrive over HTTP and by the clock, done from a queue."""

import json
import os
import urllib.request
from urllib.parse import urlsplit


def submit(request, ctx):
    """POST /jobs {"url": "https://…"} queues a job and answers at once."""
    try:
        job = {"url": request.json()["url"]}
        if not urlsplit(job["url"]).hostname:
            raise ValueError
    except (ValueError, TypeError, KeyError, AttributeError):
        return {"error": '"url" must be a web address'}, 400
    enqueue(job)
    return {"queued": job["url"]}, 202


def work(event, ctx):
    """Does one job.

    Raising brings it back a little later; after three times it goes to the
    queue "failures".
    """
    url = event["data"]["body"]["url"]
    parts = urlsplit(url)
    if parts.scheme != "https":
        raise ValueError(f"{url} is not safe to visit")
    ctx.log.info("done", host=parts.hostname, attempt=event.get("deliverycount"))


def sweep(event, ctx):
    """Queues the job that the schedule carries as its input."""
    job = event["data"].get("input")
    if job:
        enqueue(job)


def enqueue(job):
    """Sends a job; an answer other than 2xx raises."""
    request = urllib.request.Request(os.environ["QUEUE_JOBS_URL"], json.dumps(job).encode(), method="POST")
    with urllib.request.urlopen(request, timeout=5):
        pass
