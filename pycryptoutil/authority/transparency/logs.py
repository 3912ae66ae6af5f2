"""Asking logs for timestamps, all at once, until enough have answered."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from concurrent.futures import TimeoutError as FuturesTimeoutError
from functools import partial
from typing import Final

from pycryptoutil_protocols.ct import codec
from pycryptoutil_protocols.ct.codec import Sct
from pycryptoutil_protocols.faults import Fault, FaultKind

from pycryptoutil.authority.outreach import Poster
from pycryptoutil.authority.settings import CtLogSettings, CtSettings
from pycryptoutil.clock import Clock
from pycryptoutil.crypto.keys import verify
from pycryptoutil.storage import in_unit_of_work

_MAX_ANSWER: Final = 16 * 1024
_AHEAD: Final = 5 * 60 * 1000  # milliseconds that a log's clock may be ahead of ours
_OK: Final = 200
_HEADERS: Final = {"Content-Type": "application/json", "Accept": "application/json"}

_log = logging.getLogger(__name__)


def timestamps(
    settings: CtSettings, clock: Clock, chain: Sequence[bytes], issuer_spki: bytes, tbs: bytes, wanted: int
) -> tuple[Sct, ...]:
    """Return ``wanted`` verified timestamps, each of another log; Fault(UNAVAILABLE) when fewer logs give one.

    ``chain`` begins with the precertificate; ``tbs`` is what the logs sign: without poison.
    """
    if in_unit_of_work():
        message = "no log is asked inside a unit of work"
        raise RuntimeError(message)
    if wanted > len(settings.logs):
        text = f"{wanted} CT logs are needed, and {len(settings.logs)} are configured"
        raise Fault(FaultKind.UNAVAILABLE, text, "too few Certificate Transparency logs are configured")
    body = codec.encode_submission(chain)
    found: dict[bytes, Sct] = {}
    pool = ThreadPoolExecutor(len(settings.logs), thread_name_prefix="ct-log")
    try:
        asked: list[Future[Sct]] = [
            pool.submit(partial(_ask, one, settings, clock, body, issuer_spki, tbs)) for one in settings.logs
        ]
        for answer in as_completed(asked, timeout=settings.timeout_seconds + 1):
            if answer.exception() is None:
                sct = answer.result()
                found[sct.log_id] = sct
            if len(found) >= wanted:
                return tuple(found.values())
    except FuturesTimeoutError:
        _log.warning("CT logs took longer than they may")
    finally:
        pool.shutdown(wait=False, cancel_futures=True)  # each attempt ends by itself
    text = f"{len(found)} of {wanted} CT logs have answered"
    raise Fault(FaultKind.UNAVAILABLE, text, "too few Certificate Transparency logs have answered", retry_after=60)


def _ask(one: CtLogSettings, settings: CtSettings, clock: Clock, body: bytes, issuer_spki: bytes, tbs: bytes) -> Sct:
    try:
        poster = Poster(clock, None, ca_file=settings.ca_file, agent="pycryptoutil-ct")
        url = f"{one.url.rstrip('/')}/ct/v1/add-pre-chain"
        answer = poster.post(url, body, _HEADERS, settings.timeout_seconds, _MAX_ANSWER)
        if answer.status != _OK:
            raise Fault(FaultKind.UNAVAILABLE, f"HTTP {answer.status}")
        sct = codec.decode_answer(answer.body)
        spki = one.spki()
        if sct.log_id != codec.log_id(spki):
            raise Fault(FaultKind.BAD_SIGNATURE, "a timestamp of another log")
        if sct.timestamp > codec.milliseconds(clock.now()) + _AHEAD:
            raise Fault(FaultKind.STALE, "a timestamp from the future")
        verify(spki, sct.algorithm, sct.signed_data(issuer_spki, tbs), sct.signature)
    except Fault as fault:
        _log.warning("CT log %s: %s", one.url, fault.detail)
        raise
    except Exception:
        _log.exception("CT log %s", one.url)
        raise
    return sct
