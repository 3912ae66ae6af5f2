"""``tour``'s steps with jose-ja, where it runs: a token that others verify by the published keys, and many tokens."""

from __future__ import annotations

import shutil
import sys
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pycryptoutil.cli.tour import Tour

SERVICE: Final = "jose-ja"
_MANY: Final = 5000  # over REST; as many as take a moment on a busy machine
_BULK: Final = 100_000
_SECONDS: Final = 300
_NPM: Final = """\
import { readFileSync } from 'node:fs'
import { createRemoteJWKSet, jwtVerify } from 'jose'
const [url, file] = process.argv.slice(2)
const found = await jwtVerify(readFileSync(file, 'utf8').trim(), createRemoteJWKSet(new URL(url)), { typ: 'JWT' })
console.log(found.protectedHeader.alg, JSON.stringify(found.payload))
"""
_PYTHON: Final = """\
import json, sys
from joserfc import jwt
from joserfc.jwk import KeySet
keys = KeySet.import_key_set(json.load(open(sys.argv[1])))
found = jwt.decode(open(sys.argv[2]).read().strip(), keys, algorithms=["ES256"])
print(found.header["alg"], json.dumps(found.claims, separators=(",", ":")))
"""


def _name(tour: Tour) -> str:
    """Name the ring: empty, where jose-ja does not run."""
    return f"tokens-{tour.host.partition('.')[0]}" if SERVICE in tour.running.services else ""


def sign(tour: Tour) -> None:
    """Sign with a ring."""
    name = _name(tour)
    if not name:
        return
    tour.step("A ring of keys signs a token (JWS, RFC 7515)")
    tour.run(f"{tour.program} jose create {name} --algorithm ES256 {tour.ready_option}", expect="ES256")
    tour.run(
        f'echo \'{{"sub":"a"}}\' | {tour.program} jose sign {name} {tour.ready_option} > t.jwt && cat t.jwt',
        expect="eyJ",
    )
    tour.run(f"{tour.program} jose verify {name} {tour.ready_option} < t.jwt", expect='{"sub":"a"}')
    tour.passed("the private key never left the Rust core, and is sealed under the tenant's root on disk")


def verify(tour: Tour) -> None:
    """Verify as a stranger does."""
    if not _name(tour):
        return
    tour.step("A stranger verifies it by the published keys")
    url = f"{tour.url(service=SERVICE)}/.well-known/jwks.json"
    tour.run(
        f"curl -sS --fail-with-body --cacert bundle.pem -D - {url} -o jwks.json | grep -i -E '^(etag|cache-control)'"
    )
    if _has_npm_jose(tour):
        (tour.folder / "verify.mjs").write_text(_NPM)
        command, who = (
            f"NODE_EXTRA_CA_CERTS=bundle.pem node verify.mjs {url} t.jwt",
            "npm's jose, which fetched them itself",
        )
    else:
        (tour.folder / "verify.py").write_text(_PYTHON)
        command, who = f"{sys.executable} -W ignore verify.py jwks.json t.jwt", "joserfc"
    tour.run(command, expect='ES256 {"sub":"a"}')
    tour.passed(f"verified by {who}")


def _has_npm_jose(tour: Tour) -> bool:
    """Tell whether there is Node with npm's jose, which is fetched if it can be."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        return False
    here = "node -e \"import('jose').then(() => console.log('there is ' + 'jose'))\""
    install = "npm install --silent --no-audit --no-fund --fetch-retries 0 --prefix . jose@6"
    return "there is jose" in tour.run(f"{here} || (timeout 20 {install} && {here})", quiet=True)


def rotate(tour: Tour) -> None:
    """Rotate the ring."""
    name = _name(tour)
    if not name:
        return
    tour.step("The ring is rotated; what it signed before still verifies")
    tour.run(f"{tour.program} jose rotate {name} {tour.ready_option}", expect="active_version")
    tour.run(f"{tour.program} jose versions {name} {tour.ready_option} | cut -f 1-4", expect="pending")
    tour.run(f"{tour.program} jose verify {name} {tour.ready_option} < t.jwt", expect='{"sub":"a"}')
    tour.passed("the next key was in the published set before its first use, and the one after it is there now")


def bulk(tour: Tour) -> None:
    """Sign very many."""
    name = _name(tour)
    if not name:
        return
    tour.step(f"Many tokens: {_MANY:,} by the ring over REST, {_BULK:,} by sign_many in one process")
    tour.run(f'seq {_MANY} | sed \'s/.*/{{"sub":"user-&"}}/\' > claims.ndjson')
    tour.run(
        f"{tour.program} jose sign {name} --many {tour.ready_option} < claims.ndjson > tokens.txt",
        expect=f"{_MANY} lines",
        seconds=_SECONDS,
    )
    tour.run(
        f"{tour.program} jose verify {name} --many {tour.ready_option} < tokens.txt | cmp - claims.ndjson",
        seconds=_SECONDS,
    )
    said = tour.run(f"{tour.program} jose speed --count {_BULK}", expect="bare_signatures_per_second", seconds=_SECONDS)
    row = dict(line.split("\t", 1) for line in said.splitlines() if "\t" in line)
    rate, limit = int(row["tokens_per_second"]), int(row["bare_signatures_per_second"])
    tour.passed(f"{rate:,} tokens/s, beside {limit:,} bare signatures/s on {row['cores']} cores: {row['ratio']}")


STEPS: Final = (sign, verify, rotate, bulk)
