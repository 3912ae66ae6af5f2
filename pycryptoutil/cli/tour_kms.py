"""``tour``'s steps through sm-kms: a key by name, a file encrypted and rewrapped, and the old version revoked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pycryptoutil.cli.tour import Tour

_KMS: Final = "sm-kms"


def encrypt(tour: Tour) -> None:
    """Encrypt a file with a key that never leaves."""
    if _KMS not in tour.running.services:
        return
    import secrets

    tour.key = name = f"invoices-{secrets.token_hex(3)}"
    kms, option = f"{tour.program} kms", tour.ready_option
    tour.step("A key by name encrypts a file of any size")
    tour.run(f"{kms} create {name} --purpose encrypt {option}", expect="A256GCM")
    tour.run("head -c 300000 /dev/urandom > invoice.pdf")
    tour.run(f"{kms} encrypt {name} {option} < invoice.pdf > invoice.jwe && wc -c invoice.pdf invoice.jwe")
    tour.run(f"{kms} decrypt {name} {option} < invoice.jwe | cmp - invoice.pdf && echo the same", expect="the same")
    tour.passed("the data key is wrapped by version 1, in the first line of invoice.jwe")


def rewrap(tour: Tour) -> None:
    """Bring the file to the next version."""
    if _KMS not in tour.running.services:
        return
    kms, option, name = f"{tour.program} kms", tour.ready_option, tour.key
    tour.step("The key is rotated, and the file rewrapped without being decrypted")
    tour.run(f"{kms} rotate {name} {option}", expect="version 2 is active")
    tour.run(f"{kms} rewrap {name} {option} < invoice.jwe > new.jwe")
    tour.run(
        "tail -n +2 invoice.jwe > old.rest; tail -n +2 new.jwe | cmp - old.rest && echo only line 1 is new",
        expect="only line 1 is new",
    )
    tour.run(f"{kms} versions {name} {option}", expect="active")
    tour.passed("how many objects still hang on version 1 is its column outstanding")


def revoke(tour: Tour) -> None:
    """Revoke the old version, and be refused."""
    if _KMS not in tour.running.services:
        return
    kms, option, name = f"{tour.program} kms", tour.ready_option, tour.key
    tour.step("The old version is revoked: on every replica, at once, for good")
    tour.run(f"{kms} revoke {name} --version 1 --reason leaked {option}", expect="version 1 is revoked")
    tour.run(f"{kms} decrypt {name} {option} < invoice.jwe > refused.pdf", expect="version 1 is revoked", code=1)
    tour.run(f"{kms} decrypt {name} {option} < new.jwe | cmp - invoice.pdf && echo the same", expect="the same")
    tour.passed("the old file is refused, the rewrapped one opens")


STEPS: Final = (encrypt, rewrap, revoke)
