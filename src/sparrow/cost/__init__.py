"""Count what a model costs: FLOPs, hours, money, energy and CO2.

`bill` computes, `published` recomputes what papers print, `measure` asks this
machine, `ledger` keeps what you have spent.
"""
