"""The memory of protocols whose exchanges have several messages: any replica answers the next one."""

from pycryptoutil.authority.transactions.service import Transactions
from pycryptoutil.authority.transactions.store import Transaction

__all__ = ["Transaction", "Transactions"]
