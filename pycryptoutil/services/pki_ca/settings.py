"""What of pki-ca can be configured: the ``pki_ca`` section. Each protocol's part is in its own folder."""

from __future__ import annotations

from pydantic import Field

from pycryptoutil.authority import AuthoritySettings
from pycryptoutil.services.pki_ca.acme.settings import AcmeSettings
from pycryptoutil.services.pki_ca.cmc.settings import CmcSettings
from pycryptoutil.services.pki_ca.cmp.settings import CmpSettings
from pycryptoutil.services.pki_ca.scep.settings import ScepSettings
from pycryptoutil.services.pki_ca.tsa.settings import TsaSettings
from pycryptoutil.services.pki_ca.webhooks.settings import WebhookSettings


class PkiCaSettings(AuthoritySettings):
    """The CA's settings, with a section for each protocol that has its own (``<protocol>/settings.py``)."""

    cmc: CmcSettings = Field(default_factory=CmcSettings)
    cmp: CmpSettings = Field(default_factory=CmpSettings)
    scep: ScepSettings = Field(default_factory=ScepSettings)
    tsa: TsaSettings = Field(default_factory=TsaSettings)
    acme: AcmeSettings = Field(default_factory=AcmeSettings)
    webhooks: WebhookSettings = Field(default_factory=WebhookSettings)
