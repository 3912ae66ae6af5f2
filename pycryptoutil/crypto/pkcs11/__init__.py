"""Keys in a PKCS#11 token, such as a hardware security module: made there, used there, never seen here.

The library is ``python-pkcs11`` (the extra ``hsm``), imported only once a token is asked for.
"""

from pycryptoutil.crypto.pkcs11.faults import TokenFault
from pycryptoutil.crypto.pkcs11.key import KeyReference, TokenKey
from pycryptoutil.crypto.pkcs11.token import Token, TokenConfig, TokenStatus, list_tokens

__all__ = ["KeyReference", "Token", "TokenConfig", "TokenFault", "TokenKey", "TokenStatus", "list_tokens"]
