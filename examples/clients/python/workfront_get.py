#!/usr/bin/env python3
"""Reads paths of Workfront's API from standard input, one per line, and prints each answer as a line of JSON.

Needs hvac, and VAULT_ADDR and VAULT_TOKEN in the environment.
"""

import json
import os
import signal
import sys
import time

import hvac
import requests

API = "attask/api/v22.0"


class WorkfrontSession:
    """A Workfront session under a Vault lease. The lease is revoked when the `with` block ends."""

    def __init__(self, vault, token_path):
        self._vault = vault
        self._token_path = token_path
        self._http = requests.Session()
        self._lease_id = None

    def __enter__(self):
        self._read_token()
        return self

    def __exit__(self, *_):
        self._revoke()

    def get(self, path):
        """Calls Workfront. A session can end before its lease: on a 401 a new one is read, once."""
        if time.monotonic() >= self._care_at and not self._renew():
            self._replace()
        response = self._call(path)
        if response.status_code == 401:
            self._replace()
            response = self._call(path)
        if response.status_code != 200:
            raise RuntimeError(f"Workfront answered {response.status_code} to {path}")
        return response.json()

    def _call(self, path):
        # requests would send the header sessionID on to wherever a redirect points.
        return self._http.get(
            f"{self._base_url}/{API}/{path}",
            headers={"sessionID": self._access_token},
            allow_redirects=False,
            timeout=60,
        )

    def _replace(self):
        self._revoke()
        self._read_token()

    def _read_token(self):
        before = time.monotonic()
        secret = self._vault.read(self._token_path)
        if secret is None:
            raise RuntimeError(f"there is nothing at {self._token_path}: is the mount there?")
        self._lease_id = secret["lease_id"]
        self._access_token = secret["data"]["access_token"]
        self._base_url = secret["data"]["base_url"]
        self._set_lease(before, secret["lease_duration"])

    def _set_lease(self, begin, ttl):
        # Two thirds of the TTL leave time for a Vault that is away.
        self._expires = begin + ttl
        self._care_at = begin + ttl * 2 / 3

    def _renew(self):
        """Is true only if it gained time: towards the end of a session it does not."""
        before = time.monotonic()
        try:
            ttl = self._vault.sys.renew_lease(self._lease_id)["lease_duration"]
        except (hvac.exceptions.VaultError, requests.RequestException):
            return False
        if before + ttl <= self._expires:
            return False
        self._set_lease(before, ttl)
        return True

    def _revoke(self):
        if self._lease_id is None:
            return
        try:
            self._vault.sys.revoke_lease(self._lease_id)
        except (hvac.exceptions.VaultError, requests.RequestException) as error:
            print(f"the lease could not be revoked; Vault revokes it when it expires: {error}", file=sys.stderr)
        self._lease_id = None


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    vault = hvac.Client(url=os.environ["VAULT_ADDR"], token=os.environ["VAULT_TOKEN"])
    with WorkfrontSession(vault, os.environ.get("WORKFRONT_TOKEN_PATH", "workfront/token")) as workfront:
        for line in sys.stdin:
            print(json.dumps(workfront.get(line.strip())), flush=True)


if __name__ == "__main__":
    main()
