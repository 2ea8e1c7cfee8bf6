"""Capacity planning: the resources that a number of photos needs. Pure arithmetic; every figure has its formula and source.

Demand ──► storage: bytes of one photo ──► plan: Figures
"""

from miradouro.core.capacity.demand import Demand
from miradouro.core.capacity.plan import Figure, Plan, plan

__all__ = ["Demand", "Figure", "Plan", "plan"]
