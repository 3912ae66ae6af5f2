"""What an operator wants to know of a tenant's certificates at a glance; cheap where there are a million of them."""

from pycryptoutil.authority.statistics.service import DayCount, NamedCount, Statistics, compute, roll_up

__all__ = ["DayCount", "NamedCount", "Statistics", "compute", "roll_up"]
