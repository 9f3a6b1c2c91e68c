"""Whether a W&B server can be used, found out in seconds: wandb itself waits for minutes, and then raises an error."""

import base64
import json
import netrc
import os
import ssl
import threading
import urllib.error
import urllib.request
from urllib.parse import urlsplit

HOSTS = ("api.wandb.ai", "api.forge.coreweave.com")  # where `wandb login` signs in by default, by its version
PATIENCE = 4.0  # seconds for an answer
LOST: dict[str, str] = {}  # servers that failed in this process, and why: the next run of a study does not wait again


def api_key(url: str | None = None) -> str | None:
    """The API key for the server at `url`, by default the one in use: $WANDB_API_KEY or what `wandb login` stored.

    wandb's own functions prompt or warn instead of answering.
    """
    if key := os.environ.get("WANDB_API_KEY"):
        return key
    url = url or os.environ.get("WANDB_BASE_URL")
    try:
        stored = netrc.netrc()
    except (OSError, netrc.NetrcParseError):
        return None
    hosts = [str(urlsplit(url).hostname)] if url else HOSTS
    return next((found[2] for host in hosts if (found := stored.authenticators(host)) is not None), None)


def server_url() -> str:
    """The address of the server in use, from the environment or wandb's own settings."""
    import wandb  # takes half a second or more

    return str(wandb.setup().settings.base_url)


def why_unusable(url: str, patience: float = PATIENCE) -> str:
    """Why no run can be sent to the server at `url`, such as "connection refused"; empty if nothing speaks against it.

    A server that failed once is not asked again. Looking up its name may take longer than any limit of a connection,
    so a thread of its own asks.
    """
    if url not in LOST:
        answers: list[str] = []
        asking = threading.Thread(target=lambda: answers.append(ask(url, patience)), daemon=True)
        asking.start()
        asking.join(patience)
        if reason := answers[0] if answers else f"no answer within {patience:g} s":
            LOST[url] = reason
    return LOST.get(url, "")


def ask(url: str, patience: float) -> str:
    """See `why_unusable`: who am I?, asked with the API key."""
    key = base64.b64encode(f"api:{api_key(url) or ''}".encode()).decode()
    request = urllib.request.Request(
        f"{url.rstrip('/')}/graphql",
        data=json.dumps({"query": "query { viewer { id } }"}).encode(),
        headers={"Content-Type": "application/json", "Authorization": f"Basic {key}", "User-Agent": "lightning-models"},
    )
    try:
        with urllib.request.urlopen(request, timeout=patience) as response:
            viewer = json.load(response)["data"]["viewer"]
            return "" if viewer else "it does not know the API key"
    except urllib.error.HTTPError as error:
        if error.code in (401, 403):
            return "it does not accept the API key"
        return f"it answers with status {error.code}" if error.code >= 500 else ""
    except urllib.error.URLError as error:
        return "" if isinstance(error.reason, ssl.SSLError) else str(error.reason)  # wandb brings its own certificates
    except TimeoutError:
        return f"no answer within {patience:g} s"
    except OSError as error:
        return str(error)
    except (ValueError, KeyError, TypeError):
        return ""  # an answer, of a kind that only wandb may understand
