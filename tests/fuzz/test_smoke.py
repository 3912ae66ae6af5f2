"""Every fuzz target over a few hundred damaged inputs, so that a broken target is noticed without fuzzing."""

from __future__ import annotations

import itertools

import pytest
from pycryptoutil_protocols.faults import Fault

from tests.fuzz.mutate import mutations
from tests.fuzz.targets import TARGETS, run_one

INPUTS = 300
# golden inputs that end in a Fault: no signer in a certs-only message, and keys or digests that are refused
ENDS_IN_FAULT = {"acme-attestation", "cms-signed", "cms-enveloped", "csr", "certificate"}


@pytest.mark.parametrize("name", TARGETS)
def test_damaged_input_raises_nothing_but_fault(name: str) -> None:
    for data in itertools.islice(mutations(TARGETS[name].seeds(), name), INPUTS):
        run_one(name, data)


@pytest.mark.parametrize("name", sorted(set(TARGETS) - ENDS_IN_FAULT))
def test_seeds_are_accepted(name: str) -> None:
    for seed in TARGETS[name].seeds():
        TARGETS[name].run(seed)


@pytest.mark.parametrize("name", sorted(ENDS_IN_FAULT))
def test_seeds_reach_past_decoding(name: str) -> None:
    kinds = set()
    for seed in TARGETS[name].seeds():
        try:
            TARGETS[name].run(seed)
        except Fault as fault:
            kinds.add(fault.kind.value)
    assert "malformed" not in kinds or name == "cms-enveloped"


def test_mutations_repeat() -> None:
    seeds = TARGETS["ocsp-request"].seeds()
    first = list(itertools.islice(mutations(seeds, "x"), 50))
    assert first == list(itertools.islice(mutations(seeds, "x"), 50))
    assert len(set(first)) > 40
