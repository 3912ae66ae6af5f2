"""What goes wrong with a token, as faults. No text of these has a PIN in it, nor have the library's own."""

from __future__ import annotations

from typing import Final

from pycryptoutil_protocols.faults import Fault, FaultKind

RETRY_AFTER: Final = 10
_LOST: Final = frozenset(
    {
        "DeviceError",
        "DeviceRemoved",
        "KeyHandleInvalid",
        "ObjectHandleInvalid",
        "SessionClosed",
        "SessionHandleInvalid",
        "SlotIDInvalid",
        "TokenNotPresent",
        "TokenNotRecognised",
        "UserNotLoggedIn",
    }
)
_VAGUE: Final = frozenset({"FunctionFailed", "GeneralError", "PKCS11Error"})
_PIN: Final = {
    "PinIncorrect": "the PIN is wrong",
    "PinInvalid": "the PIN is wrong",
    "PinLenRange": "the PIN is wrong",
    "PinLocked": "the PIN is locked",
    "PinExpired": "the PIN has expired",
    "UserPinNotInitialized": "no PIN has been set",
}
_CANNOT: Final = frozenset(
    {
        "ArgumentsBad",
        "AttributeTypeInvalid",
        "AttributeValueInvalid",
        "DomainParamsInvalid",
        "FunctionNotSupported",
        "KeySizeRange",
        "KeyTypeInconsistent",
        "MechanismInvalid",
        "MechanismParamInvalid",
        "TemplateInconsistent",
    }
)


def is_lost(error: Exception) -> bool:
    """Tell whether the session, or the token itself, is gone."""
    return type(error).__name__ in _LOST


def is_vague(error: Exception) -> bool:
    """Tell whether it could be that, or else the operation's own failure."""
    return type(error).__name__ in _VAGUE


def pin_trouble(error: Exception) -> str:
    """Return what is wrong with the PIN; empty if it is something else."""
    return _PIN.get(type(error).__name__, "")


class TokenFault(Fault):
    """A token does not do its work now. ``detail`` is for operators."""

    def __init__(self, detail: str) -> None:
        public = "the key store is unavailable"
        super().__init__(FaultKind.UNAVAILABLE, f"HSM: {detail}", public, retry_after=RETRY_AFTER)


def failed(what: str, error: Exception) -> Fault:
    """Return the fault of an operation that the token has refused, or that has failed."""
    name = type(error).__name__
    reason = f"{what}: {name}" + (f" ({error})" if str(error) else "")
    if name in _CANNOT:
        return Fault(FaultKind.BAD_ALGORITHM, f"HSM: {reason}", "the key store does not support this algorithm")
    return TokenFault(reason)
