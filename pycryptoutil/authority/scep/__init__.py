"""SCEP for every CA of an installation: who may enrol, and one answer to one message."""

from pycryptoutil.authority.scep.rules import ScepRules, StaticChallenge, Webhook
from pycryptoutil.authority.scep.service import ScepService

__all__ = ["ScepRules", "ScepService", "StaticChallenge", "Webhook"]
