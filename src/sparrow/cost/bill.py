"""Turn a training run into FLOPs, hours, money, energy and CO2."""

from dataclasses import dataclass

__all__ = [
    "Effort",
    "Footprint",
    "achieved_flops_per_s",
    "calendar_days",
    "footprint",
    "seconds_per_token",
    "share_frac",
    "times_cheaper",
    "training_effort",
]


@dataclass(frozen=True, kw_only=True)
class Effort:
    """The work of a training run, and the hours that one machine needs for it."""

    flops: float
    machine_hours: float


@dataclass(frozen=True, kw_only=True)
class Footprint:
    """What some machine-hours cost; `money` is in the currency of the prices."""

    energy_kwh: float
    co2_kg: float
    money: float


def training_effort(
    active_parameters: float, tokens: float, flops_per_s: float
) -> Effort:
    """Estimate the FLOPs of a training run, and the hours they take.

    Args:
        active_parameters: weights that one token passes through. In a mixture of
            experts that is fewer than the model has.
        tokens: tokens seen in training.
        flops_per_s: FLOPs that the machine really does in one second.

    Source: Kaplan et al., arXiv:2001.08361, section 2.1. The estimate leaves out
    the products of attention itself, which grow with the length of the text.
    """
    # 1. FLOPs for one token: two for each weight forward, four backward.
    flops_per_token = 6 * active_parameters
    # 2. FLOPs for all tokens.
    flops = flops_per_token * tokens
    # 3. Seconds: all FLOPs, divided by the FLOPs done in one second.
    seconds = flops / flops_per_s
    # 4. Return the record: the FLOPs, and the seconds as hours.
    return Effort(flops=flops, machine_hours=seconds / 3600)


def footprint(
    *,
    machine_hours: float,
    power_w: float,
    pue: float,
    price_per_hour: float,
    tariff_per_kwh: float,
    grid_g_per_kwh: float,
) -> Footprint:
    """Turn machine-hours into energy, CO2 and money.

    Args:
        machine_hours: hours of one machine; ten machines for two hours are 20.
        power_w: watts that one machine draws while it works.
        pue: power usage effectiveness, the energy of the whole building divided
            by the energy of its machines: 1.0 for a laptop, more in a data centre.
        price_per_hour: rent of one machine for an hour; 0 if you own it.
        tariff_per_kwh: price of a kWh; 0 if the rent includes electricity.
        grid_g_per_kwh: grams of CO2 that the grid emits for one kWh.
    """
    # 1. Energy of the machines: watts times hours, then watt-hours to kWh.
    machine_kwh = power_w * machine_hours / 1000
    # 2. Energy of the building around them: the PUE multiplies.
    energy_kwh = machine_kwh * pue
    # 3. CO2 of that energy: grams to kilograms.
    co2_kg = energy_kwh * grid_g_per_kwh / 1000
    # 4. Money: the rent of the hours, and the price of the energy.
    money = machine_hours * price_per_hour + energy_kwh * tariff_per_kwh
    # 5. Return the record with all three.
    return Footprint(energy_kwh=energy_kwh, co2_kg=co2_kg, money=money)


def achieved_flops_per_s(flops: float, machine_hours: float) -> float:
    """The speed of one machine, from the work that was done and its hours."""
    return flops / (machine_hours * 3600)


def calendar_days(machine_hours: float, machines: int) -> float:
    """The days that pass when `machines` work at the same time."""
    return machine_hours / machines / 24


def share_frac(part: float, whole: float) -> float:
    """The part as a fraction of the whole: 0.05 is five percent."""
    return part / whole


def times_cheaper(other_money: float, own_money: float) -> float:
    """How many times your bill fits into another one."""
    return other_money / own_money


def seconds_per_token(
    active_parameters: float, bytes_per_parameter: float, bytes_per_s: float
) -> float:
    """The least time to generate one token: every active weight is read once.

    It is a lower bound: it counts no arithmetic, and it takes for granted that the
    weights are already in memory.
    """
    return active_parameters * bytes_per_parameter / bytes_per_s
