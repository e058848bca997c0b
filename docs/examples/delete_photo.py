"""Deletes a profile photo through bigin-photo-proxy, and prints what became of it.

    python3 delete_photo.py http://127.0.0.1:8080 Contacts 2034020000000489033 erasure-4711
"""

import http.client
import random
import sys
import time
import urllib.error
import urllib.request

TRIES = 4
PATIENCE = 60  # seconds; whoever is to wait longer comes again later


def ask(request):
    """One try: status, Delete-Outcome, Retry-After, body."""
    try:
        # Longer than the proxy takes, so that its answer is heard.
        answer = urllib.request.urlopen(request, timeout=20)
    except urllib.error.HTTPError as error:
        answer = error
    with answer:
        wait = answer.headers.get("Retry-After", "")
        # One of somebody else's has no outcome: nobody knows.
        outcome = answer.headers.get("Delete-Outcome", "unknown")
        return answer.status, outcome, int(wait) if wait.isdecimal() else 0, answer.read().decode()


def delete_photo(base, module, record_id, request_id):
    """Returns what became of the photo, and the last answer."""
    request = urllib.request.Request(
        f"{base}/bigin/v2/{module}/{record_id}/photo",
        method="DELETE",
        headers={"X-Request-Id": request_id, "Request-Timeout": "15"},
    )
    perhaps_deleted = False
    for attempt in range(1, TRIES + 1):
        try:
            status, outcome, wait, body = ask(request)
        except (OSError, http.client.HTTPException) as error:
            status, outcome, wait, body = 0, "unknown", 0, repr(error)
        perhaps_deleted |= outcome == "unknown"

        if outcome == "deleted":
            return outcome, body
        again = outcome == "unknown" or status == 429 or status >= 500
        if not again or wait > PATIENCE or attempt == TRIES:
            break
        time.sleep(wait + random.uniform(0, 2 ** (attempt - 1)))

    # What an earlier try may have done, only a success settles.
    return "unknown" if perhaps_deleted else outcome, body


if __name__ == "__main__":
    outcome, body = delete_photo(*sys.argv[1:5])
    print(outcome, body)
    sys.exit(0 if outcome == "deleted" else 1)
